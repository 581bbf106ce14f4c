package alert

import (
	"cmp"
	"slices"

	"github.com/bluetick/bluetick/schemas"
)

// plan is a rule made ready for one channel: its tiers by age with their
// references. Immutable.
type plan struct {
	rule   *Rule
	metric metric
	ages   []agePlan
}

type agePlan struct {
	age   Age
	tests []testPlan
}

type testPlan struct {
	severity  schemas.Severity
	benchmark *schemas.Benchmark
}

// newPlan leaves out the tiers for which the channel has no reference.
func newPlan(r *Rule, rows []schemas.Benchmark, channel schemas.Channel) *plan {
	m, _ := metricOf(r.Metric)
	p := &plan{rule: r, metric: m}
	for _, t := range r.Tiers {
		b := reference(rows, r, t, channel)
		if b == nil {
			continue
		}
		i := slices.IndexFunc(p.ages, func(a agePlan) bool { return a.age == t.Age })
		if i < 0 {
			i = len(p.ages)
			p.ages = append(p.ages, agePlan{age: t.Age})
		}
		p.ages[i].tests = append(p.ages[i].tests, testPlan{t.Severity, b})
	}
	return p
}

// cite fills in what a row says about the reference of one of the tests.
func (p *plan) cite(row *schemas.Transition, age Age, severity schemas.Severity) {
	row.Age = uint32(age)
	if ap := p.age(age); ap != nil {
		for _, t := range ap.tests {
			if t.severity == severity {
				row.Reference, row.ReferenceSource = t.benchmark.Value, cite(t.benchmark)
			}
		}
	}
}

func (p *plan) age(a Age) *agePlan {
	for i := range p.ages {
		if p.ages[i].age == a {
			return &p.ages[i]
		}
	}
	return nil
}

// seriesID names the state of one (rule, series).
type seriesID struct {
	rule string
	of   schemas.Series
}

func (a seriesID) compare(b seriesID) int {
	return cmp.Or(
		cmp.Compare(a.rule, b.rule), cmp.Compare(a.of.Account, b.of.Account),
		cmp.Compare(a.of.Grouping, b.of.Grouping), cmp.Compare(a.of.Channel, b.of.Channel),
		cmp.Compare(a.of.Sender, b.of.Sender), cmp.Compare(a.of.Campaign, b.of.Campaign),
		cmp.Compare(a.of.Variant, b.of.Variant),
	)
}

// series is the state of one (rule, series). Owned by the fold's goroutine.
type series struct {
	seriesID
	// active: it consumed a cohort within the last day, and so counts in the
	// account's threshold.
	active   bool
	incident Incident
	// minute is the last minute the incident was shown, while firing.
	minute int64
	// last is the newest row of the incident, while firing.
	last schemas.Transition
	// Cohorts sent before settledTo were part of an incident that has ended; they
	// are not held against the series again by a tier of at most
	// settledSeverity. Without this a swell seen at 30 minutes would, once
	// resolved, open a second incident when the same cohorts come to four hours.
	settledTo       int64
	settledSeverity schemas.Severity
	ages            []ageState
	// Where it stands in the queue of its account, from 1, and what lastAt was
	// then; 0: not there. Not stored. See places.
	place    int
	queuedAt int64
}

// ageState is what is known of the series at one age.
type ageState struct {
	age Age
	// lastAt is the last `at` consumed; a row at or before it is ignored.
	lastAt int64
	// badAt is the last `at` in the present incident at which a test alarmed or
	// an alarmed test's pool lay on the wrong side; zero: none.
	badAt int64
	// pool holds the cohorts consumed in the last poolSeconds before lastAt.
	pool  []cohort
	tests []testState
}

type cohort struct{ at, n, k int64 }

// testState is one tier's test. It belongs to one reference: when that changes
// the evidence against the old one is void.
type testState struct {
	severity schemas.Severity
	p0       float64
	// alarmed: the statistic has reached its threshold in this incident.
	alarmed bool
	stat    Statistic
}

// bind makes the state fit the plan: a test whose reference changed starts
// anew, one that is gone is dropped, a new one is added.
func (s *series) bind(p *plan) {
	ages := make([]ageState, len(p.ages))
	for i, ap := range p.ages {
		a := ageState{age: ap.age}
		if old := s.age(ap.age); old != nil {
			a = *old
		}
		tests := make([]testState, len(ap.tests))
		for j, tp := range ap.tests {
			tests[j] = testState{severity: tp.severity, p0: tp.benchmark.Value, stat: fresh()}
			for _, t := range a.tests {
				if t.severity == tp.severity && t.p0 == tp.benchmark.Value {
					tests[j] = t
				}
			}
		}
		a.tests = tests
		ages[i] = a
	}
	s.ages = ages
}

func (s *series) age(age Age) *ageState {
	for i := range s.ages {
		if s.ages[i].age == age {
			return &s.ages[i]
		}
	}
	return nil
}

// lastAt is the last `at` at which any cohort was consumed.
func (s *series) lastAt() int64 {
	var at int64
	for i := range s.ages {
		at = max(at, s.ages[i].lastAt)
	}
	return at
}

// test finds the test of an age and severity.
func (s *series) test(age Age, severity schemas.Severity) *testState {
	if a := s.age(age); a != nil {
		for i := range a.tests {
			if a.tests[i].severity == severity {
				return &a.tests[i]
			}
		}
	}
	return nil
}

// consume feeds one cohort to the tests of its age and returns the most severe
// that has reached its threshold, or nil.
func (s *series) consume(a *ageState, wrong Side, c cohort, logA float64) *testState {
	a.lastAt = c.at
	a.pool = append(trim(a.pool, c.at), c)
	sentAt := c.at - int64(a.age) - 60
	var worst *testState
	for i := range a.tests {
		t := &a.tests[i]
		if sentAt < s.settledTo && severityRank(t.severity) <= severityRank(s.settledSeverity) {
			continue
		}
		t.stat.Add(wrong, t.p0, c.n, c.k, sentAt)
		if t.stat.Level() < logA {
			continue
		}
		if !t.alarmed { // it stays at the threshold long after the rate is good again
			t.alarmed, a.badAt = true, c.at
		}
		if worst == nil || severityRank(t.severity) > severityRank(worst.severity) {
			worst = t
		}
	}
	return worst
}

// trim drops the cohorts that are out of the pool at `at`.
func trim(pool []cohort, at int64) []cohort {
	i := slices.IndexFunc(pool, func(c cohort) bool { return c.at > at-poolSeconds })
	if i < 0 {
		return pool[:0]
	}
	return slices.Delete(pool, 0, i)
}

// pooled sums the cohorts consumed in the poolSeconds up to `at`.
func (a *ageState) pooled(at int64) (n, k int64) {
	for _, c := range a.pool {
		if c.at > at-poolSeconds && c.at <= at {
			n += c.n
			k += c.k
		}
	}
	return n, k
}

// look reports whether, at the minute `at`, the pooled cohorts of every age with
// an alarmed test lie on the good side of its reference, and remembers where
// they do not. An age that saw no cohort for a day is left out as long as another
// saw one: a burst judged bad at 30 minutes can be cleared at 24 hours. Without
// any alarmed test (the references changed) there is nothing left to be wrong.
func (s *series) look(wrong Side, at int64) (good bool) {
	alarmed, judged := false, false
	good = true
	for i := range s.ages {
		a := &s.ages[i]
		n, k := a.pooled(at)
		for _, t := range a.tests {
			if !t.alarmed {
				continue
			}
			alarmed = true
			rate := float64(k) / float64(n) // n = 0 gives NaN, on neither side
			if wrong == Above && rate > t.p0 || wrong == Below && rate < t.p0 {
				a.badAt, good = at, false
			}
			if at-a.lastAt < idleAfter {
				judged = true
				good = good && n >= poolTrials
			}
		}
	}
	return good && (judged || !alarmed)
}

// cleared is the test whose numbers tell that an incident recovered at `at`: the
// most severe alarmed one that still had cohorts to judge.
func (s *series) cleared(at int64) (age Age, severity schemas.Severity, ok bool) {
	for i := range s.ages {
		a := &s.ages[i]
		for _, t := range a.tests {
			if t.alarmed && at-a.lastAt < idleAfter && severityRank(t.severity) > severityRank(severity) {
				age, severity, ok = a.age, t.severity, true
			}
		}
	}
	return age, severity, ok
}

// settle ends the incident: every statistic is reset, and what was sent early
// enough to have been part of it is settled.
func (s *series) settle() {
	s.settledSeverity, s.settledTo = s.incident.Severity, 0
	for i := range s.ages {
		a := &s.ages[i]
		if a.badAt > 0 {
			s.settledTo = max(s.settledTo, a.badAt-int64(a.age))
		}
		a.badAt = 0
		for j := range a.tests {
			a.tests[j].alarmed, a.tests[j].stat = false, fresh()
		}
	}
	s.incident, s.last, s.minute = Incident{}, schemas.Transition{}, 0
}
