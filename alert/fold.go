package alert

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// forgetAfter is how long, in seconds, a series is remembered after its last
// cohort: longer than a row of rates can be read (6 days), so that a repeated
// row is never taken for a new one.
const forgetAfter = 8 * 24 * 3600

// activeFor is how long after its last cohort, in seconds, a series counts in
// its account's threshold.
const activeFor = 24 * 3600

// sweepEvery is how often, in seconds of event time, series are looked through.
const sweepEvery = 3600

// forgetEvery is the same for series put aside, which are read from the disk.
const forgetEvery = 24 * 3600

// NewFold returns what opens the alert fold on the state of one partition. A
// mistake in cfg or deps is the error of every fold it opens.
func NewFold(cfg Config, deps Deps) task.NewFold {
	if cfg.MaxSeries == 0 {
		cfg.MaxSeries = DefaultMaxSeries
	}
	mistakes := cfg.Validate()
	if mistakes == nil {
		mistakes = deps.validate()
	}
	return func(src task.Source, st store.State) (task.Fold, error) {
		if mistakes != nil {
			return nil, mistakes
		}
		m, err := newMeters(src.Metrics, src.Partition)
		if err != nil {
			return nil, fmt.Errorf("open alert fold [p%d]: %w", src.Partition, err)
		}
		f := &fold{
			cfg: cfg, deps: deps, src: src, st: st, meters: m,
			log:    deps.Log.With("component", "alert", "partition", src.Partition),
			plans:  channelPlans{},
			series: map[seriesID]*series{}, firing: map[seriesID]*series{}, dirty: map[seriesID]struct{}{},
			active: map[accountRule]int{}, places: newPlaces(cfg.MaxSeries),
			holds: holds{of: map[string]map[Age]held{}, dirty: map[string]struct{}{}},
		}
		if err := f.load(); err != nil {
			return nil, fmt.Errorf("open alert fold [p%d]: %w", src.Partition, err)
		}
		return f, nil
	}
}

var (
	_ task.Fold     = (*fold)(nil)
	_ task.Actor    = (*fold)(nil)
	_ task.Follower = (*fold)(nil)
)

type accountRule struct{ account, rule string }

// fold is the alert stage of one partition of rates. One goroutine owns it.
type fold struct {
	cfg    Config
	deps   Deps
	src    task.Source
	st     store.State
	meters *meters
	log    *slog.Logger
	plans  channelPlans

	meta
	series map[seriesID]*series
	// firing and active are indexes of series: the open incidents, and how many
	// series per account and rule count in the threshold.
	firing map[seriesID]*series
	active map[accountRule]int
	places places
	holds  holds
	dirty  map[seriesID]struct{}
	// full is whether the limit of series has been reported.
	full bool
	// stored is how many transitions the stored outbox has.
	stored int
	// outbox holds, in order, transitions not yet emitted, and emitted ones
	// whose notification is pending.
	outbox []*entry
}

// Apply folds one record of rates.
func (f *fold) Apply(r task.Record) error {
	switch r.Schema {
	case schemas.SchemaRate:
		rate, err := schemas.DecodeRate(r.Value)
		if err != nil {
			return &task.Reject{Reason: schemas.ReasonDecode, Err: err}
		}
		if f.src.Ours(rate.Epoch) {
			if err := f.src.Place(&r, string(r.Key) == rate.Series.Account); err != nil {
				return err
			}
			f.dClock = max(f.dClock, min(rate.DClock, r.Timestamp))
			return f.rate(&rate, r.Offset)
		}
	case schemas.SchemaProgress:
		p, err := schemas.DecodeProgress(r.Value)
		if err != nil {
			return &task.Reject{Reason: schemas.ReasonDecode, Err: err}
		}
		if f.src.Ours(p.Epoch) && p.Stage == schemas.StageRollup {
			if err := f.src.Place(&r, len(r.Key) == 0); err != nil {
				return err
			}
			return f.progress(&p, r.Offset)
		}
	default:
		return &task.Reject{Reason: schemas.ReasonSchema, Err: fmt.Errorf("schema %q", r.Schema)}
	}
	return nil
}

// rate puts a minute's cohort to the tests of every rule that watches its series
// at its age. Rows of other windows are left out: those overlap, and a test fed
// with the same messages again and again alarms every day. So are those that were
// not heard: what is missing in them may only be late, and they come again.
func (f *fold) rate(rate *schemas.Rate, offset int64) error {
	if rate.Window != 60 {
		return nil
	}
	f.holds.note(rate)
	if rate.Unheard {
		return nil
	}
	for i := range f.cfg.Rules {
		r := &f.cfg.Rules[i]
		if !slices.Contains(r.Groupings, rate.Series.Grouping) {
			continue
		}
		p := f.plan(r.Name, rate.Series.Channel)
		ap := p.age(Age(rate.Age))
		if ap == nil {
			continue
		}
		if n, k, ok := p.metric.counts(&rate.Totals); ok {
			if err := f.judge(p, ap, rate, cohort{rate.At, n, k}, offset); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fold) judge(p *plan, ap *agePlan, rate *schemas.Rate, c cohort, offset int64) error {
	id := seriesID{p.rule.Name, rate.Series}
	s := f.series[id]
	if s == nil {
		var err error
		if s, err = f.admit(id, p, ap.age, c.at); s == nil {
			return err
		}
	}
	a := s.age(ap.age)
	if c.at <= a.lastAt {
		return nil
	}
	// A row of this `at` means that roll-up closed every minute before it: the
	// incident sees those first, with the cohorts it had then.
	f.pass(s, c.at-60, offset)
	group := accountRule{id.of.Account, id.rule}
	if !s.active {
		s.active = true
		f.active[group]++
	}
	f.dirty[id] = struct{}{}
	logA := p.rule.FalseAlarms.LogThreshold(f.active[group] * len(p.rule.Tiers))
	t := s.consume(a, p.rule.Wrong, c, logA)
	if t == nil {
		return nil
	}
	next, reason := s.incident.Next(Observation{At: c.at, Alarm: t.severity, Parent: f.parent(s)})
	if reason == ReasonNone {
		return nil
	}
	row := schemas.Transition{Metric: p.rule.Metric, Severity: t.severity, Threshold: logA}
	p.cite(&row, ap.age, t.severity)
	f.turn(s, next, reason, row, c.at, offset)
	return nil
}

// plan is the rule made ready for a channel, or nil if no such rule is
// configured.
func (f *fold) plan(rule string, channel schemas.Channel) *plan {
	of, ok := f.plans[channel]
	if !ok {
		of = map[string]*plan{}
		for i := range f.cfg.Rules {
			of[f.cfg.Rules[i].Name] = newPlan(&f.cfg.Rules[i], f.cfg.Benchmarks, channel)
		}
		f.plans[channel] = of
	}
	return of[rule]
}

// parent is the severity of the account's own incident of the same rule.
func (f *fold) parent(s *series) schemas.Severity {
	if s.of.Grouping == schemas.GroupAccount {
		return ""
	}
	p := f.firing[seriesID{s.rule, schemas.Series{Account: s.of.Account, Grouping: schemas.GroupAccount}}]
	if p == nil {
		return ""
	}
	return p.incident.Severity
}

// progress moves the watermark; every firing incident is shown each minute that
// has passed.
func (f *fold) progress(p *schemas.Progress, offset int64) error {
	if err := f.hear(*p); err != nil {
		return err
	}
	w, ok := f.sources.Watermark()
	minute := w.Seconds() - w.Seconds()%60
	if !ok || minute <= f.minute {
		return nil
	}
	was := f.minute
	f.minute = minute
	for _, id := range f.firingIDs() {
		f.pass(f.firing[id], minute, offset)
	}
	if minute/sweepEvery == was/sweepEvery {
		return nil
	}
	f.sweep(minute)
	if minute/forgetEvery == was/forgetEvery {
		return nil
	}
	return f.forgetAside(minute)
}

// firingIDs are the open incidents in order, accounts before their campaigns.
func (f *fold) firingIDs() []seriesID {
	return slices.SortedFunc(maps.Keys(f.firing), seriesID.compare)
}

// pass shows a firing incident the minutes up to and including `to`, but none of
// which a cohort was not heard. It ends at the latest with the first idle day.
func (f *fold) pass(s *series, to, offset int64) {
	to = f.holds.limit(s.of.Account, to)
	for s.incident.Firing() && s.minute < to {
		s.minute += 60
		ob := Observation{At: s.minute, Minute: true, IdleFor: s.minute - s.lastAt(), Parent: f.parent(s)}
		p := f.plan(s.rule, s.of.Channel)
		if p == nil {
			ob.Removed = true
		} else {
			ob.Good = s.look(p.rule.Wrong, s.minute)
		}
		f.dirty[s.seriesID] = struct{}{}
		next, reason := s.incident.Next(ob)
		if reason == ReasonNone {
			s.incident = next
			continue
		}
		row := s.last
		if age, severity, ok := s.cleared(s.minute); ok && reason == ReasonRecovered {
			p.cite(&row, age, severity)
		}
		f.turn(s, next, reason, row, s.minute, offset)
	}
}

// turn records a transition: row names the test it is about, the state of that
// test gives the numbers.
func (f *fold) turn(s *series, next Incident, reason Reason, row schemas.Transition, at, offset int64) {
	openedAt := next.OpenedAt
	row.State = schemas.StateFiring
	if !next.Firing() {
		row.State, openedAt = schemas.StateResolved, s.incident.OpenedAt
	}
	row.Epoch, row.Rule, row.Series, row.OpenedAt, row.At = f.src.Epoch, s.rule, s.of, openedAt, at
	row.Reason, row.Version, row.DClock = string(reason), 2*offset, f.dClock
	if reason == ReasonSuppressed {
		row.Notified, row.Version = true, row.Version+1
	}
	if t := s.test(Age(row.Age), row.Severity); t != nil {
		// A reset statistic is −Inf, which JSON cannot hold: 0 stands for it.
		row.N, row.K, row.Since, row.Statistic = t.stat.n, t.stat.k, t.stat.since, max(t.stat.Level(), 0)
	}
	if reason == ReasonRecovered {
		row.N, row.K, row.Since = 0, 0, at-poolSeconds-int64(row.Age)
		if a := s.age(Age(row.Age)); a != nil {
			row.N, row.K = a.pooled(at)
		}
	}
	row.SQL = query(&row)
	if next.Firing() {
		s.incident, s.last, s.minute = next, row, at
		f.firing[s.seriesID] = s
	} else {
		s.settle()
		delete(f.firing, s.seriesID)
		f.places.wait(s)
	}
	f.dirty[s.seriesID] = struct{}{}
	f.push(row)
	f.meters.transitions.WithLabelValues(s.rule, string(row.State), row.Reason).Inc()
	f.countFiring(s.rule)
}

func (f *fold) countFiring(rule string) {
	n := 0
	for id := range f.firing {
		if id.rule == rule {
			n++
		}
	}
	f.meters.setFiring(rule, n)
}

// sweep takes idle series out of the threshold and forgets those long gone.
func (f *fold) sweep(minute int64) {
	for id, s := range f.series {
		idle := minute - s.lastAt()
		if idle >= activeFor {
			f.idle(s)
		}
		if idle >= forgetAfter && !s.incident.Firing() {
			f.places.leave(s)
			f.st.Delete(id.key())
			delete(f.series, id)
			delete(f.dirty, id)
		}
	}
	for group, n := range f.active {
		if n == 0 {
			delete(f.active, group)
		}
	}
	f.full = false
	f.meters.watched.Set(float64(f.places.taken))
}

// idle takes a series out of its account's threshold.
func (f *fold) idle(s *series) {
	if s.active {
		s.active = false
		f.active[accountRule{s.of.Account, s.rule}]--
		f.dirty[s.seriesID] = struct{}{}
	}
}

// CompleteTo is how far roll-up's complete_to has come: up to there every
// incident is as it should be.
func (f *fold) CompleteTo() schemas.Instant {
	w, _ := f.sources.Watermark()
	return w
}

// Sources is how far each partition of panes has been rolled up. Their next
// offsets are not known.
func (f *fold) Sources() []task.SourceStatus { return f.sources.Status() }

// DClock is the running maximum of the D-clocks of the rates.
func (f *fold) DClock() schemas.Instant { return f.dClock }

// Save writes the series that changed, the pending notifications and the meta.
func (f *fold) Save() error {
	for id := range f.dirty {
		f.st.Set(id.key(), f.series[id].encode())
	}
	clear(f.dirty)
	f.savePending()
	f.saveHeld()
	f.st.Set([]byte{kindMeta}, f.meta.encode())
	return nil
}

// load reads the state of the last checkpoint and fits it to the rules of today.
func (f *fold) load() error {
	b, ok, err := f.st.Get([]byte{kindMeta})
	if err != nil {
		return fmt.Errorf("read meta: %w", err)
	}
	if ok {
		if f.meta, err = decodeMeta(b); err != nil {
			return err
		}
	}
	var bad error
	err = f.st.Scan([]byte{kindSeries}, []byte{kindSeries + 1}, func(_, value []byte) bool {
		var s *series
		if s, bad = decodeSeries(value); bad != nil {
			return false
		}
		if p := f.plan(s.rule, s.of.Channel); p != nil {
			s.bind(p)
		}
		f.series[s.seriesID] = s
		if s.active {
			f.active[accountRule{s.of.Account, s.rule}]++
		}
		if s.incident.Firing() {
			f.firing[s.seriesID] = s
		}
		return true
	})
	if bad != nil {
		return bad
	}
	if err != nil {
		return fmt.Errorf("read series: %w", err)
	}
	f.fill()
	for i := range f.cfg.Rules {
		f.countFiring(f.cfg.Rules[i].Name)
	}
	if err := f.loadHeld(); err != nil {
		return err
	}
	return f.loadPending()
}

// Act tells the receivers what was recorded since the last call. See outbox.go.
func (f *fold) Act(ctx context.Context) ([]task.Row, error) { return f.notifyPending(ctx) }
