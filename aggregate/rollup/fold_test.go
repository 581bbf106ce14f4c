package rollup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// noon is the middle of a day, a multiple of each Window.Every.
const noon = int64(1_767_268_800)

// script drives one fold, record by record, by times relative to noon.
type script struct {
	t      *testing.T
	cfg    Config
	st     *memory
	f      *Fold
	offset int64
	clock  int64 // seconds, stamps the records
}

func newScript(t *testing.T, cfg Config) *script {
	st := newMemory()
	return &script{t: t, cfg: cfg, st: st, f: open(t, cfg, st), clock: noon}
}

func (s *script) apply(r task.Record) {
	s.t.Helper()
	if err := s.f.Apply(r); err != nil {
		s.t.Fatal(err)
	}
	s.offset++
}

var bakery = schemas.Tuple{Account: "bakery", Channel: schemas.ChannelWhatsApp, Sender: "desk", Campaign: "rye"}

// pane counts messages of bakery sent and delivered within a minute, in the
// minute that starts so many minutes after noon.
func (s *script) pane(source int32, minutes, version, sent, delivered int64) {
	s.t.Helper()
	p := schemas.Pane{
		Epoch: 1, Source: source, Minute: noon + minutes*60, Tuple: bakery, Version: version,
		DClock: schemas.Instant(s.clock * 1000),
	}
	p.Counts.Sent, p.Counts.Outcomes[schemas.OutcomeDelivered][0] = sent, delivered
	s.apply(paneRecord(s.offset, schemas.Instant(s.clock*1000), &p))
}

// complete says that a source of two is complete up to so many seconds after noon.
func (s *script) complete(source int32, next, to int64) {
	s.t.Helper()
	s.apply(progressRecord(s.offset, schemas.Instant(s.clock*1000), &schemas.Progress{
		Epoch: 1, Stage: schemas.StageMessage, Source: source, Sources: 2,
		NextOffset: next, CompleteTo: schemas.Instant((noon + to) * 1000),
	}))
}

// accounts drains, and keeps the rows of the account's series.
func (s *script) accounts() []schemas.Rate {
	s.t.Helper()
	return slices.DeleteFunc(ratesOf(s.t, s.f.Drain(s.offset)), func(r schemas.Rate) bool {
		return r.Series.Grouping != schemas.GroupAccount
	})
}

func (s *script) restart() {
	s.t.Helper()
	if err := s.f.Save(); err != nil {
		s.t.Fatal(err)
	}
	s.f = open(s.t, s.cfg, s.st)
}

// lastMinutes has one window of a minute, so far, and one of three minutes.
func lastMinutes() Config {
	return Config{
		Windows: []Window{
			{time.Minute, time.Minute, []time.Duration{0}},
			{3 * time.Minute, time.Minute, []time.Duration{0}},
		},
		Groupings:          Default().Groupings,
		MaxRowsPerProgress: 1000,
	}
}

type line struct{ window, at, sent, delivered, version int64 }

// linesOf are the rates by minutes after noon.
func linesOf(rates []schemas.Rate) []line {
	var out []line
	for _, r := range rates {
		out = append(out, line{int64(r.Window) / 60, (r.At - noon) / 60, r.Totals.Sent, r.Totals.Outcomes[schemas.OutcomeDelivered], r.Version})
	}
	return out
}

func (s *script) want(why string, want ...line) {
	s.t.Helper()
	if got := linesOf(s.accounts()); !slices.Equal(got, want) {
		s.t.Errorf("%s: (window, at, sent, delivered, version)\n got %v\nwant %v", why, got, want)
	}
}

func TestClosesOnTheProgressThatBringsTheWatermark(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.pane(0, 0, 0, 10, 8) // offset 0
	s.complete(0, 1, 60)   // 1: source 1 unheard
	s.want("no watermark until each source has been heard")
	if got := s.f.CompleteTo(); got != 0 {
		t.Errorf("complete to %d before any at closed, whatever the runtime believes", got)
	}
	s.pane(1, 0, 0, 5, 5) // 2
	s.complete(1, 1, 59)  // 3: first watermark; 12:01 is not reached
	s.want("the minute is not over")
	s.pane(1, 0, 1, 7, 6) // 4
	s.complete(1, 2, 60)  // 5: reached exactly
	s.want("partial panes add up; the values are those at the record that closes",
		line{1, 1, 17, 14, 5}, line{3, 1, 17, 14, 5})
	if got, want := s.f.CompleteTo(), schemas.Instant((noon+60)*1000); got != want {
		t.Errorf("complete to %d, want the last closed at %d", got, want)
	}
	s.complete(1, 3, 400)
	s.want("the watermark is the least: source 0 holds it")
	s.complete(0, 2, 185) // 7
	s.want("it closes every `at` up to and including the watermark, in order",
		line{3, 2, 17, 14, 7}, line{3, 3, 17, 14, 7})
	s.complete(0, 3, 400)
	s.want("a series without messages in any window has no row")
}

func TestIdleSourceMovesTheWatermark(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.complete(1, 0, 30) // never has an event
	s.pane(0, 0, 0, 1, 0)
	s.complete(0, 1, 60)
	s.want("its word of 12:00:30 still holds the watermark")
	s.complete(1, 0, 61)
	s.want("idle, it says so again", line{1, 1, 1, 0, 3}, line{3, 1, 1, 0, 3})
}

func TestSourceRestart(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.pane(0, 0, 7, 4, 4)
	s.complete(0, 8, 60)
	s.complete(1, 0, 300)
	s.want("closed", line{1, 1, 4, 4, 2}, line{3, 1, 4, 4, 2})
	// Source 0 crashed and replays: older truths, and a word with fewer offsets.
	s.pane(0, 0, 5, 3, 2)
	s.complete(0, 6, 120)
	s.want("a replaying source completes nothing")
	s.pane(0, 0, 7, 4, 4)
	s.complete(0, 8, 120)
	s.want("caught up; the older pane did not replace the newer", line{3, 2, 4, 4, 6})
}

func TestLatePaneIsNotRevised(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.pane(0, 0, 0, 10, 2)
	s.complete(1, 0, 1000)
	s.complete(0, 1, 60)
	s.want("closed", line{1, 1, 10, 2, 2}, line{3, 1, 10, 2, 2})
	s.pane(0, 0, 3, 12, 9)
	s.want("a closed at stays as it was")
	s.complete(0, 4, 120)
	s.want("the next at includes what came late", line{3, 2, 12, 9, 4})
}

func TestFirstAtFollowsTheEarliestPane(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.complete(1, 0, 600)
	s.pane(0, 5, 0, 3, 3)
	s.pane(0, 2, 0, 1, 1)
	s.complete(0, 2, 4*60)
	s.want("from 12:03 on", line{1, 3, 1, 1, 3}, line{3, 3, 1, 1, 3}, line{3, 4, 1, 1, 3})
}

func TestNoDataClosesUpToTheWatermark(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.complete(0, 0, 90)
	s.complete(1, 0, 150)
	if got, want := s.f.CompleteTo(), schemas.Instant((noon+60)*1000); got != want {
		t.Fatalf("complete to %d, want %d", got, want)
	}
	s.pane(0, 0, 0, 5, 5) // its `at`, 12:01, is closed
	s.complete(0, 1, 150)
	s.want("what comes after the first watermark is in the next at", line{3, 2, 5, 5, 3})
	// Without data, a watermark far ahead costs nothing.
	s.complete(0, 2, 1<<40)
	s.complete(1, 1, 1<<40)
	if rows := s.accounts(); len(rows) != 1 || rows[0].At != noon+180 {
		t.Errorf("%v", linesOf(rows))
	}
	if got, want := s.f.CompleteTo(), schemas.Instant(floorMinute(noon+1<<40)*1000); got != want {
		t.Errorf("complete to %d, want %d", got, want)
	}
}

func TestRowsPerProgressAreBounded(t *testing.T) {
	t.Parallel()
	cfg := lastMinutes()
	cfg.MaxRowsPerProgress = 9 // 4 series of 2 windows: the second at crosses it
	s := newScript(t, cfg)
	for m := range int64(5) {
		s.pane(0, m, m, 1, 1)
	}
	s.complete(1, 0, 300)
	for _, c := range []struct {
		why      string
		from, to int64
	}{
		{"two at, then it stops", 1, 2},
		{"the next Progress goes on", 3, 4},
		{"to the end", 5, 5},
	} {
		s.complete(0, 5, 300)
		rates := s.accounts()
		if len(rates) == 0 || (rates[0].At-noon)/60 != c.from || (rates[len(rates)-1].At-noon)/60 != c.to {
			t.Errorf("%s: %v", c.why, linesOf(rates))
		}
		if got, want := s.f.CompleteTo(), schemas.Instant((noon+c.to*60)*1000); got != want {
			t.Errorf("%s: complete to %d, want %d", c.why, got, want)
		}
	}
}

func TestSaveRefusesPendingRates(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.pane(0, 0, 0, 1, 1)
	s.complete(0, 1, 60)
	s.complete(1, 1, 60)
	if n := s.f.Dirty(); n != 8 {
		t.Errorf("%d dirty rows, want 4 series of 2 windows", n)
	}
	before := len(s.st.rows)
	if err := s.f.Save(); err == nil || len(s.st.rows) != before {
		t.Errorf("saved with rates pending: %v", err)
	}
	s.f.Drain(s.offset)
	if n := s.f.Dirty(); n != 0 {
		t.Errorf("%d dirty rows after a drain", n)
	}
	if err := s.f.Save(); err != nil {
		t.Error(err)
	}
}

func TestRestartContinues(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.pane(0, 0, 0, 10, 5)
	s.restart() // before any watermark
	s.complete(0, 1, 60)
	s.restart() // with one source heard
	s.complete(1, 0, 1000)
	s.want("first at", line{1, 1, 10, 5, 2}, line{3, 1, 10, 5, 2})
	s.restart()
	if got, want := s.f.CompleteTo(), schemas.Instant((noon+60)*1000); got != want {
		t.Errorf("complete to %d after a restart, want %d", got, want)
	}
	s.pane(0, 1, 2, 4, 4)
	s.restart()
	s.complete(0, 3, 120)
	s.want("sums are rebuilt", line{1, 2, 4, 4, 4}, line{3, 2, 14, 9, 4})
	if got, want := s.f.DClock(), schemas.Instant(noon*1000); got != want {
		t.Errorf("D-clock %d, want %d", got, want)
	}
}

// A watermark that a stalled source holds back for days: panes are forgotten by
// the D-clock meanwhile, and rates that would need them are not emitted.
func TestStalledForDays(t *testing.T) {
	t.Parallel()
	s := newScript(t, lastMinutes())
	s.pane(0, 0, 0, 10, 10)
	s.complete(0, 1, 60)
	s.complete(1, 0, 60)
	s.accounts()
	s.pane(0, 1, 1, 20, 20)
	const days = 3 * 24 * 60 // minutes
	s.clock += days * 60
	s.pane(0, days, 2, 30, 30)
	if n := len(s.st.rows); n < 3 {
		t.Errorf("%d panes in the store: a clock was believed that was three days ahead, once", n)
	}
	s.clock += 3600
	s.pane(0, days, 2, 30, 30)
	if n := len(s.st.rows); n != 1 {
		t.Errorf("%d panes in the store, want the last only", n)
	}
	s.pane(0, 1, 3, 21, 21)
	if n := len(s.st.rows); n != 1 {
		t.Errorf("%d panes in the store: a pane of a forgotten minute came back", n)
	}
	s.complete(0, 4, days*60+60)
	s.complete(1, 0, days*60+60)
	s.want("nothing is said of what was forgotten", line{1, days + 1, 30, 30, 8}, line{3, days + 1, 30, 30, 8})
}

// keyed is the record under another key.
func keyed(r task.Record, key string) task.Record {
	r.Key = []byte(key)
	return r
}

func TestApplyIgnoresAndRejects(t *testing.T) {
	t.Parallel()
	now := schemas.Instant(noon * 1000)
	other := fullPane()
	other.Epoch, other.DClock = 2, now
	before1970 := fullPane()
	before1970.Epoch, before1970.Minute, before1970.Source = 1, -60, 0
	here := fullPane()
	here.Epoch, here.Source, here.DClock = 1, 0, now
	nowhere, twice := here, here
	nowhere.Source = 1
	twice.Counts.Sent++
	progress := schemas.Progress{Epoch: 1, Stage: schemas.StageMessage, Source: 0, Sources: 1, CompleteTo: now}
	changed, otherEpoch, otherStage := progress, progress, progress
	changed.Sources, otherEpoch.Epoch, otherStage.Stage = 2, 2, schemas.StageRollup
	for _, c := range []struct {
		name   string
		record task.Record
		reason string // empty: ignored
	}{
		{"pane of another epoch", paneRecord(1, now, &other), ""},
		{"progress of another epoch", progressRecord(1, now, &otherEpoch), ""},
		{"progress of another stage", progressRecord(1, now, &otherStage), ""},
		{"unknown schema", task.Record{Offset: 1, Schema: "Pane/9"}, schemas.ReasonSchema},
		{"pane that is none", task.Record{Offset: 1, Schema: schemas.SchemaPane, Value: []byte{0xff}}, schemas.ReasonDecode},
		{"progress that is none", task.Record{Offset: 1, Schema: schemas.SchemaProgress, Value: []byte{0xff}}, schemas.ReasonDecode},
		{"a minute before 1970", paneRecord(1, now, &before1970), reasonMinute},
		{"a pane without a key", keyed(paneRecord(1, now, &here), ""), schemas.ReasonKey},
		{"a pane under another account", keyed(paneRecord(1, now, &here), "globex"), schemas.ReasonKey},
		{"progress under a key", keyed(progressRecord(1, now, &progress), "acme"), schemas.ReasonKey},
		{"a pane of a partition of events that is not", paneRecord(1, now, &nowhere), reasonSource},
		{"other counts of the same version", paneRecord(1, now, &twice), reasonTwoTruths},
		{"the same pane again", paneRecord(1, now, &here), ""},
		{"another number of sources", progressRecord(1, now, &changed), task.ReasonSources},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			st := newMemory()
			f := open(t, Default(), st)
			if err := errors.Join(f.Apply(paneRecord(0, now, &here)), f.Apply(progressRecord(0, now, &progress))); err != nil {
				t.Fatal(err)
			}
			was, rows, dirty := appendMeta(nil, &f.meta), fmt.Sprint(st.rows), f.Dirty()
			err := f.Apply(c.record)
			var reject *task.Reject
			switch {
			case c.reason == "" && err != nil:
				t.Errorf("error %v", err)
			case c.reason != "" && (!errors.As(err, &reject) || reject.Reason != c.reason):
				t.Errorf("error %v, want a rejection for %s", err, c.reason)
			}
			const remedy = "progress of stage message: 2 sources after 1 in one epoch: " +
				"the topic it reads has another number of partitions; make the topics anew with the old number, and start anew"
			if c.reason == task.ReasonSources && reject != nil && reject.Err.Error() != remedy {
				t.Errorf("it says %q, want %q", reject.Err, remedy)
			}
			if string(appendMeta(nil, &f.meta)) != string(was) || fmt.Sprint(st.rows) != rows || f.Dirty() != dirty {
				t.Error("it changed the state")
			}
		})
	}
}

func TestDamagedStateStopsTheTask(t *testing.T) {
	t.Parallel()
	p := fullPane()
	for name, damage := range map[string]func(*memory){
		"meta":  func(m *memory) { m.Set(metaKey(), []byte{9}) },
		"pane":  func(m *memory) { m.Set(appendPaneKey(nil, &p), []byte{0xff}) },
		"tuple": func(m *memory) { m.Set(append(appendPaneKey(nil, &p), 1), appendPane(nil, &p)) },
	} {
		st := newMemory()
		damage(st)
		if _, err := NewFold(Default())(task.Source{Epoch: 1}, st); err == nil {
			t.Errorf("a damaged %s opens", name)
		}
	}
}
