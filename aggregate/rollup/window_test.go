package rollup

import (
	"slices"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

func TestFloorMinute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want int64 }{
		{0, 0}, {59, 0}, {60, 60}, {61, 60}, {119, 60}, {-1, -60}, {-60, -60}, {-61, -120},
	} {
		if got := floorMinute(c.in); got != c.want {
			t.Errorf("floorMinute(%d) = %d, want %d", c.in, got, c.want)
		}
	}
}

// The interval of cohorts is half-open at both ends that matter: the oldest
// minute is in, the one that is not yet `age` old is out.
func TestSlotHolds(t *testing.T) {
	t.Parallel()
	const at = 10 * 3600
	for _, c := range []struct {
		name        string
		window, age int64
		sent        int64
		want        bool
	}{
		{"1m so far: the minute just ended", 60, 0, at - 60, true},
		{"1m so far: the minute that begins", 60, 0, at, false},
		{"1m so far: the minute before", 60, 0, at - 120, false},
		{"1m at 30m: the cohort that has just matured", 60, 1800, at - 1860, true},
		{"1m at 30m: one whose last second is 30m old only a minute later", 60, 1800, at - 1800, false},
		{"1m at 30m: the one before", 60, 1800, at - 1920, false},
		{"1h at 1h: oldest", 3600, 3600, at - 7200, true},
		{"1h at 1h: older", 3600, 3600, at - 7260, false},
		{"1h at 1h: youngest", 3600, 3600, at - 3660, true},
		{"1h at 1h: too young", 3600, 3600, at - 3600, false},
		{"1h so far: oldest", 3600, 0, at - 3600, true},
		{"1h so far: older", 3600, 0, at - 3660, false},
	} {
		s := span{window: c.window, age: c.age, every: 60}
		if got := s.holds(at, c.sent); got != c.want {
			t.Errorf("%s: holds = %t", c.name, got)
		}
	}
}

func TestSlotDue(t *testing.T) {
	t.Parallel()
	quarter := span{every: 900}
	for at, want := range map[int64]bool{0: true, 60: false, 840: false, 900: true, 960: false, 86_400: true} {
		if quarter.due(at) != want {
			t.Errorf("every 15m: due(%d) = %t", at, !want)
		}
	}
}

func TestTotalsAt(t *testing.T) {
	t.Parallel()
	c := schemas.Counts{Sent: 10}
	c.Outcomes[schemas.OutcomeDelivered] = schemas.Histogram{5, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0}
	// One failed at once and recovered between 30m and 1h.
	c.Outcomes[schemas.OutcomeFailed] = schemas.Histogram{2, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0}
	for _, w := range []struct {
		name                   string
		age, delivered, failed int64
	}{
		{"so far", 0, 8, 1},
		{"first edge", 60, 5, 2},
		{"30m holds the bucket that ends there", 1800, 7, 2},
		{"1h", 3600, 7, 1},
		{"24h", 86_400, 7, 1},
		{"horizon", schemas.HorizonSeconds, 8, 1},
	} {
		got := totalsAt(&c, w.age)
		if want := (schemas.Totals{Sent: 10, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: w.delivered, schemas.OutcomeFailed: w.failed}}); got != want {
			t.Errorf("%s: %+v, want %+v", w.name, got, want)
		}
	}
}

// Every outcome must land in its own field.
func TestTotalsKeepOutcomesApart(t *testing.T) {
	t.Parallel()
	c := schemas.Counts{Sent: 1}
	for i := range c.Outcomes {
		h := &c.Outcomes[i]
		h[i] = int64(i) + 2
	}
	want := schemas.Totals{
		Sent: 1, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 2, schemas.OutcomeOpened: 3, schemas.OutcomeRead: 4, schemas.OutcomeClicked: 5, schemas.OutcomeReplied: 6, schemas.OutcomeEngaged: 7, schemas.OutcomeOptedOut: 8, schemas.OutcomeFailed: 9, schemas.OutcomeWithheld: 10},
	}
	got := totalsAt(&c, 0)
	if got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	var sum schemas.Totals
	addTo(&sum, &got, 1)
	if sum != want {
		t.Errorf("sum %+v, want %+v", sum, want)
	}
	addTo(&sum, &got, -1)
	if sum != (schemas.Totals{}) {
		t.Errorf("difference %+v, want nothing", sum)
	}
}

func TestPlanOrder(t *testing.T) {
	t.Parallel()
	p := newPlan(smallConfig(1))
	if want := []int64{0, 60, 300}; !slices.Equal(p.ages, want) {
		t.Errorf("ages %v, want %v", p.ages, want)
	}
	var got [][2]int64
	for _, s := range p.spans {
		got = append(got, [2]int64{s.window, s.age})
		if p.ages[s.ageIndex] != s.age {
			t.Errorf("span %+v points at age %d", s, p.ages[s.ageIndex])
		}
	}
	if want := [][2]int64{{60, 60}, {60, 300}, {240, 0}, {240, 60}, {900, 0}, {900, 300}}; !slices.Equal(got, want) {
		t.Errorf("spans %v, want %v", got, want)
	}
	if p.reach != 1200 || p.keep != 1200+86_400 {
		t.Errorf("reach %d, keep %d", p.reach, p.keep)
	}
}
