package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/bluetick/bluetick/schemas"
)

// Keys of the state:
//
//	p | minute (8 B, big endian) | source (4 B, big endian) | tuple   → version and counts of a pane
//	r                                                                 → meta
//
// The minute leads, so that forgetting is one DeleteRange; the tuple stands
// there in full, each field after its length, so that no two tuples share a key.
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
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

var (
	errShort = errors.New("cut short")
	errExtra = errors.New("bytes left over")
	errRange = errors.New("value out of range")
)

// reader takes fields off a byte string; the first error sticks.
type reader struct {
	b   []byte
	err error
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string { return string(r.take(r.uvarint())) }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errExtra
	}
	return r.err
}

// decodePaneKey reads minute, source and tuple back.
func decodePaneKey(b []byte) (schemas.Pane, error) {
	r := reader{b: b}
	head := r.take(1 + 8 + 4)
	if r.err != nil || head[0] != prefixPane {
		return schemas.Pane{}, fmt.Errorf("state: pane key: %w", errShort)
	}
	p := schemas.Pane{
		Minute: int64(binary.BigEndian.Uint64(head[1:])),
		Source: int32(binary.BigEndian.Uint32(head[9:])),
	}
	p.Tuple = schemas.Tuple{
		Account: r.text(), Channel: schemas.Channel(r.text()), Sender: r.text(), Country: r.text(),
		Campaign: r.text(), Template: r.text(), Variant: r.text(), Segment: r.text(),
	}
	if err := r.end(); err != nil {
		return schemas.Pane{}, fmt.Errorf("state: pane key: %w", err)
	}
	return p, nil
}

// appendPane writes version and counts of p: what rates need of it and no more.
func appendPane(b []byte, p *schemas.Pane) []byte {
	b = binary.AppendUvarint(b, uint64(p.Version))
	b = binary.AppendVarint(b, p.Counts.Sent)
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
		b = binary.AppendUvarint(b, set)
		for ; set != 0; set &= set - 1 {
			b = binary.AppendVarint(b, h[bits.TrailingZeros64(set)])
		}
	}
	return b
}

// decodePane reads version and counts into p.
func decodePane(b []byte, p *schemas.Pane) error {
	r := reader{b: b}
	p.Version = int64(r.uvarint())
	p.Counts = schemas.Counts{Sent: r.varint()}
	if p.Version < 0 {
		r.fail(errRange)
	}
	r.histograms(p.Counts.Outcomes[:])
	if err := r.end(); err != nil {
		return fmt.Errorf("state: pane: %w", err)
	}
	return nil
}

// histograms reads what appendHistograms wrote.
func (r *reader) histograms(hs []schemas.Histogram) {
	for o := range hs {
		h := &hs[o]
		set := r.uvarint()
		if set >= 1<<len(h) {
			r.fail(errRange)
			return
		}
		for ; set != 0; set &= set - 1 {
			h[bits.TrailingZeros64(set)] = r.varint()
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
	sources sources
}

func appendMeta(b []byte, m *meta) []byte {
	b = append(b, metaFormat)
	b = binary.AppendVarint(b, int64(m.dclock))
	b = binary.AppendUvarint(b, uint64(m.completeFrom))
	b = binary.AppendUvarint(b, uint64(m.next))
	b = binary.AppendUvarint(b, uint64(len(m.sources.heard)))
	for _, h := range m.sources.heard {
		// An unheard source is 0, a heard one its next offset + 1.
		b = binary.AppendUvarint(b, uint64(h.nextOffset+1))
		b = binary.AppendVarint(b, int64(h.completeTo))
	}
	return b
}

func decodeMeta(b []byte) (meta, error) {
	r := reader{b: b}
	if format := r.take(1); r.err != nil || format[0] != metaFormat {
		return meta{}, fmt.Errorf("state: meta: %w", errRange)
	}
	m := meta{dclock: schemas.Instant(r.varint()), completeFrom: int64(r.uvarint()), next: int64(r.uvarint())}
	n := r.uvarint()
	if m.completeFrom < 0 || m.completeFrom%minute != 0 || m.next < 0 || m.next%minute != 0 || n > maxSources {
		r.fail(errRange)
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		s := source{nextOffset: int64(r.uvarint()) - 1, completeTo: schemas.Instant(r.varint())}
		if s.nextOffset < unheard {
			r.fail(errRange)
		}
		m.sources.heard = append(m.sources.heard, s)
	}
	if err := r.end(); err != nil {
		return meta{}, fmt.Errorf("state: meta: %w", err)
	}
	return m, nil
}
