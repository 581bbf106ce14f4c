package pipeline

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/bluetick/bluetick/schemas"
)

// TestFirstWholeMinute: a log that was never cut holds every minute; one that was
// holds those that lie a horizon and a day after its first event.
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
	want := Wall().Add(31 * 24 * time.Hour)
	if d := time.Unix(first, 0).Sub(want); first%60 != 0 || d < -time.Minute || d > 2*time.Minute {
		t.Errorf("the first whole minute is %s, want %s", time.Unix(first, 0), want)
	}
}

func TestRebuildRefuses(t *testing.T) {
	servers := testConfig(t)
	servers.Kafka.Brokers = []string{"127.0.0.1:1"}
	for name, run := range map[string]func() error{
		"servers":             func() error { return Rebuild{Out: &bytes.Buffer{}}.Run(t.Context(), servers) },
		"servers, --drop-old": func() error { return Rebuild{Out: &bytes.Buffer{}}.DropOld(t.Context(), servers) },
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "embedded") {
			t.Errorf("%s: %v", name, err)
		}
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
