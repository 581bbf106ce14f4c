package alert

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/internal/task/tasktest"
	"github.com/bluetick/bluetick/schemas"
)

var healthy = schemas.Totals{Sent: 400, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 400}}

// theFold opens the fold on the world's store, to be looked into.
func (w *world) theFold(log *slog.Logger) *fold {
	w.t.Helper()
	f, err := NewFold(w.cfg, Deps{Now: time.Now, Log: log})(task.Source{Epoch: testEpoch}, w.st)
	w.must(err)
	return f.(*fold)
}

func (w *world) applyTo(f *fold) {
	w.t.Helper()
	for _, r := range w.log {
		w.must(f.Apply(r))
	}
	w.log = w.log[:0]
}

// One account names a new campaign in every message, day after day. Before, it
// took every place of the partition, and no other account's new campaign was
// judged any more, nor a new account as a whole.
func TestOneAccountsNamesBlindNobody(t *testing.T) {
	for _, c := range []struct {
		name  string
		after func(w *world, at int64)
		want  string
	}{
		{"another account's new campaign", func(w *world, at int64) { w.rate(campaign("acme", "spring"), 1800, at, swell) }, "acme spring"},
		{"another account as a whole", func(w *world, at int64) {
			for m := range int64(30) {
				w.rate(account("acme"), 1800, at+60*m, schemas.Totals{Sent: 400})
			}
		}, "acme "},
		{"the careless account as a whole", func(w *world, at int64) {
			for m := range int64(30) {
				w.rate(account("careless"), 1800, at+60*m, schemas.Totals{Sent: 400})
			}
		}, "careless "},
		{"a campaign of the careless account that goes on", func(w *world, at int64) {
			w.rate(campaign("careless", "0"), 1800, at, swell)
		}, "careless 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := defaults(t)
			cfg.MaxSeries = 40
			w := newWorld(t, cfg)
			at := midnight + 36000
			for m := range int64(5 * 24) {
				at += 3600
				for i := range int64(5) {
					w.rate(campaign("careless", fmt.Sprint(5*m+i)), 1800, at, healthy)
				}
				w.rate(campaign("careless", "0"), 1800, at+60, healthy)
				w.progress(at + 60)
			}
			c.after(w, at+120)
			w.must(w.checkpoint())
			var opened []string
			for _, tr := range w.newest() {
				opened = append(opened, tr.Series.Account+" "+tr.Series.Campaign)
			}
			if !slices.Equal(opened, []string{c.want}) {
				t.Errorf("incidents of %q, want one of %q", opened, c.want)
			}
		})
	}
}

// Who gives way when every place is taken. The holders are written as
// account/campaign@last cohort; `!` means firing, `-` idle for a day.
func TestWhoGivesWay(t *testing.T) {
	for _, c := range []struct {
		name, holders, newcomer, want string
	}{
		{"the largest account, not the idle one of a small account", "a/1@9 a/2@8 a/3@7 b/1@1-", "c", "a/3"},
		{"the longest idle one of the largest", "a/1@9 a/2@3- a/3@7 b/1@1-", "c", "a/2"},
		{"of equals in time the first by name", "a/2@3 a/1@3 a/3@3", "b", "a/1"},
		{"of equals in size the first by name", "b/1@1 b/2@2 a/1@5 a/2@6", "c", "a/1"},
		{"until both have as many", "a/1@1 a/2@2 b/1@3", "b", ""},
		{"never a firing one", "a/1@1! a/2@2! a/3@3 b/1@1", "b", "a/3"},
		{"all fire, so the next largest gives way", "a/1@1! a/2@2! a/3@3! b/1@4 b/2@5", "c", "b/1"},
		{"all fire", "a/1@1! a/2@2! a/3@3!", "b", ""},
		{"its own idle one for an account that has its share", "a/1@1- a/2@2 b/1@0- b/2@0-", "a", "a/1"},
		{"not its own busy one", "a/1@1 a/2@2 b/1@0- b/2@0-", "a", ""},
		{"not the account's own if another has more", "a/1@1- b/1@7 b/2@8 b/3@9", "a", "b/1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlaces(0)
			for h := range strings.FieldsSeq(c.holders) {
				var acct, camp string
				var at int64
				name, rest, _ := strings.Cut(h, "@")
				acct, camp, _ = strings.Cut(name, "/")
				if _, err := fmt.Sscanf(rest, "%d", &at); err != nil {
					t.Fatal(err)
				}
				s := &series{seriesID: seriesID{"r", campaign(acct, camp)}, active: !strings.HasSuffix(h, "-"), ages: []ageState{{age: 60, lastAt: at}}}
				if strings.HasSuffix(h, "!") {
					s.incident.Severity = schemas.SeverityPage
				}
				p.enter(s)
			}
			got := ""
			if s := p.leaver(c.newcomer); s != nil {
				got = s.of.Account + "/" + s.of.Campaign
			}
			if got != c.want {
				t.Errorf("%q gives way, want %q", got, c.want)
			}
		})
	}
}

// The queue, which looks at a series only when it comes to the front, finds the
// one that a search through all would.
func TestQueueFindsTheLongestIdle(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 31))
		p := newPlaces(0)
		var all []*series
		for step := range 2000 {
			switch n := r.IntN(10); {
			case n < 4 || len(all) == 0:
				s := &series{seriesID: seriesID{"r", campaign("a", fmt.Sprint(step))}, ages: []ageState{{lastAt: r.Int64N(5)}}}
				all = append(all, s)
				p.enter(s)
			case n < 7:
				all[r.IntN(len(all))].ages[0].lastAt += r.Int64N(4)
			case n < 8:
				all[r.IntN(len(all))].incident.Severity = schemas.SeverityPage
			case n < 9:
				s := all[r.IntN(len(all))]
				s.incident = Incident{}
				p.wait(s)
			default:
				i := r.IntN(len(all))
				p.leave(all[i])
				all = slices.Delete(all, i, i+1)
			}
			var want *series
			for _, s := range all {
				if !s.incident.Firing() && (want == nil || s.lastAt() < want.lastAt() || s.lastAt() == want.lastAt() && s.compare(want.seriesID) < 0) {
					want = s
				}
			}
			var got *series
			if of := p.of["a"]; of != nil {
				got = of.queue.longestIdle()
			}
			if got != want || p.taken != len(all) {
				t.Fatalf("seed %d step %d: found %v of %d, want %v of %d", seed, step, got, p.taken, want, len(all))
			}
		}
	}
}

// A series that was put aside has not forgotten what it judged: the same rows
// again, as a crash of roll-up leaves them, neither count nor bring it back.
func TestRepeatedRowAfterPuttingAside(t *testing.T) {
	cfg := onlyOptOut(t)
	cfg.MaxSeries = 2
	w := newWorld(t, cfg)
	at := midnight + 36000
	half := schemas.Totals{Sent: 400, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 400, schemas.OutcomeOptedOut: 9}}
	w.rate(campaign("acme", "old"), 1800, at, half)
	w.rate(campaign("acme", "other"), 1800, at+60, healthy)
	w.progress(at + 60)
	w.rate(campaign("new", "x"), 1800, at+120, healthy) // puts acme's oldest aside
	w.must(w.checkpoint())
	w.crash()
	for range 50 {
		w.rate(campaign("acme", "old"), 1800, at, half)
	}
	w.must(w.checkpoint())
	f := w.theFold(slog.New(slog.DiscardHandler))
	if _, ok := f.series[seriesID{RuleOptOut, campaign("acme", "old")}]; ok {
		t.Error("a repeated row has brought the series back")
	}
	if n := len(w.newest()); n != 0 {
		t.Errorf("%d incidents of rows that were judged before", n)
	}
	// A day later the others are idle; what is new of it is judged, from nothing.
	w.progress(at + 26*3600)
	w.rate(campaign("acme", "old"), 1800, at+26*3600, half)
	w.must(w.checkpoint())
	f = w.theFold(slog.New(slog.DiscardHandler))
	s := f.series[seriesID{RuleOptOut, campaign("acme", "old")}]
	if s == nil {
		t.Fatal("the series does not come back with a new cohort")
	}
	if stat := s.test(1800, schemas.SeverityWarn).stat; stat.n != 400 {
		t.Errorf("judged by %d messages, want those of the one new cohort", stat.n)
	}
	if _, ok, err := w.st.Get(s.asideKey()); ok || err != nil {
		t.Errorf("still kept as put aside: %v %v", ok, err)
	}
}

// What was part of an incident that has ended opens no second one, also if the
// series was put aside in between.
func TestPutAsideKeepsWhatIsSettled(t *testing.T) {
	s := storedSeries()
	kept, err := decodeSeries(s.withoutEvidence().encode())
	if err != nil {
		t.Fatal(err)
	}
	golden.Assert(t, "testdata/aside.golden", fmt.Appendf(nil, "%x %x\n", s.asideKey(), s.withoutEvidence().encode()))
	if kept.settledTo != s.settledTo || kept.settledSeverity != s.settledSeverity || kept.age(1800).lastAt != s.age(1800).lastAt {
		t.Errorf("kept %+v of %+v", kept, s)
	}
	if kept.active || kept.incident.Firing() || len(kept.age(1800).pool) != 0 || len(kept.age(1800).tests) != 0 {
		t.Errorf("kept %+v, want no evidence", kept)
	}
	if n := len(kept.encode()); n > 120 {
		t.Errorf("%d bytes for a series put aside", n)
	}
}

func TestPutAsideIsForgotten(t *testing.T) {
	cfg := onlyOptOut(t)
	cfg.MaxSeries = 1
	w := newWorld(t, cfg)
	at := midnight + 36000
	w.rate(campaign("acme", "a"), 1800, at, healthy)
	w.progress(at + 26*3600)
	w.rate(campaign("acme", "b"), 1800, at+26*3600, healthy)
	aside := func() (n int) {
		w.must(w.checkpoint())
		w.must(w.st.Scan([]byte{kindAside}, []byte{kindAside + 1}, func(_, _ []byte) bool { n++; return true }))
		return n
	}
	for _, c := range []struct {
		days int64
		want int
	}{{2, 1}, {7, 1}, {9, 0}} {
		w.progress(at + c.days*86400)
		if n := aside(); n != c.want {
			t.Errorf("%d series put aside after %d days, want %d", n, c.days, c.want)
		}
	}
}

// A lower limit holds from the next start on: the account with most gives way.
func TestLowerLimitAfterRestart(t *testing.T) {
	w := newWorld(t, onlyOptOut(t))
	at := midnight + 36000
	for i := range int64(20) {
		w.rate(campaign("large", fmt.Sprint(i)), 1800, at+60*i, healthy)
	}
	w.rate(campaign("small", "x"), 1800, at, healthy)
	w.must(w.checkpoint())
	w.cfg.MaxSeries = 5
	w.crash()
	w.must(w.checkpoint())
	f := w.theFold(slog.New(slog.DiscardHandler))
	var left []string
	for _, id := range slices.SortedFunc(func(yield func(seriesID) bool) {
		for id := range f.series {
			if !yield(id) {
				return
			}
		}
	}, seriesID.compare) {
		left = append(left, id.of.Account+"/"+id.of.Campaign)
	}
	if got := strings.Join(left, " "); got != "large/16 large/17 large/18 large/19 small/x" {
		t.Errorf("watched: %s", got)
	}
}

// The log names a setting that exists.
func TestRefusalNamesTheSetting(t *testing.T) {
	cfg := onlyOptOut(t)
	cfg.MaxSeries = 2
	w := newWorld(t, cfg)
	var said bytes.Buffer
	f := w.theFold(slog.New(slog.NewTextHandler(&said, nil)))
	for i := range int64(5) {
		w.rate(campaign("acme", fmt.Sprint(i)), 1800, midnight+60*i, healthy)
	}
	w.applyTo(f)
	if n := strings.Count(said.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings for three refusals in one hour: %s", n, said.String())
	}
	for _, want := range []string{"alerts.max_series", "account=acme", "account_series=2"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("does not say %q: %s", want, said.String())
		}
	}
	if s := settingsOf(t, "max_series: 7"); s.MaxSeries != 7 {
		t.Errorf("alerts.max_series read as %d", s.MaxSeries)
	}
}

// crowd writes some hours and days of more series than there are places for,
// with trouble here and there and rows that come twice.
func crowd(r *rand.Rand, w *world, steps int) {
	at := midnight + 36000
	for range steps {
		at += []int64{60, 60, 60, 3600, 13 * 3600}[r.IntN(5)]
		for range 1 + r.IntN(4) {
			totals := healthy
			if r.IntN(4) == 0 {
				totals = swell
			}
			s := campaign([]string{"a", "b", "careless", "careless"}[r.IntN(4)], fmt.Sprint(r.IntN(5)))
			if r.IntN(6) == 0 {
				s = account(s.Account)
			}
			for range 1 + r.IntN(5)/4 {
				w.rate(s, []Age{1800, 86400}[r.IntN(2)], at-60*int64(r.IntN(3)), totals)
			}
		}
		if r.IntN(3) > 0 {
			w.progress(at)
		}
	}
	w.progress(at + 10*86400)
}

// The runtime's model checker with more series than places: who is watched
// depends on the log alone, whatever crashes and restarts there were.
func TestProtocolWithMoreSeriesThanPlaces(t *testing.T) {
	cfg := defaults(t)
	cfg.MaxSeries = 3
	now := time.Unix(midnight+86400, 0)
	tasktest.Check(t, tasktest.Config{
		Stage: "alert",
		NewFold: NewFold(cfg, Deps{
			Now: func() time.Time { return now }, Receivers: []receiver.Receiver{nobody{}},
			Log: slog.New(slog.DiscardHandler),
		}),
		Log: func(r *rand.Rand) []task.Record {
			w := &world{sources: 1}
			crowd(r, w, 25)
			for i := range w.log {
				w.log[i] = inEpoch(t, w.log[i], 1)
			}
			return w.log
		},
		Row: decidedRow, LooseState: true, Runs: 60,
	})
}

// A state that was closed and opened again after any record equals one that was
// not.
func TestRestartChoosesTheSame(t *testing.T) {
	cfg := defaults(t)
	cfg.MaxSeries = 3
	back, stayed := 0, 0
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 42))
		one, other := newWorld(t, cfg), newWorld(t, cfg)
		crowd(rand.New(rand.NewPCG(seed, 41)), one, 25)
		other.log, other.now = one.log, one.now
		aside := map[string]bool{}
		for int(other.m.Next()) < len(other.log) {
			other.must(other.m.Apply(other.log[other.m.Next()]))
			if r.IntN(5) > 0 {
				continue
			}
			_, err := other.m.Checkpoint(context.Background())
			other.must(err)
			other.must(other.st.Scan([]byte{kindAside}, []byte{kindAside + 1}, func(key, _ []byte) bool { aside[string(key[1:])] = true; return true }))
			other.must(other.st.Scan([]byte{kindSeries}, []byte{kindSeries + 1}, func(key, _ []byte) bool {
				if aside[string(key[1:])] {
					back++
					delete(aside, string(key[1:]))
				}
				return true
			}))
			other.crash()
		}
		one.must(one.checkpoint())
		other.must(other.checkpoint())
		for _, kind := range []byte{kindSeries, kindAside} {
			if a, b := rowsOf(t, one, kind), rowsOf(t, other, kind); a != b {
				t.Errorf("seed %d: state %c without restarts\n%s\nwith\n%s", seed, kind, a, b)
			}
		}
		stayed += len(aside)
	}
	if back < 4 || stayed == 0 {
		t.Errorf("%d series came back, %d stayed aside: the test has lost its bite", back, stayed)
	}
}

func rowsOf(t *testing.T, w *world, kind byte) string {
	t.Helper()
	var b strings.Builder
	w.must(w.st.Scan([]byte{kind}, []byte{kind + 1}, func(key, value []byte) bool {
		fmt.Fprintf(&b, "%x %x\n", key, value)
		return true
	}))
	return b.String()
}
