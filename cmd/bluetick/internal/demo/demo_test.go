package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/alert"
	"github.com/bluetick/bluetick/cmd/bluetick/internal/pipeline"
	"github.com/bluetick/bluetick/internal/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func goodDay() snapshot {
	truth := []simulate.CampaignTruth{
		{Campaign: simulate.Collapsing, Sent: 100, Delivered: 40, Failed: 20},
		{Campaign: "healthy", Sent: 50, Delivered: 49, Opened: 30, Engaged: 10, OptedOut: 1, Failed: 1, Recovered: 2},
		{Campaign: simulate.Swelling, Sent: 80, Delivered: 80, Opened: 60, OptedOut: 9},
	}
	s := snapshot{speed: 1, now: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), truth: truth, unattributed: 3, unattributedTruth: 3}
	for _, t := range truth {
		rate, low, high := 0.5, 0.4, 0.6
		s.campaigns = append(s.campaigns, campaignRow{
			Campaign: t.Campaign, Sent: t.Sent, Delivered: t.Delivered, Opened: t.Opened, Engaged: t.Engaged,
			OptedOut: t.OptedOut, Failed: t.Failed, Recovered: t.Recovered, Open: &rate, OpenLow: &low, OpenHigh: &high,
			Distances: map[string]float64{"open_rate/baseline@86400": -0.08},
		})
	}
	s.alerts = []alertRow{
		{Rule: alert.RuleOptOut, Campaign: simulate.Swelling, State: "firing", Severity: "page", Metric: "opt_out_rate", Numerator: 9, Denominator: 80, Reference: 0.03, Age: 1800},
		{Rule: alert.RuleDelivery, Campaign: simulate.Collapsing, State: "resolved", Severity: "page"},
	}
	return s
}

// TestJudgement: the comparison must be able to fail in each of its ways.
func TestJudgement(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*snapshot)
		want   string // part of the only complaint; "" for none
	}{
		"all right":                     {func(*snapshot) {}, ""},
		"the user's own campaign":       {func(s *snapshot) { s.campaigns = append(s.campaigns, campaignRow{Campaign: "by_hand", Sent: 1}) }, ""},
		"one message too many":          {func(s *snapshot) { s.campaigns[1].Sent++ }, "healthy: sent is 51, the truth is 50"},
		"a delivery missing":            {func(s *snapshot) { s.campaigns[0].Delivered-- }, "delivered"},
		"an open missing":               {func(s *snapshot) { s.campaigns[1].Opened-- }, "opened"},
		"a tap twice":                   {func(s *snapshot) { s.campaigns[1].Engaged++ }, "engaged"},
		"an opt-out missing":            {func(s *snapshot) { s.campaigns[2].OptedOut-- }, "opted_out"},
		"a recovered counted as failed": {func(s *snapshot) { s.campaigns[1].Failed++ }, "failed"},
		"a recovery missing":            {func(s *snapshot) { s.campaigns[1].Recovered-- }, "recovered"},
		"a STOP missing":                {func(s *snapshot) { s.unattributed-- }, "name no message"},
		"swell did not alert":           {func(s *snapshot) { s.alerts = s.alerts[1:] }, simulate.Swelling + " did not raise opt-out-swell"},
		"collapse did not alert":        {func(s *snapshot) { s.alerts = s.alerts[:1] }, simulate.Collapsing + " did not raise"},
		"a healthy one alerted": {func(s *snapshot) {
			s.alerts = append(s.alerts, alertRow{Rule: alert.RuleOptOut, Campaign: "healthy"})
		}, "healthy raised opt-out-swell"},
		"the wrong rule": {func(s *snapshot) {
			s.alerts = append(s.alerts, alertRow{Rule: alert.RuleDelivery, Campaign: simulate.Swelling})
		}, "must not"},
	} {
		s := goodDay()
		c.change(&s)
		wrong := append(differences(&s), alertVerdict(&s)...)
		switch {
		case c.want == "" && len(wrong) > 0:
			t.Errorf("%s: %q", name, wrong)
		case c.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], c.want)):
			t.Errorf("%s: %q, want one with %q", name, wrong, c.want)
		}
		var out bytes.Buffer
		if ok := report(&out, s, wrong); ok != (c.want == "") || !strings.Contains(out.String(), "demo: ") {
			t.Errorf("%s: report %v: %s", name, ok, &out)
		}
	}
}

func TestMissingCampaignIsADifference(t *testing.T) {
	s := goodDay()
	s.campaigns = s.campaigns[1:]
	if got := differences(&s); len(got) == 0 {
		t.Error("no difference")
	}
}

func TestSettle(t *testing.T) {
	s := goodDay()
	take := func(context.Context) snapshot { return s }
	asked := 0
	_, wrong := settle(t.Context(), take, func(context.Context) (bool, error) { asked++; return asked == 3, nil }, time.Minute, time.Millisecond)
	if len(wrong) > 0 || asked != 3 {
		t.Errorf("drained at the third question: %q after %d", wrong, asked)
	}
	bad := goodDay()
	bad.alerts = nil
	looks := 0
	late := func(context.Context) snapshot {
		if looks++; looks < 4 {
			return bad
		}
		return s
	}
	if _, wrong = settle(t.Context(), late, func(context.Context) (bool, error) { return true, nil }, time.Minute, time.Hour); len(wrong) > 0 {
		t.Errorf("alerts on their way: %q", wrong)
	}
	if _, wrong = settle(t.Context(), func(context.Context) snapshot { return bad }, func(context.Context) (bool, error) { return true, nil }, time.Minute, time.Millisecond); len(wrong) != 2 {
		t.Errorf("alerts that never come: %q", wrong)
	}
	_, wrong = settle(t.Context(), take, func(context.Context) (bool, error) { return false, errors.New("kafka is away") }, time.Millisecond, time.Millisecond)
	if len(wrong) != 1 || !strings.Contains(wrong[0], "had not drained") || !strings.Contains(wrong[0], "kafka is away") {
		t.Errorf("never drained: %q", wrong)
	}
}

func TestScreen(t *testing.T) {
	s := goodDay()
	s.campaigns[1].Sent = 48
	screen := s.screen(places{data: "d", clickhouse: "127.0.0.1:8123", ingest: "127.0.0.1:8080", sample: "{}", signature: "sha256=00"})
	for _, want := range []string{
		"48/50", "50.0 (40.0-60.0)", "-8.0", "opt-out-swell on win_back: opt_out_rate 11.2 % (9 of 80 at 30m0s), limit 3.0 %",
		"How to read it", "curl 'http://127.0.0.1:8123/", "X-Hub-Signature-256: sha256=00", "live", "make demo-clean",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}
	if n := strings.Count(screen, "curl 'http://127.0.0.1:8123/"); n != 3 {
		t.Errorf("%d SQL questions, want 3", n)
	}
}

func TestLinesTellEachAlertOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	rounds := 0
	take := func(context.Context) snapshot {
		s := goodDay()
		if rounds++; rounds == 3 {
			s.alerts[0].State = "resolved"
		}
		if rounds == 4 {
			cancel()
		}
		return s
	}
	var out bytes.Buffer
	if err := watchLines(&out, time.Millisecond)(ctx, take, places{}); err != nil {
		t.Fatal(err)
	}
	var alerts []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "ALERT") {
			alerts = append(alerts, line)
		}
	}
	if len(alerts) != 3 || !slices.ContainsFunc(alerts, func(l string) bool {
		return strings.Contains(l, "resolved page opt-out-swell") || strings.Contains(l, "resolved")
	}) {
		t.Errorf("alerts told:\n%s", strings.Join(alerts, ""))
	}
}

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		want    string
	}{
		"endless":         {Options{Scale: 1}, ""},
		"just long":       {Options{For: least, Scale: 1}, ""},
		"too short":       {Options{For: least - 1, Scale: 1}, "at least 55s"},
		"nothing to send": {Options{}, "--scale"},
		"too much":        {Options{Scale: 101}, "--scale"},
	} {
		err := c.options.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPostFor: the time runs from the first post, and the error names whatever
// ends the posting before that.
func TestPostFor(t *testing.T) {
	open := func() chan struct{} { c := make(chan struct{}); close(c); return c }
	with := func(err error) chan error { c := make(chan error, 1); c <- err; return c }
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		first          <-chan struct{}
		posted, failed <-chan error
		cancelled      bool
		want           string
		took           time.Duration
	}{
		"its time":                   {open(), nil, nil, false, "", time.Minute},
		"stopped before a post":      {nil, nil, nil, true, "", 0},
		"the simulator ends":         {nil, with(broken), nil, false, "the simulator ended by itself\nbroken", 0},
		"the simulator just returns": {nil, with(nil), nil, false, "the simulator ended by itself", 0},
		"a part fails":               {nil, nil, with(broken), false, "broken", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.cancelled {
					cancel()
				}
				from := time.Now()
				err := postFor(ctx, time.Minute, c.first, c.posted, c.failed)
				if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && got != c.want {
					t.Errorf("%v, want %q", err, c.want)
				}
				if took := time.Since(from); took != c.took {
					t.Errorf("after %s, want %s", took, c.took)
				}
			})
		})
	}
}

func TestPostForEndsEarlyAfterTheFirstPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, failed := make(chan struct{}), make(chan error, 1)
		time.AfterFunc(10*time.Second, func() { close(first) })
		time.AfterFunc(20*time.Second, func() { failed <- errors.New("broken") })
		from := time.Now()
		err := postFor(t.Context(), time.Minute, first, nil, failed)
		if err == nil || time.Since(from) != 20*time.Second {
			t.Errorf("after %s: %v", time.Since(from), err)
		}
	})
}

// TestLog: the demo is quieter than its configuration, and writes to a file
// while the terminal is drawn on.
func TestLog(t *testing.T) {
	cfg := pipeline.Default()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	log, closeLog, err := openLog(&cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("nobody reads this")
	log.Warn("somebody reads this")
	closeLog()
	b, err := os.ReadFile(filepath.Join(cfg.Data, "demo.log"))
	if err != nil || strings.Contains(string(b), "nobody") || !strings.Contains(string(b), "somebody") {
		t.Errorf("%s, %v", b, err)
	}
	if cfg.Log.Level != "info" {
		t.Errorf("the configuration became %s", cfg.Log.Level)
	}
	cfg.Log.Level = "shout"
	if _, _, err := openLog(&cfg, false); err == nil {
		t.Error("a level that is none is taken")
	}
}
