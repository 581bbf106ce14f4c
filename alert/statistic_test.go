package alert

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestLogLikelihoodRatioAgainstBernoulli(t *testing.T) {
	for _, c := range []struct {
		p0, theta float64
		n, k      int64
	}{
		{0.01, 1.5, 10, 0},
		{0.01, 5, 10, 3},
		{0.95, 1 / 1.5, 200, 180},
		{0.6, 0.2, 7, 7},
		{0.5, 3, 1, 1},
	} {
		p1 := c.theta * c.p0 / (1 - c.p0 + c.theta*c.p0)
		want := float64(c.k)*math.Log(p1/c.p0) + float64(c.n-c.k)*math.Log((1-p1)/(1-c.p0))
		if got := logLikelihoodRatio(c.p0, c.theta, c.n, c.k); math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
			t.Errorf("p0 %v, odds × %v, %d of %d: %v, want %v", c.p0, c.theta, c.k, c.n, got, want)
		}
		if got := p1 / (1 - p1) / (c.p0 / (1 - c.p0)); math.Abs(got-c.theta) > 1e-9 {
			t.Errorf("odds of p1 are %v times those of p0, want %v", got, c.theta)
		}
	}
}

// One cohort has a closed form: R₁ = Λ₁.
func TestOneCohortIsTheMeanLikelihoodRatio(t *testing.T) {
	s := fresh()
	if !math.IsInf(s.Level(), -1) {
		t.Fatalf("level before the first cohort: %v, want -Inf", s.Level())
	}
	s.Add(Above, 0.02, 50, 4, 0)
	var want float64
	for _, r := range oddsRatios() {
		want += math.Pow(r, 4) / math.Pow(1+0.02*(r-1), 50) / Alternatives
	}
	if got := math.Exp(s.Level()); math.Abs(got-want) > 1e-9*want {
		t.Errorf("mixture %v, want %v", got, want)
	}
}

// The recursion is the sum over all change points of the product of likelihood
// ratios since; computed here directly, without logarithms.
func TestStatisticAgainstDirectSum(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 5))
		side, p0 := Above, 0.01+0.5*rng.Float64()
		if seed%2 == 1 {
			side = Below
		}
		var ns, ks []int64
		s := fresh()
		for range 12 {
			n := 1 + rng.Int64N(15)
			k := rng.Int64N(n + 1)
			ns, ks = append(ns, n), append(ks, k)
			s.Add(side, p0, n, k, 0)
		}
		var want float64
		for _, r := range oddsRatios() {
			th := theta(side, r)
			p1 := th * p0 / (1 - p0 + th*p0)
			for from := range ns {
				product := 1.0
				for i := from; i < len(ns); i++ {
					product *= math.Pow(p1/p0, float64(ks[i])) * math.Pow((1-p1)/(1-p0), float64(ns[i]-ks[i]))
				}
				want += product / Alternatives
			}
		}
		if got := s.Level(); math.Abs(got-math.Log(want)) > 1e-9*(1+math.Abs(math.Log(want))) {
			t.Errorf("seed %d: level %v, want %v", seed, got, math.Log(want))
		}
	}
}

func TestStatisticStaysFiniteAtTheExtremes(t *testing.T) {
	for _, c := range []struct {
		name string
		side Side
		p0   float64
		n, k int64
	}{
		{"everything opts out for a year", Above, 1e-6, 1e6, 1e6},
		{"nothing ever opts out", Above, 0.01, 1e6, 0},
		{"nothing is delivered", Below, 0.999999, 1e6, 0},
		{"everything is delivered", Below, 0.6, 1e6, 1e6},
	} {
		s := fresh()
		for range 2000 {
			s.Add(c.side, c.p0, c.n, c.k, 0)
			if l := s.Level(); math.IsNaN(l) || math.IsInf(l, 0) {
				t.Fatalf("%s: level %v", c.name, l)
			}
		}
	}
}

func TestCountsStartWhereTheEvidenceDoes(t *testing.T) {
	s := fresh()
	for i := range int64(1000) {
		s.Add(Above, 0.01, 100, i%2, 60*i) // 0.5 %: well below
	}
	for i := int64(1000); i < 1010; i++ {
		s.Add(Above, 0.01, 100, 5, 60*i)
	}
	if s.since < 60*990 || s.since > 60*1000 {
		t.Errorf("since minute %d, want about 1000", s.since/60)
	}
	if rate := float64(s.k) / float64(s.n); rate < 0.04 {
		t.Errorf("%d of %d: the quiet minutes dilute the message", s.k, s.n)
	}
}

func TestThresholdSpendsTheBudgetOnce(t *testing.T) {
	b := Budget{Count: 1, Per: 90 * 24 * time.Hour}
	if got, want := math.Exp(b.LogThreshold(1)), 90.0*1440; math.Abs(got-want) > 1e-6 {
		t.Errorf("A for one test: %v, want %v", got, want)
	}
	if got, want := math.Exp(b.LogThreshold(300*6)), 90.0*1440*1800; math.Abs(got-want)/want > 1e-9 {
		t.Errorf("A for 300 series at 6 tests: %v, want %v", got, want)
	}
	b.Count = 10
	if got, want := math.Exp(b.LogThreshold(1)), 90.0*144; math.Abs(got-want) > 1e-6 {
		t.Errorf("A for ten false alarms: %v, want %v", got, want)
	}
}
