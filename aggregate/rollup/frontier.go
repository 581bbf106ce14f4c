package rollup

import (
	"cmp"
	"slices"

	"github.com/bluetick/bluetick/schemas"
)

// account is what the table holds of one: its series, and up to which `at` its
// cohorts were heard.
type account struct {
	name string
	// series in key order.
	series []*series
	// heardTo is, for each of plan.ages, the last `at` that has been heard with all
	// before it; 0 while the table has no `at` yet. Nothing is pending at next-1
	// minute.
	heardTo []int64
	// low is the earliest minute of which a cohort is kept.
	low int64
}

// findAccount is where the account is, or would be.
func (t *table) findAccount(name string) (int, bool) {
	return slices.BinarySearchFunc(t.accounts, name, func(a *account, name string) int { return cmp.Compare(a.name, name) })
}

// accountOf returns the account, a new one if need be.
func (t *table) accountOf(name string) *account {
	i, ok := t.findAccount(name)
	if !ok {
		a := &account{name: name, heardTo: make([]int64, len(t.plan.ages)), low: t.oldest()}
		for i := range a.heardTo {
			a.heardTo[i] = t.closed()
		}
		t.accounts = slices.Insert(t.accounts, i, a)
	}
	return t.accounts[i]
}

// closed is the last `at` closed; 0 before the first.
func (t *table) closed() int64 { return max(0, t.next-minute) }

// pending reports whether the account has `at` that are closed and not heard.
func (a *account) pending(closed int64) bool {
	return slices.ContainsFunc(a.heardTo, func(at int64) bool { return at < closed })
}

// lowest is the earliest minute of which any cohort is kept.
func (t *table) lowest() int64 {
	low := t.oldest()
	for _, a := range t.accounts {
		low = min(low, a.low)
	}
	return low
}

// keep drops the cohorts that neither a coming `at` nor a pending one needs.
func (t *table) keep(a *account) {
	low := slices.Min(a.heardTo) + minute - t.plan.reach
	for _, s := range a.series {
		if span := (low - a.low) / minute; int64(len(s.cohorts)) < span {
			for m := range s.cohorts {
				if m < low {
					delete(s.cohorts, m)
				}
			}
			continue
		}
		for m := a.low; m < low; m += minute {
			delete(s.cohorts, m)
		}
	}
	a.low = max(a.low, low)
}

// sum is the totals of a series in a span at an `at` that is closed: the sum of
// the cohorts as they are known now.
func (s *series) sum(sp *span, at int64) (sum schemas.Totals) {
	start, end := sp.start(at), sp.end(at)
	if int64(len(s.cohorts)) < (end-start)/minute {
		for m, c := range s.cohorts {
			if start <= m && m < end {
				addTo(&sum, &c[sp.ageIndex], 1)
			}
		}
		return sum
	}
	for m := start; m < end; m += minute {
		if c := s.cohorts[m]; c != nil {
			addTo(&sum, &c[sp.ageIndex], 1)
		}
	}
	return sum
}
