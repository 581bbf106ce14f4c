package rollup

import (
	"slices"

	"github.com/bluetick/bluetick/internal/invariant"
	"github.com/bluetick/bluetick/schemas"
)

// series is one line of rates: its cohorts, and the sum of those that lie in
// each span at the table's present `at`.
type series struct {
	id schemas.Series
	// key is the Kafka key of its rows.
	key     []byte
	cohorts map[int64]cohort
	sums    []schemas.Totals
	account *account
}

// table is the part of the state held in memory: for each series its cohorts and the
// running sums of every span. It is derived wholly from the panes, the plan and
// next, so that a restart rebuilds it.
//
// The sums are integers moved by exact deltas: a cohort that changes moves every
// sum that covers its minute, a step of `at` adds the minute that comes of age
// and takes away the one that leaves. Nothing is ever summed anew.
type table struct {
	plan *plan
	// next is the `at` that closes next, the one the sums belong to; 0 before
	// the first watermark, when there are cohorts and no sums.
	next int64
	byID map[schemas.Series]*series
	// accounts hold the same, in the order of names, each with its series in key
	// order: the order of rows.
	accounts []*account
}

func newTable(p *plan) *table { return &table{plan: p, byID: map[schemas.Series]*series{}} }

// oldest is the earliest minute that `at` next or a later one needs.
func (t *table) oldest() int64 { return t.next - t.plan.reach }

// add changes a cohort of a series by delta.
func (t *table) add(id schemas.Series, sent int64, delta cohort) {
	s := t.byID[id]
	if t.next != 0 && sent < t.lowOf(s, id.Account) {
		return
	}
	if s == nil {
		s = t.insert(id)
	}
	c := s.cohorts[sent]
	if c == nil {
		c = make(cohort, len(t.plan.ages))
		s.cohorts[sent] = c
	}
	for i := range delta {
		addTo(&c[i], &delta[i], 1)
	}
	if t.next != 0 {
		t.addSums(s, sent, delta, 1)
	}
}

// lowOf is the earliest minute that is kept of an account's series s, which may
// be nil.
func (t *table) lowOf(s *series, account string) int64 {
	if s != nil {
		return s.account.low
	}
	if i, ok := t.findAccount(account); ok {
		return t.accounts[i].low
	}
	return t.oldest()
}

func (t *table) insert(id schemas.Series) *series {
	a := t.accountOf(id.Account)
	s := &series{
		id: id, key: []byte(id.Account), cohorts: map[int64]cohort{}, account: a,
		sums: make([]schemas.Totals, len(t.plan.spans)),
	}
	i, _ := slices.BinarySearchFunc(a.series, id, func(s *series, id schemas.Series) int { return compareSeries(s.id, id) })
	a.series = slices.Insert(a.series, i, s)
	t.byID[id] = s
	return s
}

func (t *table) addSums(s *series, sent int64, delta cohort, sign int64) {
	for i := range t.plan.spans {
		if sp := &t.plan.spans[i]; sp.holds(t.next, sent) {
			addTo(&s.sums[i], &delta[sp.ageIndex], sign)
		}
	}
}

// first is the earliest minute with a cohort.
func (t *table) first() (sent int64, ok bool) {
	for _, s := range t.byID {
		for m := range s.cohorts {
			if !ok || m < sent {
				sent, ok = m, true
			}
		}
	}
	return sent, ok
}

// place sets the first `at`, which is at most a minute after the first cohort, and
// computes its sums.
func (t *table) place(at int64) {
	t.next = at
	for _, a := range t.accounts {
		for i := range a.heardTo {
			a.heardTo[i] = t.closed()
		}
		a.low = t.oldest()
	}
	for _, s := range t.byID {
		for m, c := range s.cohorts {
			t.addSums(s, m, c, 1)
		}
	}
}

// step moves on to the `at` a minute later.
func (t *table) step() {
	at, gone := t.next, false
	for _, a := range t.accounts {
		for _, s := range a.series {
			s.step(t.plan.spans, at)
		}
	}
	t.next = at + minute
	for _, a := range t.accounts {
		t.keep(a)
		gone = gone || slices.ContainsFunc(a.series, func(s *series) bool { return len(s.cohorts) == 0 })
	}
	if gone {
		t.sweep()
	}
}

// step moves the sums of `at` on to the next one.
func (s *series) step(spans []span, at int64) {
	for i := range spans {
		sp := &spans[i]
		if c := s.cohorts[sp.end(at)]; c != nil {
			addTo(&s.sums[i], &c[sp.ageIndex], 1)
		}
		if c := s.cohorts[sp.start(at)]; c != nil {
			addTo(&s.sums[i], &c[sp.ageIndex], -1)
		}
	}
}

// dropBefore takes away every cohort with a minute before cutoff, out of the sums
// too.
func (t *table) dropBefore(cutoff int64) {
	for _, s := range t.byID {
		for m, c := range s.cohorts {
			if m >= cutoff {
				continue
			}
			if t.next != 0 {
				t.addSums(s, m, c, -1)
			}
			delete(s.cohorts, m)
		}
	}
	t.sweep()
}

// sweep removes the series that have no cohort left, and accounts without series.
func (t *table) sweep() {
	for _, a := range t.accounts {
		a.series = slices.DeleteFunc(a.series, func(s *series) bool {
			if len(s.cohorts) > 0 {
				return false
			}
			if invariant.Enabled {
				zero := !slices.ContainsFunc(s.sums, func(sum schemas.Totals) bool { return sum != schemas.Totals{} })
				invariant.Check(zero, "R2: %+v has no cohorts and sums %+v", s.id, s.sums)
			}
			delete(t.byID, s.id)
			return true
		})
	}
	t.accounts = slices.DeleteFunc(t.accounts, func(a *account) bool { return len(a.series) == 0 })
}
