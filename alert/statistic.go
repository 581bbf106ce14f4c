package alert

import "math"

// Alternatives is J, the number of deviations a test looks for at once.
const Alternatives = 4

// oddsRatios are the deviations: the odds of the reference times (Above) or
// divided by (Below) these. One alternative would be blind to swells much
// smaller and slow for swells much larger than itself; the mixture costs
// log J = 1.4 of threshold and is within a few percent of the best of them.
func oddsRatios() [Alternatives]float64 { return [Alternatives]float64{1.5, 2, 3, 5} }

// Side says on which side of the reference a rate is wrong.
type Side string

// The sides.
const (
	Above Side = "above"
	Below Side = "below"
)

// Statistic is one sequential test of "the rate is no worse than p0": the
// Shiryaev–Roberts statistic of each alternative, in log domain.
//
// For one alternative with likelihood ratio Λᵢ of cohort i the Shiryaev–Roberts
// statistic is Rᵢ = (1 + Rᵢ₋₁)·Λᵢ, R₀ = 0: the sum, over every cohort at which
// the change may have happened, of the evidence since (Shiryaev 1963, Roberts
// 1966; Pollak 1985 on its optimality). While nothing is wrong, E[Λᵢ | past] ≤ 1,
// so Rᵢ − i is a supermartingale and the first i with Rᵢ ≥ A has mean at least
// A. An average of such statistics has the same property: it is an e-detector
// (Shin, Ramdas, Rinaldo 2022, "E-detectors: a nonparametric framework for
// sequential change detection"), which is what lets one look after every cohort
// without paying for each look.
type Statistic struct {
	// logR is log Rᵢ per alternative; −Inf before the first cohort.
	logR [Alternatives]float64
	// run is the cumulative sum (Page 1954) of the mildest alternative since it
	// last fell to zero. Its start is the usual estimate of when the change
	// began; n, k and since count from there, so that a message about a swell is
	// not diluted by the quiet months before it.
	run   float64
	n, k  int64
	since int64
}

// fresh is the statistic before its first cohort.
func fresh() Statistic {
	s := Statistic{}
	for j := range s.logR {
		s.logR[j] = math.Inf(-1)
	}
	return s
}

// logLikelihoodRatio is log of P(k of n | odds θ times those of p0) over
// P(k of n | p0). With pⱼ = θp0/(1−p0+θp0):
//
//	k·log(pⱼ/p0) + (n−k)·log((1−pⱼ)/(1−p0)) = k·log θ − n·log(1 + p0(θ−1))
//
// The right-hand form subtracts no two nearly equal numbers.
func logLikelihoodRatio(p0, theta float64, n, k int64) float64 {
	return float64(k)*math.Log(theta) - float64(n)*math.Log1p(p0*(theta-1))
}

// theta is the odds ratio r turned to the side that is wrong.
func theta(side Side, r float64) float64 {
	if side == Below {
		return 1 / r
	}
	return r
}

// Add folds one cohort: k of n, sent in the minute that starts at sentAt
// (seconds). 0 ≤ k ≤ n and 0 < p0 < 1.
func (s *Statistic) Add(side Side, p0 float64, n, k, sentAt int64) {
	ratios := oddsRatios()
	for j, r := range ratios {
		// log(1+R)+log Λ; Log1p keeps a small R, and for a large one
		// log(1+R) = log R + log(1+1/R).
		s.logR[j] = logOnePlusExp(s.logR[j]) + logLikelihoodRatio(p0, theta(side, r), n, k)
	}
	if s.run <= 0 {
		s.run, s.n, s.k, s.since = 0, 0, 0, sentAt
	}
	s.run += logLikelihoodRatio(p0, theta(side, ratios[0]), n, k)
	s.n += n
	s.k += k
}

// Level is log of the mixture, log((1/J)·Σⱼ Rⱼ); −Inf before the first cohort.
func (s *Statistic) Level() float64 {
	top := s.logR[0]
	for _, v := range s.logR[1:] {
		top = max(top, v)
	}
	if math.IsInf(top, -1) {
		return top
	}
	var sum float64
	for _, v := range s.logR {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum/Alternatives)
}

func logOnePlusExp(x float64) float64 {
	if x > 0 {
		return x + math.Log1p(math.Exp(-x))
	}
	return math.Log1p(math.Exp(x))
}
