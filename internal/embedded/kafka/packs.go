package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// packSuffix ends the name of a pack; before it stands its first offset.
const packSuffix = ".pack"

// packs are the packed part of all logs. kfake holds the tail of each: its
// youngest segments. Everything before an offset, the log's end of packs, is
// served from here. Safe for concurrent use.
type packs struct {
	dir string                                                        // immutable
	log *slog.Logger                                                  // immutable
	ask func(req kmsg.Request) (kmsg.Response, error)                 // asks kfake about the tail; immutable once clients are let in
	run func(fn func() (kmsg.Response, error)) (kmsg.Response, error) // waits outside kfake's request goroutine; immutable likewise
	// mostWait is how long a fetch may wait for records; immutable.
	mostWait time.Duration
	// after is told of each step that would outlast a crash, and ends the work with
	// its error; tests only, else nil.
	after func(step string) error
	mu    struct {
		sync.RWMutex
		logs  map[place]*packedLog
		names map[[16]byte]string // of topics, by id
		// deleted counts requests that delete topics: a pack made meanwhile is dropped.
		deleted int
	}
}

// place names a partition.
type place struct {
	topic     string
	partition int32
}

func (p place) dir(root string) string {
	return filepath.Join(root, "partitions", url.PathEscape(p.topic)+"-"+strconv.Itoa(int(p.partition)))
}

// packedLog is the packed part of one partition. Guarded by packs.mu.
type packedLog struct {
	start int64 // offsets before it are deleted
	files []packFile
	// trim is how far the tail may let go of what is packed. It follows end one
	// pass later, so that a fetch that kfake holds back still finds its records.
	trim int64
}

// packFile is what is known of a pack.
type packFile struct {
	path        string
	first, next int64 // offsets
	maxTime     int64
	size        int64
	batches     []packBatch
}

// packBatch is a batch of a pack; it ends where the next one begins.
type packBatch struct {
	first, maxTime int64
	pos            uint32
}

// packEntry is how many bytes of memory a batch of a pack costs.
const packEntry = 24

// end is the offset after the packed records; 0 if there are none.
func (l *packedLog) end() int64 {
	if l == nil || len(l.files) == 0 {
		return 0
	}
	return l.files[len(l.files)-1].next
}

// openPacks reads where the batches of all packs begin. checkLog has read them
// whole.
func openPacks(dir string, mostWait time.Duration, log *slog.Logger) (*packs, error) {
	p := &packs{dir: dir, log: log, mostWait: mostWait}
	p.mu.logs, p.mu.names = map[place]*packedLog{}, map[[16]byte]string{}
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	for _, at := range places {
		if err := p.load(at); err != nil {
			return nil, fmt.Errorf("read the packs of %s-%d: %w", at.topic, at.partition, err)
		}
	}
	return p, nil
}

// places are the partitions that have a folder.
func (p *packs) places() ([]place, error) {
	parts, err := os.ReadDir(filepath.Join(p.dir, "partitions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var places []place
	for _, part := range parts {
		if at, ok := placeOf(part.Name()); ok {
			places = append(places, at)
		}
	}
	return places, nil
}

// placeOf reads the name of a partition's folder.
func placeOf(folder string) (place, bool) {
	i := strings.LastIndexByte(folder, '-')
	if i < 0 {
		return place{}, false
	}
	topic, err := url.PathUnescape(folder[:i])
	partition, errNumber := strconv.ParseInt(folder[i+1:], 10, 32)
	return place{topic, int32(partition)}, err == nil && errNumber == nil
}

func (p *packs) load(at place) error {
	dir := at.dir(p.dir)
	bases, err := numbered(dir, packSuffix)
	if err != nil || len(bases) == 0 {
		return err
	}
	l := &packedLog{}
	for _, base := range bases {
		f, err := readPack(packPath(dir, base))
		if err != nil {
			return err
		}
		if end := l.end(); end != 0 && f.first != end {
			return fmt.Errorf("%w: %s begins at offset %d, the one before ends at %d", ErrDamaged, f.path, f.first, end)
		}
		l.files = append(l.files, f)
	}
	l.start, l.trim = l.files[0].first, l.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.logs[at] = l
	return nil
}

func packPath(dir string, first int64) string {
	return filepath.Join(dir, strconv.FormatInt(first, 10)+packSuffix)
}

// readPack reads the heads of a pack's batches.
func readPack(path string) (packFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return packFile{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return packFile{}, err
	}
	pack := packFile{path: path, size: info.Size()}
	var head [batchHeader]byte
	for pos := int64(0); pos < pack.size; {
		if _, err := f.ReadAt(head[:], pos); err != nil {
			return packFile{}, fmt.Errorf("%s, byte %d: %w", path, pos, err)
		}
		b, size := batchHead(head[:])
		if size < batchHeader || pos+size > pack.size {
			return packFile{}, fmt.Errorf("%w: %s, byte %d: no whole batch", ErrDamaged, path, pos)
		}
		pack.note(b, pos)
		pos += size
	}
	if len(pack.batches) == 0 {
		return packFile{}, fmt.Errorf("%w: %s is empty", ErrDamaged, path)
	}
	return pack, nil
}

// note adds the batch at pos to what is known of the pack.
func (f *packFile) note(b batch, pos int64) {
	if len(f.batches) == 0 {
		f.first, f.maxTime = b.first, b.maxTime
	}
	f.batches = append(f.batches, packBatch{first: b.first, maxTime: b.maxTime, pos: uint32(pos)})
	f.next, f.maxTime = b.last+1, max(f.maxTime, b.maxTime)
}

// end of the batch i, as offset and as byte.
func (f *packFile) end(i int) (next, pos int64) {
	if i+1 < len(f.batches) {
		return f.batches[i+1].first, int64(f.batches[i+1].pos)
	}
	return f.next, f.size
}

// holding finds the pack that holds the offset; nil when the tail does, or
// nobody any more.
func (l *packedLog) holding(offset int64) *packFile {
	if l == nil || offset < l.start || offset >= l.end() {
		return nil
	}
	i, found := slices.BinarySearchFunc(l.files, offset, func(f packFile, o int64) int {
		switch {
		case f.next <= o:
			return -1
		case f.first > o:
			return 1
		default:
			return 0
		}
	})
	if !found {
		return nil
	}
	return &l.files[i]
}

// add makes a new pack known. after is what deletions returned when its records
// were read; floor is where the log began then.
func (p *packs) add(at place, f packFile, floor int64, after int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.mu.logs[at]
	switch {
	case p.mu.deleted != after:
		return errors.Join(errors.New("topics were deleted meanwhile"), os.Remove(f.path))
	case l == nil:
		l = &packedLog{start: max(f.first, floor)}
		p.mu.logs[at] = l
	case l.end() != f.first:
		return errors.Join(fmt.Errorf("BUG: the pack begins at offset %d, the packed log ends at %d", f.first, l.end()), os.Remove(f.path))
	}
	l.files = append(l.files, f)
	return nil
}

// drop deletes the records of a log up to an offset, as far as they are packed.
// A pack goes when all of it is deleted.
func (p *packs) drop(at place, to int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.mu.logs[at]
	if l == nil {
		return nil
	}
	l.start = max(l.start, to)
	for len(l.files) > 0 && l.files[0].next <= to {
		if err := os.Remove(l.files[0].path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete a pack: %w", err)
		}
		l.files = l.files[1:]
		if err := p.did("a pack deleted"); err != nil {
			return err
		}
	}
	if len(l.files) == 0 {
		delete(p.mu.logs, at)
	}
	return nil
}

// did tells of a step.
func (p *packs) did(step string) error {
	if p.after == nil {
		return nil
	}
	return p.after(step)
}

// forget is called when topics are to be deleted: kfake removes their folders.
// Whatever is still there at the next pass is read again.
func (p *packs) forget(req *kmsg.DeleteTopicsRequest) {
	names := req.TopicNames
	for _, t := range req.Topics {
		if t.Topic != nil {
			names = append(names, *t.Topic)
		} else {
			names = append(names, p.name(t.TopicID))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.deleted++
	for at := range p.mu.logs {
		if slices.Contains(names, at.topic) {
			delete(p.mu.logs, at)
		}
	}
}

// name returns the topic with this id, or "". kfake writes topics.json before it
// answers who makes a topic.
func (p *packs) name(id [16]byte) string {
	p.mu.RLock()
	name := p.mu.names[id]
	p.mu.RUnlock()
	if name != "" {
		return name
	}
	var list topicList
	raw, err := os.ReadFile(filepath.Join(p.dir, "topics.json"))
	if err != nil || json.Unmarshal(raw, &list) != nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range list.Topics {
		if len(t.ID) == 16 {
			p.mu.names[[16]byte(t.ID)] = t.Name
		}
	}
	return p.mu.names[id]
}
