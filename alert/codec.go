package alert

import (
	"fmt"
	"math"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// Keys of the fold's state: one byte of kind, then
//
//	s | digest of (rule, series)  → series
//	q | digest of (rule, series)  → series put aside, without evidence
//	o | position                  → transition whose notification is pending
//	t | incident key              → one byte: its firing has been told
//	h | account                   → what of it was not heard
//	m                             → meta
const (
	kindSeries  = 's'
	kindAside   = 'q'
	kindPending = 'o'
	kindTold    = 't'
	kindHeld    = 'h'
	kindMeta    = 'm'
)

func prefixed(kind byte, k schemas.Key) []byte { return append([]byte{kind}, k[:]...) }

func (a seriesID) key() []byte { return prefixed(kindSeries, a.digest()) }

func (a seriesID) asideKey() []byte { return prefixed(kindAside, a.digest()) }

func (a seriesID) digest() schemas.Key {
	return schemas.DigestKey(a.rule, a.of.Account, string(a.of.Grouping), a.of.Key().String())
}

// stateVersion is the first byte of every value; another layout is another
// Logic and with it another state directory.
const stateVersion = 1

// encode is the stored form of s.
func (s *series) encode() []byte {
	b := []byte{stateVersion}
	for _, v := range []string{
		s.rule, s.of.Account, string(s.of.Grouping), string(s.of.Channel), s.of.Sender, s.of.Campaign, s.of.Variant,
		string(s.incident.Severity), string(s.settledSeverity),
	} {
		b = statecodec.AppendText(b, v)
	}
	b = statecodec.AppendBool(b, s.active)
	for _, v := range []int64{s.incident.OpenedAt, s.incident.ChangedAt, s.incident.AnnouncedAt, int64(s.incident.Good), s.minute, s.settledTo} {
		b = statecodec.AppendInt(b, v)
	}
	var last []byte
	if s.incident.Firing() {
		last = schemas.EncodeTransition(&s.last)
	}
	b = statecodec.AppendText(b, string(last))
	b = statecodec.AppendUint(b, uint64(len(s.ages)))
	for i := range s.ages {
		b = s.ages[i].encode(b)
	}
	return b
}

func (a *ageState) encode(b []byte) []byte {
	b = statecodec.AppendUint(b, uint64(a.age))
	b = statecodec.AppendInt(b, a.lastAt)
	b = statecodec.AppendInt(b, a.badAt)
	b = statecodec.AppendUint(b, uint64(len(a.pool)))
	for _, c := range a.pool {
		b = statecodec.AppendInt(b, a.lastAt-c.at)
		b = statecodec.AppendInt(b, c.n)
		b = statecodec.AppendInt(b, c.k)
	}
	b = statecodec.AppendUint(b, uint64(len(a.tests)))
	for i := range a.tests {
		t := &a.tests[i]
		b = statecodec.AppendText(b, string(t.severity))
		b = statecodec.AppendFloat(b, t.p0)
		b = statecodec.AppendBool(b, t.alarmed)
		for _, v := range t.stat.logR {
			b = statecodec.AppendFloat(b, v)
		}
		b = statecodec.AppendFloat(b, t.stat.run)
		for _, v := range []int64{t.stat.n, t.stat.k, t.stat.since} {
			b = statecodec.AppendInt(b, v)
		}
	}
	return b
}

// decodeSeries reads what encode wrote.
func decodeSeries(b []byte) (*series, error) {
	r := statecodec.NewReader(b)
	r.Format(stateVersion)
	s := &series{}
	s.rule, s.of.Account, s.of.Grouping = r.Text(), r.Text(), schemas.Grouping(r.Text())
	s.of.Channel, s.of.Sender, s.of.Campaign, s.of.Variant = schemas.Channel(r.Text()), r.Text(), r.Text(), r.Text()
	s.incident.Severity, s.settledSeverity = schemas.Severity(r.Text()), schemas.Severity(r.Text())
	s.active = r.Bool()
	s.incident.OpenedAt, s.incident.ChangedAt, s.incident.AnnouncedAt = r.Int(), r.Int(), r.Int()
	s.incident.Good, s.minute, s.settledTo = int(r.Int()), r.Int(), r.Int()
	last := r.Bytes()
	switch {
	case r.Err() != nil:
	case s.incident.Firing():
		t, err := schemas.DecodeTransition(last)
		if err != nil {
			r.Fail(fmt.Errorf("%w: %w", statecodec.ErrRange, err))
		}
		s.last = t
	case len(last) > 0:
		r.Fail(statecodec.ErrRange)
	}
	s.ages = make([]ageState, r.Count(5))
	for i := range s.ages {
		s.ages[i].decode(r)
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("read series: %w", err)
	}
	return s, nil
}

func (a *ageState) decode(r *statecodec.Reader) {
	age := r.Uint()
	if age > math.MaxUint32 {
		r.Fail(statecodec.ErrRange)
	}
	a.age, a.lastAt, a.badAt = Age(age), r.Int(), r.Int()
	a.pool = make([]cohort, r.Count(3))
	for i := range a.pool {
		a.pool[i] = cohort{at: a.lastAt - r.Int(), n: r.Int(), k: r.Int()}
	}
	const leastTest = 1 + 8 + 1 + 8*(Alternatives+1) + 3
	a.tests = make([]testState, r.Count(leastTest))
	for i := range a.tests {
		t := &a.tests[i]
		t.severity, t.p0, t.alarmed = schemas.Severity(r.Text()), r.Float(), r.Bool()
		for j := range t.stat.logR {
			t.stat.logR[j] = r.Float()
		}
		t.stat.run = r.Float()
		t.stat.n, t.stat.k, t.stat.since = r.Int(), r.Int(), r.Int()
	}
}

// meta is the state that belongs to no series.
type meta struct {
	dClock schemas.Instant
	// minute is the last whole minute of roll-up's complete_to, in seconds.
	minute int64
	// sources are the partitions of panes, as roll-up reports them. Their next
	// offsets are not kept, see hear.
	sources task.Sources
}

func (m *meta) encode() []byte {
	b := []byte{stateVersion}
	b = statecodec.AppendInt(b, int64(m.dClock))
	b = statecodec.AppendInt(b, m.minute)
	status := m.sources.Status()
	b = statecodec.AppendInt(b, int64(len(status)))
	for _, s := range status {
		b = statecodec.AppendBool(b, s.Heard)
		if s.Heard {
			b = statecodec.AppendInt(b, int64(s.CompleteTo))
		}
	}
	return b
}

func decodeMeta(b []byte) (meta, error) {
	r := statecodec.NewReader(b)
	r.Format(stateVersion)
	m := meta{dClock: schemas.Instant(r.Int()), minute: r.Int()}
	n := r.Int()
	if n < 0 || n > task.MaxSources {
		r.Fail(statecodec.ErrRange)
	}
	var status []task.SourceStatus
	for i := int64(0); i < n && r.Err() == nil; i++ {
		s := task.SourceStatus{Heard: r.Bool()}
		if s.Heard {
			s.CompleteTo = schemas.Instant(r.Int())
		}
		status = append(status, s)
	}
	if err := r.End(); err != nil {
		return meta{}, fmt.Errorf("read meta: %w", err)
	}
	m.sources = task.RestoreSources(status)
	return m, nil
}

// hear takes in one Progress of roll-up. Its complete_to is the last `at` that
// it closed, a function of the log alone, so the greater one is the newer: the
// next offset would tell nothing more, and the state has no room for it.
func (m *meta) hear(p schemas.Progress) error {
	p.NextOffset = 0
	_, err := m.sources.Hear(&p)
	return err
}
