package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"
)

// journalVersion changes with everything that changes what is posted.
const journalVersion = 1

// header is the first line of a journal: which plan it belongs to.
type header struct {
	Version int     `json:"version"`
	Seed    uint64  `json:"seed"`
	Start   int64   `json:"start"`
	Scale   float64 `json:"scale"`
}

// Journal is the append-only record of what was acknowledged: a header line,
// then "block index" per body. It survives the death of the process, not of
// the machine. One goroutine at a time may append.
type Journal struct {
	file   *os.File
	header header
	acked  map[int64]map[int]bool // by block; what is in the file
	last   int64                  // greatest block in it, -1 if none
}

// OpenJournal opens or makes the journal at path. A journal that exists decides
// start; one of another seed, scale or version is refused. A torn last line, as
// a kill leaves it, is cut off.
func OpenJournal(path string, seed uint64, start time.Time, scale float64) (*Journal, error) {
	j := &Journal{
		header: header{journalVersion, seed, start.Truncate(time.Minute).Unix(), scale},
		acked:  map[int64]map[int]bool{}, last: -1,
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	whole := bytes.LastIndexByte(old, '\n') + 1
	if whole > 0 {
		if err := j.read(old[:whole]); err != nil {
			return nil, fmt.Errorf("journal %s: %w", path, err)
		}
	}
	if j.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := j.prepare(whole); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), j.file.Close())
	}
	return j, nil
}

// prepare cuts a torn tail and writes the header of a new journal.
func (j *Journal) prepare(whole int) error {
	if err := j.file.Truncate(int64(whole)); err != nil {
		return err
	}
	if _, err := j.file.Seek(int64(whole), 0); err != nil {
		return err
	}
	if whole > 0 {
		return nil
	}
	line, err := json.Marshal(j.header)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(line, '\n'))
	return err
}

func (j *Journal) read(old []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(old))
	lines.Scan()
	var h header
	if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
		return fmt.Errorf("its first line is no header: %w", err)
	}
	if h.Version != j.header.Version || h.Seed != j.header.Seed || h.Scale != j.header.Scale {
		return fmt.Errorf("it belongs to seed %d, scale %v, version %d; this is seed %d, scale %v, version %d: use the same, or delete the data folder",
			h.Seed, h.Scale, h.Version, j.header.Seed, j.header.Scale, j.header.Version)
	}
	j.header.Start = h.Start
	for n := 2; lines.Scan(); n++ {
		block, index, ok := parseRecord(lines.Bytes())
		if !ok {
			return fmt.Errorf("line %d is damaged: delete the data folder", n)
		}
		j.note(block, index)
	}
	return lines.Err()
}

func parseRecord(line []byte) (block int64, index int, ok bool) {
	a, b, found := bytes.Cut(line, []byte{' '})
	block, err1 := strconv.ParseInt(string(a), 10, 64)
	index, err2 := strconv.Atoi(string(b))
	return block, index, found && err1 == nil && err2 == nil && block >= 0 && index >= 0
}

func (j *Journal) note(block int64, index int) {
	if j.acked[block] == nil {
		j.acked[block] = map[int]bool{}
	}
	j.acked[block][index] = true
	j.last = max(j.last, block)
}

// Start is the virtual time of block 0.
func (j *Journal) Start() time.Time { return time.Unix(j.header.Start, 0).UTC() }

// Empty reports whether nothing was acknowledged yet.
func (j *Journal) Empty() bool { return j.last < 0 }

// Greatest is the end of the last block in the journal, or the start: where the
// clock of a restart resumes.
func (j *Journal) Greatest() time.Time {
	if j.last < 0 {
		return j.Start()
	}
	p := plan{start: j.header.Start, live: j.header.Start + int64(History/time.Second)}
	_, to := p.bounds(j.last)
	return time.Unix(to, 0).UTC()
}

// append records an acknowledged body.
func (j *Journal) append(block int64, index int) error {
	line := strconv.AppendInt(nil, block, 10)
	line = append(line, ' ')
	line = strconv.AppendInt(line, int64(index), 10)
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }
