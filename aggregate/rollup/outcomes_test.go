package rollup

import (
	"slices"
	"testing"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/schemas"
)

// TestTenthOutcome: state, ages and sums take a list of outcomes of any length.
// The list is the test's own, one longer than that of schemas.
func TestTenthOutcome(t *testing.T) {
	t.Parallel()
	var nine schemas.Histograms
	for o := range nine {
		nine[o] = schemas.Histogram{int64(o) + 1, 11: -1}
	}
	ten := append(slices.Clone(nine[:]), schemas.Histogram{7, 0, 0, 5, 11: 2})

	r := statecodec.NewReader(appendHistograms(nil, ten))
	got := make([]schemas.Histogram, len(ten))
	readHistograms(r, got)
	if err := r.End(); err != nil || !slices.Equal(got, ten) {
		t.Fatalf("state: %v, error %v, want %v", got, err, ten)
	}
	sum := make([]int64, len(ten))
	for _, c := range []struct{ age, tenth int64 }{{60, 7}, {1800, 12}, {0, 14}} {
		at := make([]int64, len(ten))
		judge(at, got, c.age)
		if want := totalsAt(&schemas.Counts{Outcomes: nine}, c.age).Outcomes; at[len(nine)] != c.tenth || !slices.Equal(at[:len(nine)], want[:]) {
			t.Errorf("age %d: %v, want %v and %d", c.age, at, want, c.tenth)
		}
		addOutcomes(sum, at, 1)
	}
	if sum[len(nine)] != 7+12+14 {
		t.Errorf("sums %v: the tenth is not %d", sum, 7+12+14)
	}
}
