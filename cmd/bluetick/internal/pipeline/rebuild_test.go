package pipeline

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/bluetick/bluetick/schemas"
)

// TestFirstMinute: of a log that was cut.
func TestFirstMinute(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 30, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	for name, c := range map[string]struct{ begins, want time.Time }{
		"as retention leaves it: a horizon and a day later": {day(-61), day(-30).Add(time.Minute)},
		"a horizon and some days":                           {day(-35), day(-4).Add(time.Minute)},
		"less than that: what still changes":                {day(-33), day(-3)},
		"a week":                                            {day(-7), day(-3)},
		"an hour: all that it has":                          {now.Add(-time.Hour), now.Add(-time.Hour)},
		"nothing is left":                                   {now, now},
	} {
		if got := firstMinute(c.begins, now); got != c.want.Truncate(time.Minute).Unix() {
			t.Errorf("%s: %s, want %s", name, time.Unix(got, 0).UTC(), c.want)
		}
	}
}

// TestFirstWholeMinute: a log that was never cut holds every minute; one that was does
// not, also if nothing at all is left of a partition.
func TestFirstWholeMinute(t *testing.T) {
	p := running(t, testConfig(t), untilRates())
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if got := post(t, p, Wall()); got != 200 {
		t.Fatal(got)
	}
	if first, err := p.firstWhole(t.Context()); err != nil || first != 0 {
		t.Errorf("a whole log: %d, %v", first, err)
	}
	ends, err := p.Ends(t.Context(), schemas.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	cut := kadm.Offsets{}
	cut.AddOffset(schemas.TopicEvents, 0, ends[0]-1, -1)
	if _, err := p.admin.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	first, err := p.firstWhole(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	near := func(first int64) bool {
		d := time.Unix(first, 0).Sub(Wall())
		return first%60 == 0 && -2*time.Minute < d && d <= 0
	}
	if !near(first) {
		t.Errorf("the first minute is %s, want that of the last event", time.Unix(first, 0))
	}
	if ends, err = p.Ends(t.Context(), schemas.TopicEvents); err != nil {
		t.Fatal(err)
	}
	cut.AddOffset(schemas.TopicEvents, 0, ends[0], -1)
	if _, err := p.admin.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	if first, err = p.firstWhole(t.Context()); err != nil || !near(first) {
		t.Errorf("nothing is left: %s, %v", time.Unix(first, 0), err)
	}
}

// TestRebuildRefuses: what a rebuild cannot do is an error, and nothing is changed.
func TestRebuildRefuses(t *testing.T) {
	away := testConfig(t)
	away.Kafka.Brokers, away.StartTimeout = []string{"127.0.0.1:1"}, time.Millisecond
	for name, run := range map[string]func() error{
		"brokers are away":          func() error { return Rebuild{Again: true, Out: &bytes.Buffer{}}.Run(t.Context(), away) },
		"brokers are away, to drop": func() error { return Rebuild{Out: &bytes.Buffer{}}.DropOld(t.Context(), away) },
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "did not answer") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(away.Data, "epoch.json")); !os.IsNotExist(err) {
		t.Errorf("epoch.json: %v", err)
	}
}

// TestBar: what a person reads while a rebuild goes on.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := newBar(Rebuild{Out: &out, Terminal: true}, 200)
	b.began = Wall().Add(-10 * time.Second)
	b.show(100, "events are folded", false)
	b.show(200, "ClickHouse has it all", true)
	text := out.String()
	for _, want := range []string{"[###############...............] 100 of 200 records, 50.0 %, waiting until events are folded, 10s left", "200 of 200 records, 100.0 %", "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	out.Reset()
	b = newBar(Rebuild{Out: &out}, 0)
	b.show(0, "events are folded", false)
	b.show(0, "events are folded", false) // within seconds: one line
	if out.String() != "rebuild: 0 of 0 records, 100.0 %, waiting until events are folded\n" {
		t.Errorf("plain %q", out.String())
	}
}
