package alert

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// curve is a share by age: linear in log age between its points, flat outside.
type curve []struct{ age, share float64 }

func (c curve) at(age float64) float64 {
	if age <= c[0].age {
		return c[0].share
	}
	for i := 1; i < len(c); i++ {
		if age <= c[i].age {
			f := math.Log(age/c[i-1].age) / math.Log(c[i].age/c[i-1].age)
			return c[i-1].share + f*(c[i].share-c[i-1].share)
		}
	}
	return c[len(c)-1].share
}

// healthyDelivery is the curve of a campaign without trouble.
func healthyDelivery() curve {
	return curve{{300, 0.81}, {3600, 0.88}, {14400, 0.92}, {86400, 0.96}}
}

// optOutsBy is the share of the final opt-outs known at an age: log-normal with
// a median of 40 minutes, a long tail to the evening.
func optOutsBy(age float64) float64 {
	return 0.5 * math.Erfc(-math.Log(age/2400)/(1.1*math.Sqrt2))
}

// behaviour is how a campaign's recipients react.
type behaviour struct {
	delivery curve
	optOut   float64 // of the delivered, in the end
}

// trafficAges are those roll-up emits for window 1m.
func trafficAges() []Age { return []Age{1800, 3600, 14400, 86400} }

// cohorts are the totals at each age of one minute's messages: each message's
// fate is drawn once, so counts only grow with age.
func cohorts(rng *rand.Rand, sent int64, b behaviour) [4]schemas.Totals {
	var out [4]schemas.Totals
	var delivered, left int64
	wasDelivered, wasLeft := 0.0, 0.0
	for i, age := range trafficAges() {
		share := b.delivery.at(float64(age))
		delivered += binomial(rng, sent-delivered, (share-wasDelivered)/(1-wasDelivered))
		wasDelivered = share
		p := b.optOut * optOutsBy(float64(age))
		left += binomial(rng, delivered-left, (p-wasLeft)/(1-wasLeft))
		wasLeft = p
		out[i] = schemas.Totals{Sent: sent, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: delivered, schemas.OutcomeOptedOut: left}}
	}
	return out
}

func add(a, b schemas.Totals) schemas.Totals {
	a.Sent += b.Sent
	a.Outcomes[schemas.OutcomeDelivered] += b.Outcomes[schemas.OutcomeDelivered]
	a.Outcomes[schemas.OutcomeOptedOut] += b.Outcomes[schemas.OutcomeOptedOut]
	return a
}

// play sends campaigns of an account for the given minutes from 09:00 on, and
// brings every cohort to each of its ages.
func (w *world) play(rng *rand.Rand, acct string, perMinute int64, minutes int, campaigns map[string]behaviour, names []string) {
	const start = 9 * 3600
	history := make(map[string][][4]schemas.Totals)
	for _, name := range names {
		for range minutes {
			history[name] = append(history[name], cohorts(rng, perMinute, campaigns[name]))
		}
	}
	// Two days on, the last cohort has come to 24 hours and an idle day has passed.
	for m := 31; m <= minutes+2*1440+5; m++ {
		at := midnight + start + int64(m)*60
		for i, age := range trafficAges() {
			sentAt := m - int(age)/60 - 1
			if sentAt < 0 || sentAt >= minutes {
				continue
			}
			var all schemas.Totals
			for _, name := range names {
				all = add(all, history[name][sentAt][i])
			}
			w.rate(account(acct), age, at, all)
			for _, name := range names {
				w.rate(campaign(acct, name), age, at, history[name][sentAt][i])
			}
		}
		w.progress(at)
		w.must(w.flush())
	}
	w.must(w.checkpoint())
}

func TestHealthyCampaignsDoNotAlarm(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 11))
		w := newWorld(t, defaults(t))
		healthy := behaviour{delivery: healthyDelivery(), optOut: 0.004}
		w.play(rng, "acme", 20+rng.Int64N(400), 240, map[string]behaviour{"spring": healthy, "shoes": healthy}, []string{"shoes", "spring"})
		for _, n := range w.recv.got {
			t.Errorf("seed %d: %s", seed, n.Text)
		}
	}
}

func TestTroubleAlarms(t *testing.T) {
	healthy := behaviour{delivery: healthyDelivery(), optOut: 0.004}
	collapse := behaviour{delivery: curve{{300, 0.24}, {3600, 0.28}, {86400, 0.31}}, optOut: 0.004}
	tired := behaviour{delivery: healthyDelivery(), optOut: 0.05}
	cases := []struct {
		name      string
		perMinute int64
		campaigns map[string]behaviour
		rule      string
		series    schemas.Series
		severity  schemas.Severity
		// within is the most minutes from launch to the first notification.
		within int64
	}{
		{"opt-outs of 5 %, a small campaign", 20, map[string]behaviour{"spring": tired}, RuleOptOut, campaign("acme", "spring"), schemas.SeverityPage, 150},
		{"opt-outs of 5 %, a large campaign beside a healthy one", 400, map[string]behaviour{"spring": tired, "shoes": healthy}, RuleOptOut, campaign("acme", "spring"), schemas.SeverityPage, 45},
		{"delivery collapses for the account", 50, map[string]behaviour{"spring": collapse}, RuleDelivery, account("acme"), schemas.SeverityPage, 36},
		{"delivery of one of two campaigns collapses", 50, map[string]behaviour{"spring": collapse, "shoes": healthy}, RuleDelivery, campaign("acme", "spring"), schemas.SeverityPage, 36},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, defaults(t))
			var names []string
			for _, name := range []string{"shoes", "spring"} {
				if _, ok := c.campaigns[name]; ok {
					names = append(names, name)
				}
			}
			w.play(rand.New(rand.NewPCG(1, 12)), "acme", c.perMinute, 240, c.campaigns, names)
			if len(w.recv.got) == 0 {
				t.Fatal("nobody was told")
			}
			first := w.recv.got[0]
			if first.Grouping != c.series.Grouping || first.Campaign != c.series.Campaign {
				t.Errorf("told of %s first", first.Title)
			}
			after := (first.At.Unix() - midnight - 9*3600) / 60
			t.Logf("told %d minutes after launch:\n%s", after, first.Text)
			if after > c.within {
				t.Errorf("told %d minutes after launch, want within %d", after, c.within)
			}
			var worst schemas.Severity
			for _, n := range w.recv.got {
				// One bad campaign of two makes its account bad as well, a day later.
				if n.Rule != c.rule || n.Campaign != c.series.Campaign && n.Grouping != schemas.GroupAccount {
					t.Errorf("told of something else: %s", n.Title)
				}
				if severityRank(n.Severity) > severityRank(worst) {
					worst = n.Severity
				}
			}
			if worst != c.severity {
				t.Errorf("the worst severity told is %s, want %s", worst, c.severity)
			}
			w.checkQuiet()
			for _, tr := range w.newest() {
				if tr.State != schemas.StateResolved {
					t.Errorf("a day and more later %s of %s still fires", tr.Rule, where(&tr.Series))
				}
			}
		})
	}
}

// checkQuiet sees to it that one trouble is told as few incidents, each seldom.
func (w *world) checkQuiet() {
	w.t.Helper()
	perIncident := map[string][]string{}
	for _, n := range w.recv.got {
		perIncident[n.Incident] = append(perIncident[n.Incident], n.At.Format("2 15:04 ")+n.Reason)
	}
	for _, told := range perIncident {
		// At most opened, raised, one reminder a day, and the end.
		if len(told) > 5 {
			w.t.Errorf("told too often: %v", told)
		}
	}
	if len(perIncident) > 2 {
		w.t.Errorf("one trouble, %d incidents: %v", len(perIncident), perIncident)
	}
}
