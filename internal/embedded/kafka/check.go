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
// batch that it cannot read, with everything behind it. It looks first and changes
// files afterwards: a start that is refused leaves the folder as it was.
type checker struct {
	dir    string
	log    *slog.Logger
	sums   sums
	damage []error
	mends  []func() error
}

// partition is a partition of the log while it is checked.
type partition struct {
	dir, name string
	bases     []int64         // first offsets of its segments
	next      int64           // the offset expected next
	epoch     int32           // of the last batch
	mostEpoch int32           // of the segments
	maxTime   int64           // of the last batch
	sealed    map[int64]int64 // sizes of the segments at the last orderly end
	end       int64           // the next offset then
}

// segmentFile is a segment while it is checked.
type segmentFile struct {
	path   string
	raw    []byte
	whole  []batch
	mended []byte // without what cannot be read; nil as long as nothing is wrong
}

// packed says that it is a pack, which has no index.
func (f *segmentFile) packed() bool { return strings.HasSuffix(f.path, packSuffix) }

func (f *segmentFile) index() string { return strings.TrimSuffix(f.path, ".dat") + ".idx" }

// checkLog reads the whole log. A torn tail, half a batch with nothing whole
// behind it that was never acknowledged, is cut off. Other damage is an error;
// with accept the damaged files are kept aside and the log goes on without the
// records, whose offsets stay taken.
func checkLog(dir string, accept bool, log *slog.Logger) error {
	c := &checker{dir: dir, log: log, sums: readSums(dir)}
	parts, err := os.ReadDir(filepath.Join(dir, "partitions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("check the log: %w", err)
	}
	for _, p := range parts {
		if err := c.partition(filepath.Join(dir, "partitions", p.Name())); err != nil {
			return fmt.Errorf("check the log of %s: %w", p.Name(), err)
		}
	}
	if err := c.besides(); err != nil {
		return fmt.Errorf("check the log: %w", err)
	}
	if len(c.damage) > 0 && !accept {
		return fmt.Errorf("%w: nothing was changed: put back a copy of %s, or start once with --kafka-accept-loss, which goes on without these records and keeps the damaged files: %w",
			ErrDamaged, dir, errors.Join(c.damage...))
	}
	for _, mend := range c.mends {
		if err := mend(); err != nil {
			return fmt.Errorf("mend the log: %w", err)
		}
	}
	return nil
}

func (c *checker) partition(dir string) error {
	packs, err := numbered(dir, packSuffix)
	if err != nil {
		return err
	}
	bases, err := segments(dir)
	if err != nil || len(packs)+len(bases) == 0 {
		return err
	}
	p := &partition{dir: dir, name: filepath.Base(dir), bases: bases, next: slices.Concat(packs, bases)[0]}
	c.orderlyEnd(p)
	if len(packs) > 0 {
		p.readEpoch()
	}
	for i, base := range packs {
		if err := c.segment(p, packPath(dir, base), base, packs[i+1:]); err != nil {
			return err
		}
	}
	packed := p.next
	if len(packs) > 0 && len(bases) > 0 {
		p.next = min(p.next, bases[0]) // kfake had not let go of what is packed
	}
	for i, base := range bases {
		path := filepath.Join(dir, strconv.FormatInt(base, 10)+".dat")
		if err := c.segment(p, path, base, bases[i+1:]); err != nil {
			return err
		}
	}
	if len(packs) > 0 && (len(bases) == 0 || p.next < packed) {
		c.goOn(p, len(bases) > 0, packed)
	}
	return nil
}

// readEpoch finds the latest leader epoch that a segment begins with. Without one
// it stays 0, what this broker's only leader has.
func (p *partition) readEpoch() {
	for _, base := range p.bases {
		head, err := readPart(filepath.Join(p.dir, strconv.FormatInt(base, 10)+".dat"), 0, batchHeader)
		if err != nil {
			continue // its damage is found later
		}
		b, _ := batchHead(head)
		p.mostEpoch = max(p.mostEpoch, b.epoch)
	}
}

// goOn plans a tail for a partition that has none behind its packs, or one that
// ends before they do: kfake takes the next offset from it. What was in the tail
// is packed or was never synced.
func (c *checker) goOn(p *partition, hasTail bool, end int64) {
	first := end - 1
	if hasTail {
		first = p.next
	}
	raw := filler(nil, first, end-1, p.epoch, p.maxTime)
	c.mends = append(c.mends, func() error {
		c.log.Warn("the log ends before its packs do and goes on behind them", "partition", p.name, "offset", end)
		path := filepath.Join(p.dir, strconv.FormatInt(first, 10)+".dat")
		if err := replace(path, raw); err != nil {
			return err
		}
		b, _ := batchAt(raw, 0)
		return replace(strings.TrimSuffix(path, ".dat")+".idx", index([]batch{b}))
	})
}

// segments lists the base offsets of the segments that hold anything.
func segments(dir string) ([]int64, error) { return numbered(dir, ".dat") }

// numbered lists the offsets in the names of the files that hold anything.
func numbered(dir, suffix string) ([]int64, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), suffix)
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

// orderlyEnd reads what kfake wrote at its last Close. Whatever was in the files
// then was whole.
func (c *checker) orderlyEnd(p *partition) {
	var snap struct {
		HighWatermark int64 `json:"high_watermark"`
		Segments      []struct {
			BaseOffset int64 `json:"base_offset"`
			Size       int64 `json:"size"`
		} `json:"segments"`
	}
	path := filepath.Join(p.dir, "snapshot.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return // none yet: kfake reads the segments alone, and so do we
	}
	if !c.sums.fit("partitions/"+p.name+"/snapshot.json", raw) || json.Unmarshal(raw, &snap) != nil {
		c.drop(path)
		return
	}
	p.end, p.sealed = snap.HighWatermark, map[int64]int64{}
	for _, s := range snap.Segments {
		p.sealed[s.BaseOffset] = s.Size
	}
}

// segment checks one file, a segment or a pack. later are the first offsets of
// those of its kind behind it.
func (c *checker) segment(p *partition, path string, base int64, later []int64) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f := &segmentFile{path: path, raw: raw}
	if base > p.next { // a segment between this one and the one before is missing
		c.lost(p, f, 0, 0, base)
	}
	for pos := 0; pos < len(raw); {
		b, ok := batchAt(raw, pos)
		if !ok || b.first != p.next || f.packed() && (b.epoch < p.epoch || b.epoch > p.mostEpoch) { // a batch's own checksum leaves its epoch out
			if b, ok = batchAfter(raw, pos, p.next); !ok {
				c.tail(p, f, pos, p.tailEnd(f, base, pos, later))
				break
			}
			c.lost(p, f, pos, b.pos, b.first)
		}
		f.whole = append(f.whole, b)
		if f.mended != nil {
			f.mended = append(f.mended, raw[b.pos:b.pos+b.size]...)
		}
		p.next, p.epoch, p.maxTime, pos = b.last+1, b.epoch, b.maxTime, b.pos+b.size
	}
	return c.finish(p, f)
}

// lost notes that the bytes from pos to end hold no whole batch, and that the
// records up to the offset next are gone with them.
func (c *checker) lost(p *partition, f *segmentFile, pos, end int, next int64) {
	what := fmt.Sprintf("bytes %d to %d of %s do not read", pos, end-1, f.path)
	if pos == end {
		what = "a file before " + f.path + " is missing"
	}
	if f.mended == nil {
		f.mended = slices.Clone(f.raw[:pos])
	}
	if again := p.again(f, next); again != nil {
		c.damage = append(c.damage, fmt.Errorf("%s: %s, offsets %d to %d stand in a segment too", p.name, what, p.next, next-1))
		f.mended = append(f.mended, again...)
	} else {
		c.damage = append(c.damage, fmt.Errorf("%s: %s, offsets %d to %d are lost", p.name, what, p.next, next-1))
		f.mended = filler(f.mended, p.next, next-1, p.epoch, p.maxTime)
	}
	p.next = next
}

// again reads the batches from the offset expected next up to another one from
// the segments, as long as kfake has not let go of what the pack f holds; nil
// when they are not all there.
func (p *partition) again(f *segmentFile, to int64) []byte {
	if !f.packed() {
		return nil
	}
	var found []byte
	next := p.next
	for _, base := range p.bases {
		path := filepath.Join(p.dir, strconv.FormatInt(base, 10)+".dat")
		_ = eachBatch(path, func(raw []byte, b batch) error { // its damage is found later
			if b.first == next && b.last < to {
				found, next = append(found, raw...), b.last+1
			}
			return nil
		})
	}
	if next != to {
		return nil
	}
	return found
}

// tail judges bytes with nothing whole behind them: end is the offset after the
// records that were there, 0 if none is known to have been there.
func (c *checker) tail(p *partition, f *segmentFile, pos int, end int64) {
	if end > p.next {
		c.lost(p, f, pos, len(f.raw), end)
		return
	}
	if f.packed() { // kfake still has what stood there, else an offset behind it would be known
		c.damage = append(c.damage, fmt.Errorf("%s: bytes %d to %d of %s do not read", p.name, pos, len(f.raw)-1, f.path))
		if f.mended == nil {
			f.mended = slices.Clone(f.raw[:pos])
		}
		return
	}
	if f.mended != nil {
		return // written anew, without it
	}
	c.mends = append(c.mends, func() error {
		c.log.Warn("half a batch at the end of the log is cut off, it was never acknowledged", "file", f.path, "bytes", len(f.raw)-pos)
		return os.Truncate(f.path, int64(pos))
	})
}

// tailEnd is the offset after the records that were at pos, up to the end of
// the segment, as far as that is known: a segment follows, or the tail had been
// written before the last orderly end. 0 means that it is a torn tail.
func (p *partition) tailEnd(f *segmentFile, base int64, pos int, later []int64) int64 {
	switch {
	case len(later) > 0:
		return later[0]
	case f.packed() && len(p.bases) == 0: // a pack is written whole or not at all
		return max(p.end, p.next+1)
	case f.packed() && p.bases[0] > p.next:
		return p.bases[0]
	case f.packed():
		return 0
	case int64(pos) < p.sealed[base]:
		return p.end
	default:
		return 0
	}
}

// finish plans how to repair the segment and its index.
func (c *checker) finish(p *partition, f *segmentFile) error {
	if f.mended != nil {
		c.mends = append(c.mends, func() error { return c.rewrite(p, f) })
		return nil
	}
	if f.packed() {
		f.raw = nil
		return nil
	}
	old, err := os.ReadFile(f.index())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !indexFits(old, len(f.whole)) {
		entries := index(f.whole)
		c.mends = append(c.mends, func() error { return replace(f.index(), entries) })
	}
	f.raw = nil // only a damaged segment stays in memory
	return nil
}

// rewrite keeps the damaged segment aside and writes it without what cannot be read.
func (c *checker) rewrite(p *partition, f *segmentFile) error {
	aside := filepath.Join(c.dir, "damaged", p.name, filepath.Base(f.path))
	if err := os.MkdirAll(filepath.Dir(aside), 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(aside); err == nil {
		return fmt.Errorf("%s is there already: move it away first", aside)
	}
	if err := replace(aside, f.raw); err != nil {
		return fmt.Errorf("keep a copy of %s: %w", f.path, err)
	}
	if err := replace(f.path, f.mended); err != nil {
		return err
	}
	c.log.Error("the log goes on without records that cannot be read", "partition", p.name, "copy", aside)
	if f.packed() {
		return nil
	}
	var whole []batch
	for pos := 0; pos < len(f.mended); {
		b, _ := batchAt(f.mended, pos) // they were read or written a moment ago
		whole, pos = append(whole, b), pos+b.size
	}
	return replace(f.index(), index(whole))
}
