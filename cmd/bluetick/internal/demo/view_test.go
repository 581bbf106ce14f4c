package demo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/bluetick/bluetick/internal/simulate"
)

func fraction(f float64) *float64 { return &f }

// TestCells: one cell of the table for each thing a number can be.
func TestCells(t *testing.T) {
	known := campaignRow{Distances: map[string]float64{"below": -0.08, "above": 0.015, "on it": 0}}
	for name, c := range map[string]struct{ got, want string }{
		"they agree":                {against(7, 7), "7"},
		"some are on their way":     {against(5, 7), "5/7"},
		"nothing has come":          {against(0, 7), "0/7"},
		"a rate":                    {interval(fraction(0.5), fraction(0.4), fraction(0.612)), "50.0 (40.0-61.2)"},
		"an empty denominator":      {interval(nil, nil, nil), "-"},
		"a rate without its bounds": {interval(fraction(0.5), nil, fraction(0.6)), "-"},
		"below a benchmark":         {known.distance("below"), "-8.0"},
		"above it":                  {known.distance("above"), "+1.5"},
		"on it":                     {known.distance("on it"), "+0.0"},
		"too young for it":          {known.distance("another"), "-"},
		"live":                      {pace(1), "live"},
		"ahead of its time":         {pace(2000), "2000x"},
		"percent":                   {percent(0.1125), "11.2 %"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

// TestRowsFollowTheTruth: every campaign of the simulator has its row, in the
// simulator's order, even while ClickHouse does not know it yet; a campaign of the
// user's own is not compared with anything.
func TestRowsFollowTheTruth(t *testing.T) {
	s := goodDay()
	s.campaigns = append(s.campaigns[1:], campaignRow{Campaign: "by_hand", Sent: 1})
	rows := s.rows()
	if len(rows) != len(s.truth) {
		t.Fatalf("%d rows for %d campaigns", len(rows), len(s.truth))
	}
	for i, row := range rows {
		if row[0] != s.truth[i].Campaign || len(row) != len(header()) {
			t.Errorf("row %d: %q", i, row)
		}
	}
	if want := []string{simulate.Collapsing, "0/100", "0/40", "0", "0", "0", "-", "-", "-", "-", "-", "-"}; !slices.Equal(rows[0], want) {
		t.Errorf("nothing has come: %q, want %q", rows[0], want)
	}
	if got := rows[1][1]; got != "50" {
		t.Errorf("all has come: %q", got)
	}
}

func TestLineSums(t *testing.T) {
	s := goodDay()
	s.updates, s.events = 700, 690
	want := "2026-02-03 04:05:06 live   acknowledged 700, in ClickHouse 690 events: sent 230, delivered 169, opened 90, engaged 10, opted out 10; alerts 2"
	if got := s.line(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestScreenWithoutAlerts(t *testing.T) {
	s := goodDay()
	s.alerts, s.note, s.unattributed = nil, "cannot read ClickHouse: gone", 1
	screen := s.screen(places{})
	for _, want := range []string{"Alerts\n  none yet\n", "  cannot read ClickHouse: gone\n", "opt-outs that name no message: 1/3\n"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}
}

func TestAlertWithoutMessages(t *testing.T) {
	if got := (alertRow{Rule: "r", Campaign: "c"}).String(); !strings.Contains(got, "r on c") || !strings.Contains(got, "0.0 % (0 of 0") {
		t.Error(got)
	}
}

func TestURL(t *testing.T) {
	p := places{ingest: "127.0.0.1:8080", clickhouse: "c:1", metrics: "m:2", data: "d", sample: "{}", signature: "sha256=00"}
	if got := p.url(); got != "http://127.0.0.1:8080/v1/webhooks/meta/demo" {
		t.Error(got)
	}
	for _, want := range []string{"http://m:2/metrics", "Data: d ", "curl -i " + p.url(), "FROM v_campaigns", "FROM v_cohort_curve"} {
		if !strings.Contains(p.help(), want) {
			t.Errorf("no %q in\n%s", want, p.help())
		}
	}
}

// TestScreenModel: the screen starts empty, shows each snapshot, asks for the
// next, and ends when the user asks for it.
func TestScreenModel(t *testing.T) {
	s := goodDay()
	taken := 0
	m := &screenModel{ctx: t.Context(), take: func(context.Context) snapshot { taken++; return s }, places: places{}}
	if got := m.View().Content; !strings.Contains(got, "starting") {
		t.Errorf("before the first snapshot: %q", got)
	}
	first := m.Init()()
	if taken != 1 {
		t.Fatalf("%d snapshots taken at the start", taken)
	}
	if _, next := m.Update(first); next == nil {
		t.Error("nothing asks for the next snapshot")
	}
	if got := m.View().Content; !strings.Contains(got, simulate.Swelling) {
		t.Errorf("a snapshot is not shown:\n%s", got)
	}
	for key, leaves := range map[tea.KeyPressMsg]bool{
		{Code: 'q', Text: "q"}:             true,
		{Code: 'c', Mod: tea.ModCtrl}:      true,
		{Code: 'x', Text: "x"}:             false,
		{Code: tea.KeyEnter}:               false,
		{Code: 'q', Mod: tea.ModCtrl}:      false,
		{Code: tea.KeyUp, Mod: tea.ModAlt}: false,
	} {
		_, cmd := m.Update(key)
		quits := false
		if cmd != nil {
			_, quits = cmd().(tea.QuitMsg)
		}
		if quits != leaves {
			t.Errorf("%s: leaves is %v", key, quits)
		}
	}
}

// TestTerminalEndsWithItsContext: a stop of the process is not an error of the view.
func TestTerminalEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	take := func(context.Context) snapshot { cancel(); return goodDay() }
	var out strings.Builder
	if err := watchTerminal(strings.NewReader(""), &out)(ctx, take, places{}); err != nil {
		t.Error(err)
	}
}

// TestSettleTellsWhatIsMissing: the last error and the differences, also when the command is
// being stopped.
func TestSettleTellsWhatIsMissing(t *testing.T) {
	bad := goodDay()
	bad.campaigns[1].Sent--
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	take := func(ctx context.Context) snapshot {
		if ctx.Err() != nil {
			t.Error("the last look is cut off")
		}
		return bad
	}
	never := func(context.Context) (bool, error) { return false, errors.New("kafka is away") }
	_, wrong := settle(ctx, take, never, time.Minute, time.Millisecond)
	if len(wrong) != 2 || !strings.Contains(wrong[0], "kafka is away") || !strings.Contains(wrong[1], "healthy: sent is 49, the truth is 50") {
		t.Errorf("%q", wrong)
	}
}
