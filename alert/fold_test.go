package alert

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/internal/meter"
	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

var swell = schemas.Totals{Sent: 400, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 400, schemas.OutcomeOptedOut: 100}}

func onlyOptOut(t *testing.T) Config {
	c := defaults(t)
	c.Rules = c.Rules[1:]
	return c
}

func TestFoldTakesOnlyWhatIsItsOwn(t *testing.T) {
	at := midnight + 36000
	rate := schemas.Rate{Epoch: testEpoch, Series: campaign("acme", "spring"), Window: 60, Age: 1800, At: at, DClock: schemas.Instant(at * 1000), Totals: swell}
	cases := []struct {
		name   string
		change func(*schemas.Rate)
		opens  bool
	}{
		{"as it should be", func(*schemas.Rate) {}, true},
		{"an overlapping window", func(r *schemas.Rate) { r.Window = 3600 }, false},
		{"another age", func(r *schemas.Rate) { r.Age = 86400 }, false},
		{"so far", func(r *schemas.Rate) { r.Age = 0 }, false},
		{"another epoch", func(r *schemas.Rate) { r.Epoch++ }, false},
		{"another grouping", func(r *schemas.Rate) { r.Series.Grouping = schemas.GroupCampaignVariant }, false},
		{"nothing delivered", func(r *schemas.Rate) { r.Totals = schemas.Totals{Sent: 400} }, false},
		{"opt-outs known before their receipts", func(r *schemas.Rate) {
			r.Totals = schemas.Totals{Sent: 400, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 20, schemas.OutcomeOptedOut: 30}}
		}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, onlyOptOut(t))
			r := rate
			c.change(&r)
			w.append(schemas.SchemaRate, []byte(r.Series.Account), schemas.EncodeRate(&r), at)
			w.must(w.checkpoint())
			if opened := len(w.newest()) == 1; opened != c.opens {
				t.Errorf("opened %v, want %v", opened, c.opens)
			}
		})
	}
}

func TestFoldRejects(t *testing.T) {
	w := newWorld(t, defaults(t))
	w.append(schemas.SchemaRate, nil, []byte{0xff}, midnight)
	w.append(schemas.SchemaProgress, nil, []byte{0xff}, midnight)
	w.append("Pane/1", nil, nil, midnight)
	w.must(w.flush())
	var reasons []string
	for _, r := range w.emitted {
		d, err := schemas.DecodeDeadLetter(r.Value)
		w.must(err)
		reasons = append(reasons, d.Reason)
	}
	if got := strings.Join(reasons, " "); got != "decode decode schema" {
		t.Errorf("dead letters %q", got)
	}
}

// There is no watermark until every source partition of roll-up has been heard,
// and the slowest one holds it.
func TestWatermark(t *testing.T) {
	var m meta
	hear := func(source int32, to schemas.Instant) {
		if err := m.hear(schemas.Progress{Source: source, Sources: 3, CompleteTo: to}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		source int32
		to     schemas.Instant
		want   schemas.Instant
		ok     bool
	}{
		{0, 60_000, 0, false},
		{2, 90_000, 0, false},
		{1, 30_000, 30_000, true},
		{1, 120_000, 60_000, true},
		{0, 50_000, 60_000, true}, // never back
		{0, 100_000, 90_000, true},
	} {
		hear(c.source, c.to)
		if got, ok := m.sources.Watermark(); got != c.want || ok != c.ok {
			t.Errorf("after source %d said %d: %d %v, want %d %v", c.source, c.to, got, ok, c.want, c.ok)
		}
	}
}

func TestThresholdCountsActiveSeries(t *testing.T) {
	w := newWorld(t, defaults(t))
	at := midnight + 36000
	quiet := schemas.Totals{Sent: 100, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 100}}
	for i := range 20 {
		w.rate(campaign("acme", string(rune('a'+i))), 1800, at, quiet)
		w.rate(campaign("other", string(rune('a'+i))), 1800, at, quiet)
	}
	w.rate(campaign("acme", "a"), 1800, at+60, swell)
	w.progress(at + 60)
	w.progress(at + 2*86400)
	w.rate(campaign("acme", "b"), 1800, at+2*86400+60, swell)
	w.must(w.checkpoint())
	want := []float64{quarterlyLogA(20 * 6), quarterlyLogA(1 * 6)}
	var got []float64
	for _, tr := range w.newest() {
		got = append(got, tr.Threshold)
	}
	if len(got) != 2 || max(got[0], got[1]) != want[0] || min(got[0], got[1]) != want[1] {
		t.Errorf("thresholds %v, want %v", got, want)
	}
}

func TestLimitOfSeries(t *testing.T) {
	c := onlyOptOut(t)
	c.MaxSeries = 2
	reg := prometheus.NewRegistry()
	w := newWorld(t, c)
	deps := Deps{Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	first, second := meter.NewScope(reg), meter.NewScope(reg)
	f, err := NewFold(c, deps)(task.Source{Epoch: testEpoch, Metrics: first}, w.st)
	w.must(err)
	apply := func(name string, at int64) {
		r := schemas.Rate{Epoch: testEpoch, Series: campaign("acme", name), Window: 60, Age: 1800, At: at, Totals: swell}
		w.must(f.Apply(task.Record{Offset: at, Schema: schemas.SchemaRate, Key: []byte("acme"), Value: schemas.EncodeRate(&r)}))
	}
	apply("a", midnight)
	apply("b", midnight)
	apply("c", midnight)
	apply("c", midnight+60)
	if n := f.Dirty(); n != 2 {
		t.Errorf("%d transitions, want those of the two series watched", n)
	}
	for name, want := range map[string]float64{
		`bluetick_alert_series_refused_total`:                                            2,
		`bluetick_alert_incidents_firing partition=0 rule=opt-out-swell`:                 2,
		`bluetick_alert_transitions_total reason=opened rule=opt-out-swell state=firing`: 2,
	} {
		if got, ok := gather(t, reg)[name]; !ok || got != want {
			t.Errorf("%s is %v (there: %v), want %v", name, got, ok, want)
		}
	}
	// The fold of a second partition counts into the same series, except for its
	// own incidents; the first one's close leaves them there.
	if _, err := NewFold(c, deps)(task.Source{Epoch: testEpoch, Partition: 1, Metrics: second}, w.st); err != nil {
		t.Error(err)
	}
	first.Close()
	for name, there := range map[string]bool{
		`bluetick_alert_series_refused_total`:                            true,
		`bluetick_alert_incidents_firing partition=0 rule=opt-out-swell`: false,
		`bluetick_alert_incidents_firing partition=1 rule=opt-out-swell`: true,
	} {
		if _, ok := gather(t, reg)[name]; ok != there {
			t.Errorf("%s after the first fold has closed: there %v, want %v", name, ok, there)
		}
	}
	second.Close()
	if left := gather(t, reg); len(left) != 0 {
		t.Errorf("after both have closed there is %v", left)
	}
}

// gather is every sample by name and labels.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return got
}

// A series is forgotten only when its rows cannot come again.
func TestForgetting(t *testing.T) {
	w := newWorld(t, defaults(t))
	at := midnight + 36000
	w.rate(campaign("acme", "spring"), 1800, at, schemas.Totals{Sent: 100, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 100}})
	w.progress(at)
	w.must(w.checkpoint())
	stored := func() (n int) {
		w.must(w.st.Scan([]byte{kindSeries}, []byte{kindSeries + 1}, func(_, _ []byte) bool { n++; return true }))
		return n
	}
	// Judged at 30 minutes by both rules.
	if n := stored(); n != 2 {
		t.Fatalf("%d series stored, want 2", n)
	}
	w.progress(at + 7*86400)
	w.must(w.checkpoint())
	if n := stored(); n != 2 {
		t.Errorf("%d series stored after 7 days, want 2", n)
	}
	w.progress(at + 8*86400 + 3600)
	w.must(w.checkpoint())
	if n := stored(); n != 0 {
		t.Errorf("%d series stored after 8 days, want none", n)
	}
}

func TestNewFoldTellsMistakes(t *testing.T) {
	w := newWorld(t, defaults(t))
	deps := Deps{Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	bad := defaults(t)
	bad.Benchmarks = nil
	twice := deps
	twice.Receivers = []receiver.Receiver{nobody{}, nobody{}}
	for _, c := range []struct {
		name string
		cfg  Config
		deps Deps
		says string
	}{
		{"no benchmarks", bad, deps, "no benchmark"},
		{"no clock", defaults(t), Deps{}, "Now and Log"},
		{"two receivers of one name", defaults(t), twice, `"nobody"`},
	} {
		if _, err := NewFold(c.cfg, c.deps)(task.Source{}, w.st); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.says)
		}
	}
	w.st.Set([]byte{kindMeta}, []byte{99})
	if _, err := NewFold(defaults(t), deps)(task.Source{}, w.st); !errors.Is(err, statecodec.ErrDamaged) {
		t.Errorf("damaged state: error %v", err)
	}
}

// An incident is shown every minute also when roll-up closes many at once.
func TestCatchingUpSeesEveryMinute(t *testing.T) {
	steady, jump := newWorld(t, defaults(t)), newWorld(t, defaults(t))
	for m := range int64(200) {
		at := midnight + 36000 + m*60
		totals := schemas.Totals{Sent: 200, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 200}}
		if m < 10 {
			totals.Outcomes[schemas.OutcomeOptedOut] = 20
		}
		for _, w := range []*world{steady, jump} {
			w.rate(campaign("acme", "spring"), 1800, at, totals)
		}
		steady.progress(at)
	}
	jump.progress(midnight + 36000 + 199*60)
	steady.must(steady.checkpoint())
	jump.must(jump.checkpoint())
	a, b := steady.newest(), jump.newest()
	if len(a) != 1 || len(b) != 1 {
		t.Fatalf("%d and %d incidents", len(a), len(b))
	}
	for k, row := range a {
		other := b[k]
		if row.At != other.At || row.State != other.State || row.N != other.N || row.Reason != other.Reason {
			t.Errorf("minute by minute %+v, at once %+v", row, other)
		}
	}
}

// When the watermark jumps over both a reminder and the end, one row of that
// offset is left: the end.
func TestOneRowPerIncidentAndOffset(t *testing.T) {
	w := newWorld(t, onlyOptOut(t))
	at := midnight + 36000
	w.rate(campaign("acme", "spring"), 1800, at, swell)
	w.rate(campaign("acme", "summer"), 1800, at, swell)
	w.rate(campaign("acme", "spring"), 1800, at+120, schemas.Totals{Sent: 10, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 10}})
	w.rate(campaign("acme", "summer"), 1800, at+120, schemas.Totals{Sent: 10, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 10}})
	w.must(w.flush())
	before := len(w.transitions())
	w.progress(at + 3*86400)
	w.now = time.Unix(at, 0)
	w.must(w.checkpoint())
	w.newest() // checks N4
	for _, tr := range w.transitions()[before:] {
		if tr.State != schemas.StateResolved {
			t.Errorf("%s of %s at the offset of its end", tr.Reason, where(&tr.Series))
		}
	}
	w.must(w.st.Scan([]byte{kindTold}, []byte{kindTold + 1}, func(key, _ []byte) bool {
		t.Errorf("%x is still marked as told", key)
		return true
	}))
	if n := len(w.transitions()) - before; n != 4 { // recorded and notified, for both
		t.Errorf("%d rows, want 4", n)
	}
}

// The number of sources is fixed by the first word: another one is rejected and
// tells what to do, as the roll-up does with the same text.
func TestAnotherNumberOfSourcesIsRejected(t *testing.T) {
	for _, now := range []int32{1, 3} {
		w := newWorld(t, defaults(t))
		w.sources = 2
		w.progress(midnight + 60)
		w.must(w.checkpoint())
		was := dump(t, w.st)
		w.sources = now
		w.progress(midnight + 120)
		w.must(w.checkpoint())
		if len(w.emitted) != int(now) {
			t.Fatalf("%d dead letters for %d words", len(w.emitted), now)
		}
		d, err := schemas.DecodeDeadLetter(w.emitted[0].Value)
		w.must(err)
		want := fmt.Sprintf("progress of stage rollup: %d sources after 2 in one epoch: "+
			"the topic it reads has another number of partitions; make the topics anew with the old number, and start anew", now)
		if d.Reason != task.ReasonSources || d.Detail != want {
			t.Errorf("dead letter %s: %q, want %q", d.Reason, d.Detail, want)
		}
		if got := dump(t, w.st); !bytes.Equal(got, was) {
			t.Errorf("the state was\n%s\nand is\n%s", was, got)
		}
		w.crash()
		w.sources = 2
		w.progress(midnight + 180) // the old number goes on
		w.must(w.checkpoint())
		if got := dump(t, w.st); bytes.Equal(got, was) {
			t.Error("the watermark does not move any more with the old number of sources")
		}
	}
}

func BenchmarkApply(b *testing.B) {
	w := newWorld(b, defaults(b))
	f, err := NewFold(w.cfg, Deps{Now: time.Now, Log: slog.New(slog.DiscardHandler)})(task.Source{Epoch: testEpoch}, w.st)
	w.must(err)
	r := schemas.Rate{Epoch: testEpoch, Series: campaign("acme", "spring"), Window: 60, Age: 1800, Totals: schemas.Totals{Sent: 100, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 97}}}
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		r.At += 60
		if err := f.Apply(task.Record{Offset: r.At, Schema: schemas.SchemaRate, Key: []byte("acme"), Value: schemas.EncodeRate(&r)}); err != nil {
			b.Fatal(err)
		}
		rows++
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
