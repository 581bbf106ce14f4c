package alert

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// busySeries is a state with something in every field.
func busySeries(t testing.TB) *series {
	t.Helper()
	c := defaults(t)
	p := newPlan(&c.Rules[1], c.Benchmarks, schemas.ChannelWhatsApp)
	s := &series{
		seriesID: seriesID{RuleOptOut, campaign("acme", "spring")}, active: true,
		incident: Incident{Severity: schemas.SeverityWarn, OpenedAt: 60, ChangedAt: 120, AnnouncedAt: 120, Good: 7},
		minute:   540, settledTo: -60, settledSeverity: schemas.SeverityPage,
		last: schemas.Transition{
			Epoch: 7, Rule: RuleOptOut, Series: campaign("acme", "spring"), OpenedAt: 60, At: 120, State: schemas.StateFiring,
			Severity: schemas.SeverityWarn, Reason: "opened", Metric: MetricOptOut, N: 10, K: 3, Age: 1800, Reference: 0.01,
		},
	}
	s.bind(p)
	for i := range int64(90) {
		s.consume(s.age(1800), Above, cohort{at: 60 * i, n: 100, k: i % 3}, 13)
	}
	return s
}

func TestSeriesRoundTrip(t *testing.T) {
	s := busySeries(t)
	if got := len(s.age(1800).pool); got != 60 {
		t.Errorf("the pool holds %d cohorts, want the last 60", got)
	}
	b := s.encode()
	back, err := decodeSeries(b)
	if err != nil {
		t.Fatal(err)
	}
	if again := back.encode(); !bytes.Equal(b, again) {
		t.Errorf("read and written again differs:\n%x\n%x", b, again)
	}
	if back.incident != s.incident || back.last != s.last || back.seriesID != s.seriesID || back.settledTo != s.settledTo {
		t.Errorf("got %+v, want %+v", back, s)
	}
	if got, want := back.test(1800, schemas.SeverityWarn).stat, s.test(1800, schemas.SeverityWarn).stat; got != want {
		t.Errorf("statistic %+v, want %+v", got, want)
	}
	for n := range b {
		if _, err := decodeSeries(b[:n]); !errors.Is(err, statecodec.ErrDamaged) {
			t.Fatalf("the first %d bytes of %d: error %v, want one of damaged state", n, len(b), err)
		}
	}
}

func FuzzDecodeSeries(f *testing.F) {
	f.Add(busySeries(f).encode())
	f.Add((&series{seriesID: seriesID{"r", account("a")}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSeries(b)
		if err != nil {
			return
		}
		// Varints have longer forms than ours; after one writing it is fixed.
		once := s.encode()
		back, err := decodeSeries(once)
		if err != nil {
			t.Fatalf("what was accepted is refused when written again: %v", err)
		}
		if !bytes.Equal(once, back.encode()) {
			t.Error("writing is not stable")
		}
	})
}

// twoOfThree sources have been heard.
func twoOfThree() task.Sources {
	return task.RestoreSources([]task.SourceStatus{{Heard: true, CompleteTo: 7}, {}, {Heard: true, CompleteTo: 9}})
}

func TestMetaRoundTrip(t *testing.T) {
	m := meta{dClock: -5, minute: 60, sources: twoOfThree()}
	back, err := decodeMeta(m.encode())
	if err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("read back %+v, %v; was %+v", back, err, m)
	}
}

func FuzzDecodeMeta(f *testing.F) {
	m := meta{dClock: 5, minute: 60, sources: twoOfThree()}
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		back, err := decodeMeta(m.encode())
		if err != nil || !bytes.Equal(back.encode(), m.encode()) {
			t.Errorf("written and read again: %+v, %v; was %+v", back, err, m)
		}
	})
}

func TestBindFollowsTheConfiguration(t *testing.T) {
	s := busySeries(t)
	rows, err := schemas.LoadBenchmarks()
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if rows[i].Metric == MetricOptOut && rows[i].Tier == "warn" {
			rows[i].Value = 0.02
		}
	}
	rule := Default()[1]
	rule.Tiers = rule.Tiers[:3] // 30m warn, 30m page, 1h warn
	was := s.test(1800, schemas.SeverityPage).stat
	at := s.age(1800).lastAt
	s.bind(newPlan(&rule, rows, schemas.ChannelWhatsApp))
	if got := s.test(1800, schemas.SeverityPage).stat; got != was {
		t.Error("the test whose reference stayed lost its statistic")
	}
	if got := s.test(1800, schemas.SeverityWarn); got.stat != fresh() || got.p0 != 0.02 {
		t.Errorf("the test whose reference changed goes on with %+v", got)
	}
	if s.age(1800).lastAt != at {
		t.Error("N1: the last at consumed is forgotten")
	}
	if s.age(14400) != nil {
		t.Error("an age that is gone is kept")
	}
}
