package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/bluetick/bluetick/schemas"
)

// Layout versions of the values. Another number is another build's state.
const (
	stateLayout = 1
	// clampedLayout is the same with a byte that says which times are clamped, after
	// the one that says which are seen; written only where one is.
	clampedLayout = 2
	panesLayout   = 1
)

// errShort is the one error of a reader: the value ends early, holds a number
// out of range, or has bytes left over.
var errShort = errors.New("value is cut or damaged")

// reader consumes a value from the front. After the first mistake it returns
// zeros; ok reports at the end whether there was one.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// bytes returns the next n bytes, which alias the value.
func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if v := r.bytes(1); len(v) == 1 {
		return v[0]
	}
	return 0
}

func (r *reader) layout(want byte) {
	if r.byte() != want {
		r.bad, r.b = true, nil
	}
}

func (r *reader) done() error {
	if r.bad || len(r.b) > 0 {
		return errShort
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// words returns strings without allocating those it has met: categories and
// currencies, a few dozen in practice.
type words map[string]string

// maxWords bounds the table against a provider that invents categories.
const maxWords = 4096

func (w words) of(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	if len(w) >= maxWords {
		clear(w)
	}
	s := string(b)
	w[s] = s
	return s
}

// stateCodec reads and writes the value of a message row:
//
//	layout (1) · seen (1) · [clamped (1)] · tuple id · [first time] [others − first …]
//	[failure code · category, if failed]
//	one byte per field: origin (3 bits) · source (2 bits)
//	one byte for the charge: origin (3 bits) · billable · has amount
//	[category, and currency and micros if there is an amount]
//	the origins: revision … see appendOrigins
//
// Fields of one event share its origin, so a message whose dimensions came with
// one event stores 16 bytes of event id once.
type stateCodec struct {
	words words
	// revised are the distinct (revision, origin) of one value, at most one per
	// field and one for the charge.
	revised [maxOrigins]revised
	n       int
}

// maxOrigins fits 3 bits with 0 for none.
const maxOrigins = int(fields) + 1

// revised is an origin with the revision of the decoder that made the event; a
// charge has none.
type revised struct {
	revision uint8
	from     origin
}

const (
	sourceShift   = 3
	originMask    = 1<<sourceShift - 1
	chargeBilled  = 1 << 3
	chargeKnown   = 1 << 4
	sourceMaxBits = 1<<2 - 1
)

// number returns the place of o among the origins, from 1, adding it if new.
func (c *stateCodec) number(o revised) byte {
	i := slices.Index(c.revised[:c.n], o)
	if i < 0 {
		i = c.n
		c.revised[i] = o
		c.n++
	}
	return byte(i + 1)
}

// append writes s, whose tuple has the given id.
func (c *stateCodec) append(b []byte, s *State, tuple uint32) []byte {
	c.n = 0
	if s.clamped == 0 {
		b = append(b, stateLayout, s.seen)
	} else {
		b = append(b, clampedLayout, s.seen, s.clamped)
	}
	b = binary.AppendUvarint(b, uint64(tuple))
	base, first := int64(0), true
	for f := range facts {
		if !s.has(f) {
			continue
		}
		b = binary.AppendVarint(b, s.at[f]-base)
		if first {
			base, first = s.at[f], false
		}
	}
	if s.has(factFailed) {
		b = binary.AppendVarint(b, int64(s.failCode))
		b = appendString(b, s.failCategory)
	}
	for f := range s.fields {
		var v byte
		if r := &s.fields[f]; r.value != "" {
			v = c.number(revised{r.revision, r.from}) | byte(r.source)<<sourceShift
		}
		b = append(b, v)
	}
	b = c.appendCharge(b, &s.charge)
	for _, o := range c.revised[:c.n] {
		b = append(b, o.revision)
		b = binary.AppendVarint(b, int64(o.from.at)-base*1000)
		b = append(b, o.from.id[:]...)
	}
	return b
}

func (c *stateCodec) appendCharge(b []byte, ch *charge) []byte {
	if !ch.set {
		return append(b, 0)
	}
	v := c.number(revised{0, ch.from})
	if ch.cost.Billable {
		v |= chargeBilled
	}
	if ch.cost.HasAmount {
		v |= chargeKnown
	}
	b = appendString(append(b, v), ch.cost.Category)
	if ch.cost.HasAmount {
		b = appendString(b, ch.cost.Currency)
		b = binary.AppendVarint(b, ch.cost.Micros)
	}
	return b
}

// seenOf reads only which facts a value holds.
func seenOf(b []byte) (uint8, error) {
	if len(b) < 2 || b[0] != stateLayout && b[0] != clampedLayout {
		return 0, errShort
	}
	return b[1], nil
}

// decode reads a value. tuple finds the tuple of an id and reports whether
// there is one; the state's strings are shared with it.
func (c *stateCodec) decode(b []byte, tuple func(id uint32) *tuple) (s State, t *tuple, err error) {
	r := reader{b: b}
	layout := r.byte()
	s.seen = r.byte()
	if layout == clampedLayout {
		s.clamped = r.byte()
		r.bad = r.bad || s.clamped == 0 || s.clamped&^s.seen != 0
	} else {
		r.bad = r.bad || layout != stateLayout
	}
	id := r.uvarint()
	base, first := int64(0), true
	for f := range facts {
		if !s.has(f) {
			continue
		}
		s.at[f] = base + r.varint()
		if first {
			base, first = s.at[f], false
		}
	}
	if s.has(factFailed) {
		code := r.varint()
		s.failCode = int32(code)
		r.bad = r.bad || int64(s.failCode) != code
		s.failCategory = c.words.of(r.bytes(r.uvarint()))
	}
	var numbers [fields]byte
	copy(numbers[:], r.bytes(uint64(fields)))
	number := c.readCharge(&r, &s.charge)
	c.readOrigins(&r, base)
	if err := r.done(); err != nil {
		return State{}, nil, err
	}
	if t = tuple(uint32(id)); t == nil || id > uint64(^uint32(0)) {
		return State{}, nil, fmt.Errorf("tuple %d is not there", id)
	}
	if err := c.resolve(&s, t, &numbers, number); err != nil {
		return State{}, nil, err
	}
	return s, t, nil
}

// readCharge returns the number of the charge's origin.
func (c *stateCodec) readCharge(r *reader, ch *charge) byte {
	v := r.byte()
	if v == 0 {
		return 0
	}
	ch.set = true
	ch.cost.Billable, ch.cost.HasAmount = v&chargeBilled != 0, v&chargeKnown != 0
	ch.cost.Category = c.words.of(r.bytes(r.uvarint()))
	if ch.cost.HasAmount {
		ch.cost.Currency = c.words.of(r.bytes(r.uvarint()))
		ch.cost.Micros = r.varint()
	}
	return v & originMask
}

func (c *stateCodec) readOrigins(r *reader, base int64) {
	for c.n = 0; len(r.b) > 0 && c.n < maxOrigins; c.n++ {
		o := &c.revised[c.n]
		o.revision = r.byte()
		o.from.at = schemas.Instant(base*1000 + r.varint())
		copy(o.from.id[:], r.bytes(uint64(len(o.from.id))))
	}
}

// resolve puts values and origins into the registers.
func (c *stateCodec) resolve(s *State, t *tuple, numbers *[fields]byte, number byte) error {
	s.account, s.channel = t.Account, t.Channel
	for f, value := range [fields]string{
		fieldSender: t.Sender, fieldCountry: t.Country, fieldCampaign: t.Campaign,
		fieldTemplate: t.Template, fieldVariant: t.Variant, fieldSegment: t.Segment,
	} {
		i := int(numbers[f] & originMask)
		if i > c.n || (i == 0) != (value == "") {
			return errShort
		}
		if i > 0 {
			o := &c.revised[i-1]
			s.fields[f] = register{value, schemas.DimensionSource(numbers[f] >> sourceShift & sourceMaxBits), o.revision, o.from}
		}
	}
	if !s.charge.set {
		return nil
	}
	if number == 0 || int(number) > c.n {
		return errShort
	}
	s.charge.from = c.revised[number-1].from
	return nil
}

// appendCounts writes the value of a pane row: layout, sent, recovered, late,
// each histogram as the mask of its buckets that are not zero and their values,
// the maps in key order.
func appendCounts(b []byte, c *schemas.Counts) []byte {
	b = append(b, panesLayout)
	b = binary.AppendVarint(b, c.Sent)
	b = binary.AppendVarint(b, c.Recovered)
	b = binary.AppendVarint(b, c.Late)
	for o := range c.Outcomes {
		h := &c.Outcomes[o]
		var mask uint64
		for i, n := range h {
			if n != 0 {
				mask |= 1 << i
			}
		}
		b = binary.AppendUvarint(b, mask)
		for _, n := range h {
			if n != 0 {
				b = binary.AppendVarint(b, n)
			}
		}
	}
	for _, m := range [...]map[string]int64{c.Failures, c.CostMicros, c.Billable} {
		b = binary.AppendUvarint(b, uint64(len(m)))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			b = appendString(b, k)
			b = binary.AppendVarint(b, m[k])
		}
	}
	return b
}

// decodeCounts reads what appendCounts wrote.
func decodeCounts(b []byte, w words) (schemas.Counts, error) {
	var c schemas.Counts
	r := reader{b: b}
	r.layout(panesLayout)
	c.Sent, c.Recovered, c.Late = r.varint(), r.varint(), r.varint()
	for o := range c.Outcomes {
		h := &c.Outcomes[o]
		mask := r.uvarint()
		r.bad = r.bad || mask >= 1<<schemas.Buckets
		for i := range h {
			if mask&(1<<i) != 0 {
				h[i] = r.varint()
			}
		}
	}
	for _, m := range [...]*map[string]int64{&c.Failures, &c.CostMicros, &c.Billable} {
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			k := w.of(r.bytes(r.uvarint()))
			addTo(m, k, r.varint())
		}
	}
	if err := r.done(); err != nil {
		return schemas.Counts{}, err
	}
	return c, nil
}
