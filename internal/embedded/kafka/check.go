package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrDamaged is in the error of Open when records that were acknowledged cannot
// be read any more.
var ErrDamaged = errors.New("the log of the embedded kafka is damaged")

// checker reads the log before kfake does, which would cut it off at the first
// batch that does not read, with everything behind.
type checker struct {
	dir     string
	accept  bool // go on without what cannot be read
	log     *slog.Logger
	damage  []error
	batches int // in memory once the folder is open
}

// partition is one of the log's, while it is checked.
type partition struct {
	dir, name string
	next      int64           // the offset that should come now
	epoch     int32           // of the last batch
	maxTime   int64           // of the last batch
	sealed    map[int64]int64 // sizes of the segments at the last orderly end
	end       int64           // the next offset then
}

// checkLog reads the whole log. A torn tail, half a batch with nothing whole
// behind it that was never acknowledged, is cut off. Other damage is an error;
// with accept the files are kept aside and the log goes on without the records,
// whose offsets stay taken. It returns the number of batches.
func checkLog(dir string, accept bool, log *slog.Logger) (int, error) {
	c := &checker{dir: dir, accept: accept, log: log}
	parts, err := os.ReadDir(filepath.Join(dir, "partitions"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("check the log: %w", err)
	}
	for _, p := range parts {
		if err := c.partition(filepath.Join(dir, "partitions", p.Name())); err != nil {
			return 0, fmt.Errorf("check the log of %s: %w", p.Name(), err)
		}
	}
	if len(c.damage) > 0 && !accept {
		return 0, fmt.Errorf("%w: nothing was changed: put back a copy of %s, or start once with --kafka-accept-loss, which goes on without these records and keeps the damaged files: %w",
			ErrDamaged, dir, errors.Join(c.damage...))
	}
	return c.batches, nil
}

func (c *checker) partition(dir string) error {
	bases, err := segments(dir)
	if err != nil || len(bases) == 0 {
		return err
	}
	p := &partition{dir: dir, name: filepath.Base(dir), next: bases[0]}
	p.orderlyEnd()
	for i, base := range bases {
		if err := c.segment(p, base, bases[i+1:]); err != nil {
			return err
		}
	}
	return nil
}

// segments lists the base offsets of the segments that hold anything.
func segments(dir string) ([]int64, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".dat")
		base, errName := strconv.ParseInt(name, 10, 64)
		if !ok || errName != nil {
			continue
		}
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		if info.Size() > 0 {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases, nil
}

// orderlyEnd reads what kfake wrote at its last Close. Whatever stood in the
// files then was whole.
func (p *partition) orderlyEnd() {
	var snap struct {
		HighWatermark int64 `json:"high_watermark"`
		Segments      []struct {
			BaseOffset int64 `json:"base_offset"`
			Size       int64 `json:"size"`
		} `json:"segments"`
	}
	raw, err := os.ReadFile(filepath.Join(p.dir, "snapshot.json"))
	if err != nil || json.Unmarshal(raw, &snap) != nil {
		return // none yet: kfake reads the segments alone, and so do we
	}
	p.end, p.sealed = snap.HighWatermark, map[int64]int64{}
	for _, s := range snap.Segments {
		p.sealed[s.BaseOffset] = s.Size
	}
}

// segment checks one file. later are the bases of those behind it.
func (c *checker) segment(p *partition, base int64, later []int64) error {
	path := filepath.Join(p.dir, strconv.FormatInt(base, 10)+".dat")
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var (
		whole   []batch
		mended  []byte // the segment without what cannot be read; nil as long as it is as it should be
		damaged bool
	)
	lost := func(pos, end int, first, last int64) {
		damaged = true
		c.damage = append(c.damage, fmt.Errorf("%s: bytes %d to %d of %s do not read, offsets %d to %d are lost", p.name, pos, end-1, path, first, last))
		if mended == nil {
			mended = append([]byte{}, raw[:pos]...)
		}
		mended = filler(mended, first, last, p.epoch, p.maxTime)
	}
	if base > p.next { // a segment between this one and the one before is missing
		lost(0, 0, p.next, base-1)
		p.next = base
	}
	for pos := 0; pos < len(raw); {
		b, ok := batchAt(raw, pos)
		if !ok || b.first != p.next {
			if b, ok = batchAfter(raw, pos, p.next); ok {
				lost(pos, b.pos, p.next, b.first-1)
			}
		}
		if !ok {
			end := p.tailEnd(base, pos, later)
			if end <= p.next && len(later) == 0 {
				return errors.Join(c.torn(path, raw, pos), c.finish(p, path, raw, whole, mended, damaged))
			}
			lost(pos, len(raw), p.next, end-1)
			p.next = end
			break
		}
		if mended != nil {
			mended = append(mended, raw[b.pos:b.pos+b.size]...)
		}
		whole = append(whole, b)
		p.next, p.epoch, p.maxTime, pos = b.last+1, b.epoch, b.maxTime, b.pos+b.size
	}
	return c.finish(p, path, raw, whole, mended, damaged)
}

// tailEnd is the offset after the records that stood at pos, up to the end of
// the segment, as far as that is known: a segment follows, or the tail had been
// written before the last orderly end. 0 means that it is a torn tail.
func (p *partition) tailEnd(base int64, pos int, later []int64) int64 {
	switch {
	case len(later) > 0:
		return later[0]
	case int64(pos) < p.sealed[base]:
		return p.end
	default:
		return 0
	}
}

// torn cuts off what was being written when the process ended.
func (c *checker) torn(path string, raw []byte, pos int) error {
	c.log.Warn("half a batch at the end of the log is cut off, it was never acknowledged", "file", path, "bytes", len(raw)-pos)
	return os.Truncate(path, int64(pos))
}

// finish mends the segment, if that is wanted, and its index.
func (c *checker) finish(p *partition, path string, raw []byte, whole []batch, mended []byte, damaged bool) error {
	c.batches += len(whole)
	if damaged {
		if !c.accept {
			return nil
		}
		aside := filepath.Join(c.dir, "damaged", p.name, filepath.Base(path))
		if err := os.MkdirAll(filepath.Dir(aside), 0o700); err != nil {
			return err
		}
		if _, err := os.Stat(aside); err == nil {
			return fmt.Errorf("%s is there already: move it away first", aside)
		}
		if err := replace(aside, raw); err != nil {
			return fmt.Errorf("keep a copy of %s: %w", path, err)
		}
		if err := replace(path, mended); err != nil {
			return err
		}
		c.log.Error("the log goes on without records that cannot be read", "partition", p.name, "copy", aside, "err", c.damage[len(c.damage)-1])
		whole = nil
		for pos := 0; pos < len(mended); {
			b, _ := batchAt(mended, pos) // they were read or written a moment ago
			whole, pos = append(whole, b), pos+b.size
		}
	}
	at := strings.TrimSuffix(path, ".dat") + ".idx"
	old, err := os.ReadFile(at)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !damaged && indexFits(old, len(whole)) {
		return nil
	}
	return replace(at, index(whole))
}
