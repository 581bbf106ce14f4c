package kafka

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// pack is one pass over all partitions: kfake lets go of what an earlier pass
// has packed, then the segments that are not written to any more are packed.
//
// What a crash leaves at each step: while a pack is written, a .tmp file that
// the next start clears away; before kfake has let go, the same records in both,
// of which the packed ones are served; after it, the pack.
func (b *Broker) pack(ctx context.Context) error {
	p := b.packs
	places, deleted, err := p.reload()
	if err != nil {
		return err
	}
	starts, err := p.offsets(tailStart, func(ask func(place)) {
		for _, at := range places {
			ask(at)
		}
	})
	if err != nil {
		return err
	}
	if err := p.trimTails(starts); err != nil {
		return err
	}
	var errs []error
	for at, start := range starts {
		if ctx.Err() != nil {
			break // the next start goes on
		}
		if err := b.packPartition(at, start, deleted); err != nil {
			errs = append(errs, fmt.Errorf("pack the log of %s-%d: %w", at.topic, at.partition, err))
		}
	}
	return errors.Join(errs...)
}

// reload reads the packs of logs that forget has left without, because their
// topic was not deleted after all. It returns the partitions there are and, counted
// before these were looked for, how many deletions of topics there had been.
func (p *packs) reload() (places []place, deleted int, err error) {
	p.mu.RLock()
	deleted = p.mu.deleted
	known := make(map[place]bool, len(p.mu.logs))
	for at := range p.mu.logs {
		known[at] = true
	}
	p.mu.RUnlock()
	if places, err = p.places(); err != nil {
		return nil, 0, err
	}
	for _, at := range places {
		if known[at] {
			continue
		}
		if err := p.load(at); err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
			return nil, 0, fmt.Errorf("read the packs of %s-%d: %w", at.topic, at.partition, err)
		}
	}
	return places, deleted, nil
}

// trimTails has kfake delete what was packed a pass ago. starts is where its
// tails begin.
func (p *packs) trimTails(starts map[place]int64) error {
	ask := kmsg.NewPtrDeleteRecordsRequest()
	ask.TimeoutMillis = tailOnly
	p.mu.Lock()
	for at, l := range p.mu.logs {
		if start, ok := starts[at]; ok && l.trim > start {
			t := kmsg.NewDeleteRecordsRequestTopic()
			part := kmsg.NewDeleteRecordsRequestTopicPartition()
			part.Partition, part.Offset = at.partition, l.trim
			t.Topic, t.Partitions = at.topic, append(t.Partitions, part)
			ask.Topics = append(ask.Topics, t)
		}
		l.trim = l.end()
	}
	p.mu.Unlock()
	if len(ask.Topics) == 0 {
		return nil
	}
	answer, err := p.ask(ask)
	if err != nil {
		return fmt.Errorf("delete from the tail what is packed: %w", err)
	}
	if err := trimmed(answer.(*kmsg.DeleteRecordsResponse)); err != nil {
		return err
	}
	return p.did("the tail let go of")
}

func trimmed(resp *kmsg.DeleteRecordsResponse) error {
	var errs []error
	for _, t := range resp.Topics {
		for _, part := range t.Partitions {
			if part.ErrorCode != 0 {
				errs = append(errs, fmt.Errorf("delete from the tail of %s-%d what is packed: code %d", t.Topic, part.Partition, part.ErrorCode))
			}
		}
	}
	return errors.Join(errs...)
}

// packPartition packs the segments of a partition that are not written to any
// more. The last one that holds anything stays: kfake takes the next offset from it.
func (b *Broker) packPartition(at place, start int64, deleted int) error {
	dir := at.dir(b.packs.dir)
	bases, err := segments(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(bases); i++ {
		b.packs.mu.RLock()
		next := b.packs.mu.logs[at].end()
		b.packs.mu.RUnlock()
		if bases[i+1] <= max(next, start) {
			continue // packed, or deleted
		}
		path := filepath.Join(dir, strconv.FormatInt(bases[i], 10)+".dat")
		if err := b.packSegment(at, path, segment{next: max(next, bases[i]), end: bases[i+1], floor: start, deleted: deleted}); err != nil {
			return err
		}
	}
	return nil
}

// segment is one to pack: the offsets from next to end; the log begins at floor,
// and deleted is what packs.reload returned.
type segment struct {
	next, end, floor int64
	deleted          int
}

func (b *Broker) packSegment(at place, path string, s segment) error {
	if free, err := b.guard.free(b.guard.dir); err == nil && free < doorReserve+2*packFileBytes {
		return fmt.Errorf("%w: it has %d bytes left", ErrNoRoom, free)
	}
	w := b.packer
	w.reset()
	first := s.next
	err := eachBatch(path, func(raw []byte, one batch) error {
		if one.last < s.next {
			return nil // in a pack before: the process ended between two packs of one segment
		}
		if one.first != s.next {
			return fmt.Errorf("%w: %s goes on at offset %d instead of %d", ErrDamaged, path, one.first, s.next)
		}
		if err := w.add(raw, one); err != nil {
			return err
		}
		s.next = one.last + 1
		if len(w.out) < w.fileBytes {
			return nil
		}
		err := b.keep(at, first, s)
		first = s.next
		return err
	})
	if err == nil && s.next != s.end {
		err = fmt.Errorf("%w: %s ends at offset %d instead of %d", ErrDamaged, path, s.next, s.end)
	}
	if err == nil && first < s.next {
		err = b.keep(at, first, s)
	}
	return err
}

// keep writes the pack that begins at first, makes it known and begins the next.
func (b *Broker) keep(at place, first int64, s segment) error {
	w := b.packer
	defer w.reset()
	w.flush()
	if err := w.check(first); err != nil {
		return err
	}
	path := packPath(at.dir(b.packs.dir), first)
	if err := replace(path, w.out); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	if err := b.packs.did("a pack written"); err != nil {
		return err
	}
	f := packFile{path: path, size: int64(len(w.out))}
	for pos := 0; pos < len(w.out); {
		one, _ := batchAt(w.out, pos) // check has read them
		f.note(one, int64(pos))
		pos += one.size
	}
	f.batches = slices.Clip(f.batches)
	if err := b.packs.add(at, f, s.floor, s.deleted); err != nil {
		return err
	}
	return b.packs.did("a pack served")
}

// floor moves an offset down to where its pack begins: retention deletes whole
// packs, at most one file later than it could.
func (p *packs) floor(at place, offset int64) int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if f := p.mu.logs[at].holding(offset); f != nil {
		return max(f.first, p.mu.logs[at].start)
	}
	return offset
}
