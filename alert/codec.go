package alert

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/bluetick/bluetick/schemas"
)

// Keys of the fold's state: one byte of kind, then
//
//	s | digest of (rule, series)  → series
//	o | position                  → transition whose notification is pending
//	t | incident key              → one byte: somebody was told that it fires
//	m                             → meta
const (
	kindSeries  = 's'
	kindPending = 'o'
	kindTold    = 't'
	kindMeta    = 'm'
)

func prefixed(kind byte, k schemas.Key) []byte { return append([]byte{kind}, k[:]...) }

func (a seriesID) key() []byte {
	return prefixed(kindSeries, schemas.DigestKey(a.rule, a.id.Account, string(a.id.Grouping), a.id.Key().String()))
}

// stateVersion is the first byte of every value; another layout is another
// Logic and with it another state directory.
const stateVersion = 1

// errState is wrapped by every complaint about stored bytes.
var errState = errors.New("alert state is damaged")

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// encode is the stored form of s.
func (s *series) encode() []byte {
	b := []byte{stateVersion}
	for _, v := range []string{
		s.rule, s.id.Account, string(s.id.Grouping), string(s.id.Channel), s.id.Sender, s.id.Campaign, s.id.Variant,
		string(s.incident.Severity), string(s.settledSeverity),
	} {
		b = appendText(b, v)
	}
	b = appendBool(b, s.active)
	for _, v := range []int64{s.incident.OpenedAt, s.incident.ChangedAt, s.incident.AnnouncedAt, int64(s.incident.Good), s.minute, s.settledTo} {
		b = binary.AppendVarint(b, v)
	}
	var last []byte
	if s.incident.Firing() {
		last = schemas.EncodeTransition(&s.last)
	}
	b = appendText(b, string(last))
	b = binary.AppendUvarint(b, uint64(len(s.ages)))
	for i := range s.ages {
		b = s.ages[i].encode(b)
	}
	return b
}

func (a *ageState) encode(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(a.age))
	b = binary.AppendVarint(b, a.lastAt)
	b = binary.AppendVarint(b, a.badAt)
	b = binary.AppendUvarint(b, uint64(len(a.pool)))
	for _, c := range a.pool {
		b = binary.AppendVarint(b, a.lastAt-c.at)
		b = binary.AppendVarint(b, c.n)
		b = binary.AppendVarint(b, c.k)
	}
	b = binary.AppendUvarint(b, uint64(len(a.tests)))
	for i := range a.tests {
		t := &a.tests[i]
		b = appendText(b, string(t.severity))
		b = appendFloat(b, t.p0)
		b = appendBool(b, t.alarmed)
		for _, v := range t.stat.logR {
			b = appendFloat(b, v)
		}
		b = appendFloat(b, t.stat.run)
		for _, v := range []int64{t.stat.n, t.stat.k, t.stat.since} {
			b = binary.AppendVarint(b, v)
		}
	}
	return b
}

// reader takes a value apart; the first mistake sticks.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads how many items of at least size bytes follow.
func (r *reader) count(size int) int {
	n := r.uint()
	if r.bad || n > uint64(len(r.b)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) text() string { return string(r.take(r.uint())) }

func (r *reader) bool() bool {
	v := r.take(1)
	if len(v) == 1 && v[0] > 1 {
		r.bad = true
	}
	return len(v) == 1 && v[0] == 1
}

func (r *reader) float() float64 {
	v := r.take(8)
	if v == nil {
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(v))
	if math.IsNaN(f) {
		r.bad = true
	}
	return f
}

func (r *reader) close() error {
	if r.bad || len(r.b) > 0 {
		return errState
	}
	return nil
}

// decodeSeries reads what encode wrote.
func decodeSeries(b []byte) (*series, error) {
	r := &reader{b: b}
	if v := r.take(1); len(v) != 1 || v[0] != stateVersion {
		return nil, fmt.Errorf("read series: %w", errState)
	}
	s := &series{}
	s.rule, s.id.Account, s.id.Grouping = r.text(), r.text(), schemas.Grouping(r.text())
	s.id.Channel, s.id.Sender, s.id.Campaign, s.id.Variant = schemas.Channel(r.text()), r.text(), r.text(), r.text()
	s.incident.Severity, s.settledSeverity = schemas.Severity(r.text()), schemas.Severity(r.text())
	s.active = r.bool()
	s.incident.OpenedAt, s.incident.ChangedAt, s.incident.AnnouncedAt = r.int(), r.int(), r.int()
	s.incident.Good, s.minute, s.settledTo = int(r.int()), r.int(), r.int()
	last := r.take(r.uint())
	if s.incident.Firing() && !r.bad {
		t, err := schemas.DecodeTransition(last)
		if err != nil {
			return nil, fmt.Errorf("read series: %w", errors.Join(errState, err))
		}
		s.last = t
	} else if len(last) > 0 {
		r.bad = true
	}
	s.ages = make([]ageState, r.count(5))
	for i := range s.ages {
		r.ageState(&s.ages[i])
	}
	if err := r.close(); err != nil {
		return nil, fmt.Errorf("read series: %w", err)
	}
	return s, nil
}

func (r *reader) ageState(a *ageState) {
	age := r.uint()
	if age > math.MaxUint32 {
		r.bad = true
	}
	a.age, a.lastAt, a.badAt = Age(age), r.int(), r.int()
	a.pool = make([]cohort, r.count(3))
	for i := range a.pool {
		a.pool[i] = cohort{at: a.lastAt - r.int(), n: r.int(), k: r.int()}
	}
	const leastTest = 1 + 8 + 1 + 8*(Alternatives+1) + 3
	a.tests = make([]testState, r.count(leastTest))
	for i := range a.tests {
		t := &a.tests[i]
		t.severity, t.p0, t.alarmed = schemas.Severity(r.text()), r.float(), r.bool()
		for j := range t.stat.logR {
			t.stat.logR[j] = r.float()
		}
		t.stat.run = r.float()
		t.stat.n, t.stat.k, t.stat.since = r.int(), r.int(), r.int()
	}
}

// meta is the state that belongs to no series.
type meta struct {
	dClock schemas.Instant
	// minute is the last whole minute of roll-up's complete_to, in seconds.
	minute int64
	// heard is the greatest complete_to of each source partition of roll-up, of
	// `sources` in all.
	sources int32
	heard   map[int32]schemas.Instant
}

func (m *meta) encode() []byte {
	b := []byte{stateVersion}
	b = binary.AppendVarint(b, int64(m.dClock))
	b = binary.AppendVarint(b, m.minute)
	b = binary.AppendVarint(b, int64(m.sources))
	for i := range m.sources {
		at, ok := m.heard[i]
		b = appendBool(b, ok)
		if ok {
			b = binary.AppendVarint(b, int64(at))
		}
	}
	return b
}

func decodeMeta(b []byte) (meta, error) {
	r := &reader{b: b}
	if v := r.take(1); len(v) != 1 || v[0] != stateVersion {
		return meta{}, fmt.Errorf("read meta: %w", errState)
	}
	m := meta{dClock: schemas.Instant(r.int()), minute: r.int(), heard: map[int32]schemas.Instant{}}
	sources := r.int()
	if sources < 0 || sources > int64(len(r.b)) {
		return meta{}, fmt.Errorf("read meta: %w", errState)
	}
	m.sources = int32(sources)
	for i := range m.sources {
		if r.bool() {
			m.heard[i] = schemas.Instant(r.int())
		}
	}
	if err := r.close(); err != nil {
		return meta{}, fmt.Errorf("read meta: %w", err)
	}
	return m, nil
}

// watermark is the least complete_to over all sources, none before each has
// been heard.
func (m *meta) watermark() (schemas.Instant, bool) {
	if m.sources == 0 || len(m.heard) < int(m.sources) {
		return 0, false
	}
	var least schemas.Instant
	for i := range m.sources {
		if i == 0 || m.heard[i] < least {
			least = m.heard[i]
		}
	}
	return least, true
}

// hear takes in one Progress; complete_to only moves forward.
func (m *meta) hear(p *schemas.Progress) {
	if p.Sources != m.sources {
		m.sources, m.heard = p.Sources, map[int32]schemas.Instant{}
	}
	if p.Source >= 0 && p.Source < p.Sources {
		m.heard[p.Source] = max(m.heard[p.Source], p.CompleteTo)
	}
}
