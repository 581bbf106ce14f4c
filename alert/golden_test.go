package alert

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// dump is every row of the state as `key value` in hex.
func dump(t *testing.T, st store.State) []byte {
	t.Helper()
	var b strings.Builder
	if err := st.Scan([]byte{0}, []byte{0xff}, func(key, value []byte) bool {
		fmt.Fprintf(&b, "%x %x\n", key, value)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

// storedSeries has something of its own in every field, and no number that was
// computed: the last bit of a logarithm may differ between processors.
func storedSeries() *series {
	stat := func(x float64) Statistic {
		s := Statistic{run: x, n: 1234, k: 56, since: 1_772_409_600}
		for i := range s.logR {
			s.logR[i] = x + float64(i)/4
		}
		return s
	}
	fresh := Statistic{}
	for i := range fresh.logR {
		fresh.logR[i] = math.Inf(-1)
	}
	return &series{
		seriesID: seriesID{RuleOptOut, schemas.Series{
			Account: "acme", Grouping: schemas.GroupCampaignVariant, Channel: schemas.ChannelWhatsApp, Campaign: "spring", Variant: "b",
		}},
		active:   true,
		incident: Incident{Severity: schemas.SeverityWarn, OpenedAt: midnight, ChangedAt: midnight + 60, AnnouncedAt: midnight + 120, Good: 7},
		minute:   midnight + 540, settledTo: -60, settledSeverity: schemas.SeverityPage,
		last: storedTransition(),
		ages: []ageState{
			{
				age: 1800, lastAt: midnight + 300, badAt: midnight + 240,
				pool:  []cohort{{midnight + 60, 100, 3}, {midnight + 300, 1_000_000, 0}},
				tests: []testState{{schemas.SeverityWarn, 0.01, true, stat(2.5)}, {schemas.SeverityPage, 0.03, false, stat(-0.125)}},
			},
			{age: 86400, lastAt: 0, tests: []testState{{schemas.SeverityWarn, 0.02, false, fresh}}},
		},
	}
}

func storedTransition() schemas.Transition {
	return schemas.Transition{
		Epoch: testEpoch, Rule: RuleOptOut, Series: campaign("acme", "spring"), OpenedAt: midnight, At: midnight + 120,
		State: schemas.StateFiring, Severity: schemas.SeverityWarn, Reason: "opened", Metric: MetricOptOut, N: 10, K: 3,
		Age: 1800, Reference: 0.01, Version: 84,
	}
}

// The bytes of the state are a promise to the build that comes after: it opens
// what this one has written. Where this file must change, Logic changes with it,
// and docs/runbook.md explains what becomes of the old states.
func TestStateBytesGolden(t *testing.T) {
	w := newWorld(t, Config{}) // no rules, so that none is bound to the series
	open := func() *fold {
		deps := Deps{Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		f, err := NewFold(defaults(t), deps)(task.Source{Epoch: testEpoch}, w.st)
		w.must(err)
		f.(*fold).cfg = Config{}
		return f.(*fold)
	}
	f := open()
	quiet := &series{seriesID: seriesID{"r", account("a")}}
	for _, s := range []*series{storedSeries(), quiet} {
		f.series[s.seriesID] = s
		f.dirty[s.seriesID] = struct{}{}
	}
	for i, to := range []schemas.Instant{0, 1_772_409_661_234, 1_772_409_659_999} {
		if to == 0 {
			continue // not heard
		}
		w.must(f.Apply(task.Record{Schema: schemas.SchemaProgress, Value: schemas.EncodeProgress(&schemas.Progress{
			Epoch: testEpoch, Stage: schemas.StageRollup, Source: int32(i), Sources: 3, NextOffset: 12, CompleteTo: to,
		})}))
	}
	f.dClock, f.minute = 1_772_409_600_123, midnight+60
	row := storedTransition()
	f.push(row)
	w.st.Set(prefixed(kindTold, incidentKey(&row)), []byte{stateVersion})
	w.must(f.Save())
	was := dump(t, w.st)
	golden.Assert(t, "testdata/state.golden", was)

	// The stored state opens, and is written again as it was.
	f = open()
	for id := range f.series {
		f.dirty[id] = struct{}{}
	}
	w.must(f.Save())
	// The rules of today are bound to what is read, so only rows of no rule and
	// those that belong to no series come back byte for byte.
	for line := range strings.Lines(string(dump(t, w.st))) {
		if !strings.HasPrefix(line, fmt.Sprintf("%x", storedSeries().key())) && !strings.Contains(string(was), line) {
			t.Errorf("read and written again: %s", line)
		}
	}
	s, err := decodeSeries(storedSeries().encode())
	w.must(err)
	if got, want := fmt.Sprintf("%x", s.encode()), fmt.Sprintf("%x", storedSeries().encode()); got != want {
		t.Errorf("series read and written again %s, was %s", got, want)
	}
	if f.firing[s.seriesID] == nil || len(f.outbox) != 1 {
		t.Error("the incident or its notification is not there after opening")
	}
}
