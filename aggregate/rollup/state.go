package rollup

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// Keys of the state:
//
//	p | minute (8 B, big endian) | source (4 B, big endian) | tuple   → version and counts of a pane
//	r                                                                 → meta
//
// The minute leads, so that forgetting is one DeleteRange. The tuple is written
// in full, each field after its length, so that no two tuples share a key.
const (
	prefixPane = 'p'
	prefixMeta = 'r'
	// metaFormat is the first byte of the meta row. Pane rows have none: a
	// change of theirs is a change of Logic.
	metaFormat = 1
)

func metaKey() []byte { return []byte{prefixMeta} }

// paneFloor is the least key of a pane of the given minute or later.
func paneFloor(sent int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixPane}, uint64(sent))
}

// paneEnd is greater than the key of every pane.
func paneEnd() []byte { return []byte{prefixPane + 1} }

func appendPaneKey(b []byte, p *schemas.Pane) []byte {
	b = append(b, prefixPane)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Minute))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Source))
	t := &p.Tuple
	for _, s := range [...]string{
		t.Account, string(t.Channel), t.Sender, t.Country, t.Campaign, t.Template, t.Variant, t.Segment,
	} {
		b = statecodec.AppendText(b, s)
	}
	return b
}

// decodePaneKey reads minute, source and tuple back.
func decodePaneKey(b []byte) (schemas.Pane, error) {
	r := statecodec.NewReader(b)
	r.Format(prefixPane)
	var p schemas.Pane
	if head := r.Take(8 + 4); head != nil {
		p.Minute = int64(binary.BigEndian.Uint64(head))
		p.Source = int32(binary.BigEndian.Uint32(head[8:]))
	}
	p.Tuple = schemas.Tuple{
		Account: r.Text(), Channel: schemas.Channel(r.Text()), Sender: r.Text(), Country: r.Text(),
		Campaign: r.Text(), Template: r.Text(), Variant: r.Text(), Segment: r.Text(),
	}
	if err := r.End(); err != nil {
		return schemas.Pane{}, fmt.Errorf("read pane key: %w", err)
	}
	return p, nil
}

// appendPane writes version and counts of p: what rates need of it and no more.
func appendPane(b []byte, p *schemas.Pane) []byte {
	b = statecodec.AppendUint(b, uint64(p.Version))
	b = statecodec.AppendInt(b, p.Counts.Sent)
	return appendHistograms(b, p.Counts.Outcomes[:])
}

// appendHistograms writes the outcomes in their order. All buckets are kept, so
// that another choice of ages needs no rebuild. Each histogram is a bit set of
// its non-zero buckets, and those: most are zero.
func appendHistograms(b []byte, hs []schemas.Histogram) []byte {
	for o := range hs {
		h := &hs[o]
		var set uint64
		for i, n := range h {
			if n != 0 {
				set |= 1 << i
			}
		}
		b = statecodec.AppendUint(b, set)
		for ; set != 0; set &= set - 1 {
			b = statecodec.AppendInt(b, h[bits.TrailingZeros64(set)])
		}
	}
	return b
}

// decodePane reads version and counts into p.
func decodePane(b []byte, p *schemas.Pane) error {
	r := statecodec.NewReader(b)
	p.Version = int64(r.Uint())
	p.Counts = schemas.Counts{Sent: r.Int()}
	if p.Version < 0 {
		r.Fail(statecodec.ErrRange)
	}
	readHistograms(r, p.Counts.Outcomes[:])
	if err := r.End(); err != nil {
		return fmt.Errorf("read pane: %w", err)
	}
	return nil
}

// readHistograms reads what appendHistograms wrote.
func readHistograms(r *statecodec.Reader, hs []schemas.Histogram) {
	for o := range hs {
		h := &hs[o]
		set := r.Uint()
		if set >= 1<<len(h) {
			r.Fail(statecodec.ErrRange)
			return
		}
		for ; set != 0; set &= set - 1 {
			h[bits.TrailingZeros64(set)] = r.Int()
		}
	}
}

// meta is the part of the state that is one row.
type meta struct {
	// dclock is the running maximum of min(pane's D-clock, record timestamp).
	dclock schemas.Instant
	// completeFrom is the earliest minute whose panes are still remembered: what
	// lies before has been forgotten. 0 means that nothing has.
	completeFrom int64
	// next is the `at` that closes next; 0 before the first watermark.
	next    int64
	sources task.Sources
}

func appendMeta(b []byte, m *meta) []byte {
	b = append(b, metaFormat)
	b = statecodec.AppendInt(b, int64(m.dclock))
	b = statecodec.AppendUint(b, uint64(m.completeFrom))
	b = statecodec.AppendUint(b, uint64(m.next))
	status := m.sources.Status()
	b = statecodec.AppendUint(b, uint64(len(status)))
	for _, s := range status {
		// A source that has not been heard is 0, a heard one its next offset + 1.
		var next uint64
		if s.Heard {
			next = uint64(s.NextOffset + 1)
		}
		b = statecodec.AppendUint(b, next)
		b = statecodec.AppendInt(b, int64(s.CompleteTo))
	}
	return b
}

func decodeMeta(b []byte) (meta, error) {
	r := statecodec.NewReader(b)
	r.Format(metaFormat)
	m := meta{dclock: schemas.Instant(r.Int()), completeFrom: int64(r.Uint()), next: int64(r.Uint())}
	n := r.Uint()
	if m.completeFrom < 0 || m.completeFrom%minute != 0 || m.next < 0 || m.next%minute != 0 || n > task.MaxSources {
		r.Fail(statecodec.ErrRange)
	}
	var status []task.SourceStatus
	for i := uint64(0); i < n && r.Err() == nil; i++ {
		next := r.Uint()
		s := task.SourceStatus{Heard: next > 0, CompleteTo: schemas.Instant(r.Int())}
		if s.Heard {
			s.NextOffset = int64(next - 1)
		}
		if s.NextOffset < 0 {
			r.Fail(statecodec.ErrRange)
		}
		status = append(status, s)
	}
	if err := r.End(); err != nil {
		return meta{}, fmt.Errorf("read meta: %w", err)
	}
	m.sources = task.RestoreSources(status)
	return m, nil
}
