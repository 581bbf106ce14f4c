package rollup

import (
	"cmp"
	"slices"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// minute is the length of a cohort in seconds.
const minute = 60

// floorMinute is the start of the minute that holds second s.
func floorMinute(s int64) int64 {
	if r := s % minute; r < 0 {
		return s - r - minute
	}
	return s - s%minute
}

// span is one (window, age), in seconds. At `at` it covers the cohorts with a
// send minute in [at-age-window, at-age): the younger edge is open, because the
// minute that starts there is not yet age seconds old.
type span struct {
	window, age int64
	// every is the distance between two `at` that are emitted.
	every int64
	// ageIndex is the place of age in plan.ages.
	ageIndex int
}

func (s *span) start(at int64) int64      { return at - s.age - s.window }
func (s *span) end(at int64) int64        { return at - s.age }
func (s *span) holds(at, sent int64) bool { return s.start(at) <= sent && sent < s.end(at) }
func (s *span) due(at int64) bool         { return at%s.every == 0 }

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// plan is a Config made ready for use; immutable.
type plan struct {
	groupings []schemas.Grouping
	// spans are ordered by window, then age: the order of rows of one series.
	spans []span
	// ages are the distinct ages in ascending order.
	ages    []int64
	reach   int64
	keep    int64
	maxRows int
}

func newPlan(c Config) *plan {
	p := &plan{
		groupings: slices.Clone(c.Groupings),
		reach:     seconds(c.Reach()), keep: seconds(c.Keep()), maxRows: c.MaxRowsPerProgress,
	}
	for _, w := range c.Windows {
		for _, a := range w.Ages {
			p.spans = append(p.spans, span{window: seconds(w.Length), age: seconds(a), every: seconds(w.Every)})
			p.ages = append(p.ages, seconds(a))
		}
	}
	slices.SortFunc(p.spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.window, b.window), cmp.Compare(a.age, b.age)) })
	slices.Sort(p.ages)
	p.ages = slices.Compact(p.ages)
	for i := range p.spans {
		p.spans[i].ageIndex, _ = slices.BinarySearch(p.ages, p.spans[i].age)
	}
	return p
}

// cohort holds what is known, at each of plan.ages, of the messages that a series
// sent in one minute.
type cohort []schemas.Totals

// set makes dst the totals of c at each of the plan's ages.
func (p *plan) set(dst cohort, c *schemas.Counts) {
	for i, age := range p.ages {
		dst[i] = totalsAt(c, age)
	}
}

// totalsAt is what had become of the messages by the given age; age 0 means so
// far. Sent is the same at every age.
func totalsAt(c *schemas.Counts, age int64) schemas.Totals {
	t := schemas.Totals{Sent: c.Sent}
	judge(t.Outcomes[:], c.Outcomes[:], age)
	return t
}

// judge sets dst to the outcomes hs at the given age.
func judge(dst []int64, hs []schemas.Histogram, age int64) {
	for o := range hs {
		if age == 0 {
			dst[o] = hs[o].Total()
		} else {
			dst[o] = hs[o].Upto(age)
		}
	}
}

func addTo(dst, src *schemas.Totals, sign int64) {
	dst.Sent += sign * src.Sent
	addOutcomes(dst.Outcomes[:], src.Outcomes[:], sign)
}

func addOutcomes(dst, src []int64, sign int64) {
	for o, n := range src {
		dst[o] += sign * n
	}
}
