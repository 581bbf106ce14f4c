package alert

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// binomial draws by the gaps between hits, which is exact and quick for the
// small rates tests need; a large p is drawn through its complement.
func binomial(rng *rand.Rand, n int64, p float64) int64 {
	if p <= 0 || n <= 0 {
		return 0
	}
	if p > 0.5 {
		return n - binomial(rng, n, 1-p)
	}
	var k int64
	for i := gap(rng, p); i < n; i += 1 + gap(rng, p) {
		k++
	}
	return k
}

func gap(rng *rand.Rand, p float64) int64 {
	return int64(math.Log(1-rng.Float64()) / math.Log1p(-p))
}

// The figures below are those of the simulation that design decisions rest on:
// opt-outs at a baseline of 0.5 %, 20,000 messages, looked at after every slice,
// naive rules over the last 12 slices.
const (
	simBaseline = 0.005
	simMessages = 20_000
	// simTests: a campaign under opt-out-swell is tested at three ages, in two tiers each.
	simTests = 6
)

// watcher sees slice after slice and says whether it alarms.
type watcher func(n, k int64) bool

// rolling gives a rule the sums of the last 12 slices.
func rolling(rule func(n, k float64) bool) watcher {
	var ns, ks [12]int64
	i := 0
	return func(n, k int64) bool {
		ns[i%12], ks[i%12] = n, k
		i++
		var sn, sk int64
		for j := range ns {
			sn += ns[j]
			sk += ks[j]
		}
		return rule(float64(sn), float64(sk))
	}
}

func naive(n, k float64) bool { return n >= 100 && k/n > 2*simBaseline }

// wilson alarms when the lower end of the one-sided 95 % Wilson interval lies
// above the baseline.
func wilson(n, k float64) bool {
	const z = 1.6449
	p := k / n
	low := (p + z*z/(2*n) - z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))) / (1 + z*z/n)
	return k > 0 && low > simBaseline
}

func sequential(logA float64) watcher {
	s := fresh()
	return func(n, k int64) bool {
		s.Add(Above, simBaseline, n, k, 0)
		return s.Level() >= logA
	}
}

// firstAlarm is how many messages a watcher saw until it alarmed, ok false if
// it did not within the messages.
func firstAlarm(rng *rand.Rand, w watcher, slice, messages int64, rate float64) (int64, bool) {
	for seen := int64(0); seen < messages; {
		seen += slice
		if w(slice, binomial(rng, slice, rate)) {
			return seen, true
		}
	}
	return 0, false
}

func TestSimulatedFalseAlarms(t *testing.T) {
	const runs = 300
	cases := []struct {
		name        string
		watch       func() watcher
		slice       int64
		least, most float64
	}{
		{"twice the rate with 100 messages, slices of 10", func() watcher { return rolling(naive) }, 10, 0.98, 1},
		{"twice the rate with 100 messages, slices of 50", func() watcher { return rolling(naive) }, 50, 0.9, 1},
		{"wilson 95 %, slices of 10", func() watcher { return rolling(wilson) }, 10, 0.98, 1},
		{"wilson 95 %, slices of 50", func() watcher { return rolling(wilson) }, 50, 0.98, 1},
		{"sequential, slices of 10", func() watcher { return sequential(quarterlyLogA(simTests)) }, 10, 0, 0.01},
		{"sequential, slices of 50", func() watcher { return sequential(quarterlyLogA(simTests)) }, 50, 0, 0.01},
		{"sequential, slices of 500", func() watcher { return sequential(quarterlyLogA(simTests)) }, 500, 0, 0.01},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(c.slice)))
			alarms := 0
			for range runs {
				if _, ok := firstAlarm(rng, c.watch(), c.slice, simMessages, simBaseline); ok {
					alarms++
				}
			}
			share := float64(alarms) / runs
			t.Logf("false alarm in %.1f %% of %d healthy runs", 100*share, runs)
			if share < c.least || share > c.most {
				t.Errorf("false alarms in %.3f of runs, want %.3f to %.3f", share, c.least, c.most)
			}
		})
	}
}

func TestSimulatedDetectionDelay(t *testing.T) {
	const runs = 200
	cases := []struct {
		name        string
		times       float64
		least, most int64 // of the median number of messages
	}{
		{"twofold", 2, 3000, 6500},
		{"threefold", 3, 1400, 2200},
		{"fivefold", 5, 550, 1050},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(2, 0))
			var delays []int64
			for range runs {
				s := fresh()
				for range 100 { // 5,000 healthy messages before
					s.Add(Above, simBaseline, 50, binomial(rng, 50, simBaseline), 0)
				}
				w := func(n, k int64) bool {
					s.Add(Above, simBaseline, n, k, 0)
					return s.Level() >= quarterlyLogA(simTests)
				}
				if d, ok := firstAlarm(rng, w, 50, simMessages, c.times*simBaseline); ok {
					delays = append(delays, d)
				}
			}
			if len(delays) < runs {
				t.Errorf("found in %d of %d runs", len(delays), runs)
			}
			slices.Sort(delays)
			median := delays[len(delays)/2]
			t.Logf("found after %d messages (median; 90 %% within %d)", median, delays[len(delays)*9/10])
			if median < c.least || median > c.most {
				t.Errorf("median %d messages, want %d to %d", median, c.least, c.most)
			}
		})
	}
}

func quarterlyLogA(tests int) float64 { return Default()[0].FalseAlarms.LogThreshold(tests) }

// Disjoint cohorts are the point: the same test over the same days, fed once
// with each minute and once with the last hour every minute.
func TestOverlappingWindowsAlarmEveryDay(t *testing.T) {
	const days, perMinute = 60, 30
	logA := quarterlyLogA(1)
	rng := rand.New(rand.NewPCG(3, 0))
	var minute, hour int
	for range days {
		single, overlapping := fresh(), fresh()
		var ks [1440]int64
		var sum int64
		var alarmMinute, alarmHour bool
		for m := range ks {
			ks[m] = binomial(rng, perMinute, simBaseline)
			single.Add(Above, simBaseline, perMinute, ks[m], 0)
			alarmMinute = alarmMinute || single.Level() >= logA
			sum += ks[m]
			if m >= 60 {
				sum -= ks[m-60]
				overlapping.Add(Above, simBaseline, 60*perMinute, sum, 0)
				alarmHour = alarmHour || overlapping.Level() >= logA
			}
		}
		if alarmMinute {
			minute++
		}
		if alarmHour {
			hour++
		}
	}
	t.Logf("%d healthy days: %d with a false alarm from minute cohorts, %d from overlapping hours", days, minute, hour)
	if minute > 0 || hour < days-1 {
		t.Errorf("false alarms on %d days from minute cohorts (want 0) and %d from overlapping hours (want about all %d)", minute, hour, days)
	}
}

// The promise of the budget, at a threshold small enough to be met: the mean
// time between false alarms is at least A updates, also when the messages come
// in cohorts of very different size.
func TestMeanTimeBetweenFalseAlarms(t *testing.T) {
	const runs, logA = 300, 5.0 // A = 148
	for _, size := range []int64{20, 1000} {
		rng := rand.New(rand.NewPCG(4, uint64(size)))
		var updates float64
		for range runs {
			s := fresh()
			for s.Level() < logA {
				n := 1 + rng.Int64N(2*size)
				s.Add(Above, 0.01, n, binomial(rng, n, 0.01), 0)
				updates++
				if updates > 2e6 {
					break
				}
			}
		}
		mean := updates / runs
		t.Logf("cohorts of about %d: a false alarm every %.0f updates, at least %.0f promised", size, mean, math.Exp(logA))
		// Three standard errors of a geometric mean are 17 % at 300 runs.
		if mean < 0.83*math.Exp(logA) {
			t.Errorf("a false alarm every %.0f updates, promised %.0f", mean, math.Exp(logA))
		}
	}
}
