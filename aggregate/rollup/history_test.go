package rollup

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/invariant"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

var (
	seedFlag = flag.Uint64("rollup.seed", 0, "run the random histories of this seed only")
	soakFlag = flag.Uint64("rollup.soak", 1, "run this many times as many random histories")
)

// seeds are those to run: the one given, or n fixed ones, fewer with invariants.
func seeds(n uint64) []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	if invariant.Enabled { // the race detector makes the brute force ten times slower
		n = (n + 4) / 5
	}
	out := make([]uint64, n**soakFlag)
	for i := range out {
		out[i] = uint64(i) + 1
	}
	return out
}

// smallConfig reaches back 20 minutes, so that short histories cross every edge.
func smallConfig(maxRows int) Config {
	return Config{
		Windows: []Window{
			{Length: time.Minute, Every: time.Minute, Ages: []time.Duration{5 * time.Minute, time.Minute}},
			{Length: 15 * time.Minute, Every: 5 * time.Minute, Ages: []time.Duration{0, 5 * time.Minute}},
			{Length: 4 * time.Minute, Every: time.Minute, Ages: []time.Duration{0, time.Minute}},
		},
		Groupings:          Default().Groupings,
		MaxRowsPerProgress: maxRows,
	}
}

// historian makes a random log of `panes`: versions out of order, repeats,
// zombies, other epochs, sources that stall, restart and outrun each other,
// outages of hours and days.
type historian struct {
	rng     *rand.Rand
	now     int64 // seconds
	sources []origin
	seen    map[string]schemas.Pane // by key and version: equal version, equal value
	tuples  []schemas.Tuple
	log     []task.Record
	shut    []schemas.Shutting
	told    map[string]schemas.Reports // as seen, of reports
}

// origin is how far a source partition has come.
type origin struct{ nextOffset int64 }

func randomLog(seed uint64, n int) []task.Record {
	rng := rand.New(rand.NewPCG(seed, 0x70616e6573))
	h := &historian{
		rng: rng, now: 1_767_225_600 + rng.Int64N(86_400),
		sources: make([]origin, 1+rng.IntN(4)), seen: map[string]schemas.Pane{}, told: map[string]schemas.Reports{},
	}
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	reports := rng.IntN(4) > 0 // else a build that knows none
	for range 1 + rng.IntN(6) {
		h.tuples = append(h.tuples, schemas.Tuple{
			Account: pick("north", "south"), Channel: schemas.Channel(pick("whatsapp", "sms")),
			Sender: pick("", "shop", "help"), Country: pick("", "NL", "BR"),
			Campaign: pick("", "spring", "autumn"), Template: pick("", "t1"), Variant: pick("", "a", "b"),
			Segment: pick("", "vip"),
		})
	}
	for len(h.log) < n {
		h.advance()
		switch {
		case rng.IntN(3) == 0:
			h.progress()
		case reports && rng.IntN(3) == 0:
			h.reports()
		default:
			h.pane()
		}
	}
	return h.log
}

func (h *historian) stamp() schemas.Instant { return schemas.Instant(h.now*1000 + h.rng.Int64N(1000)) }

func (h *historian) advance() {
	switch h.rng.IntN(60) {
	case 0:
		h.now += h.rng.Int64N(3600)
	case 1:
		h.now += h.rng.Int64N(30 * 3600)
	case 2, 3, 4, 5, 6, 7, 8, 9:
		h.now += h.rng.Int64N(90)
	default:
		h.now += h.rng.Int64N(8)
	}
}

func (h *historian) histogram(limit int64) (out schemas.Histogram) {
	for range h.rng.IntN(4) {
		out[h.rng.IntN(len(out))] += h.rng.Int64N(limit+2) - 1
	}
	return out
}

func (h *historian) pane() {
	src := h.rng.IntN(len(h.sources))
	p := schemas.Pane{
		Epoch: 1, Source: int32(src), Tuple: h.tuples[h.rng.IntN(len(h.tuples))],
		Minute: floorMinute(h.now - h.rng.Int64N(1500)), DClock: h.stamp() - schemas.Instant(h.rng.Int64N(20_000)),
	}
	switch h.rng.IntN(20) {
	case 0:
		p.Epoch = 2
	case 1:
		p.Minute -= 3600 * h.rng.Int64N(30)
	case 2:
		p.DClock += schemas.Instant(h.rng.Int64N(1_000_000_000)) // a clock ahead: the record's own stamp holds
	}
	p.Version = h.sources[src].nextOffset + h.rng.Int64N(4) - 1 // now and then an older truth
	if h.rng.IntN(10) == 0 {
		p.Version -= h.rng.Int64N(10)
	}
	p.Version = max(p.Version, 0)
	if h.rng.IntN(8) > 0 { // else it has fallen to zero
		p.Counts = schemas.Counts{
			Sent: h.rng.Int64N(50), Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h.histogram(40), schemas.OutcomeOpened: h.histogram(30), schemas.OutcomeRead: h.histogram(30), schemas.OutcomeClicked: h.histogram(9), schemas.OutcomeReplied: h.histogram(9), schemas.OutcomeEngaged: h.histogram(9), schemas.OutcomeOptedOut: h.histogram(3), schemas.OutcomeFailed: h.histogram(9), schemas.OutcomeWithheld: h.histogram(2)}, Failures: map[string]int64{schemas.FailOther: 1 + h.rng.Int64N(5)},
		}
	}
	id := fmt.Sprint(p.Epoch, p.Source, p.Minute, p.Tuple, p.Version)
	if old, ok := h.seen[id]; ok {
		p = old
	}
	h.seen[id] = p
	h.log = append(h.log, paneRecord(int64(len(h.log)), h.stamp(), &p))
}

func (h *historian) progress() {
	src := h.rng.IntN(len(h.sources))
	s := &h.sources[src]
	s.nextOffset += h.rng.Int64N(5)
	p := schemas.Progress{
		Epoch: 1, Stage: schemas.StageMessage, Source: int32(src), Sources: int32(len(h.sources)),
		NextOffset: s.nextOffset, CompleteTo: h.stamp() - schemas.Instant(h.rng.Int64N(60_000)),
	}
	switch h.rng.IntN(12) {
	case 0:
		p.NextOffset = max(0, p.NextOffset-h.rng.Int64N(6)) // restarted, or a second owner
	case 1:
		p.CompleteTo -= schemas.Instant(h.rng.Int64N(600_000))
	case 2:
		p.Epoch = 2
	case 3:
		p.Stage = schemas.StageRollup
	}
	if h.rng.IntN(15) == 0 { // the door was shut, until about now
		to := h.stamp()
		h.shut = append(h.shut, schemas.Shutting{From: max(h.shutTo()+1, to-schemas.Instant(1+h.rng.Int64N(2_000_000))), To: to + 1})
		h.shut = slices.DeleteFunc(h.shut, func(s schemas.Shutting) bool { return s.From >= s.To })
	}
	p.Shut = h.shut[max(0, len(h.shut)-h.rng.IntN(4)):] // sources learn of it one after the other
	h.log = append(h.log, progressRecord(int64(len(h.log)), h.stamp(), &p))
}

func (h *historian) shutTo() schemas.Instant {
	if len(h.shut) == 0 {
		return 0
	}
	return h.shut[len(h.shut)-1].To
}

// reports are late, silent and in time, in every mixture.
func (h *historian) reports() {
	src := h.rng.IntN(len(h.sources))
	p := schemas.Reports{
		Epoch: 1, Source: int32(src), Account: h.tuples[h.rng.IntN(len(h.tuples))].Account,
		Version: h.sources[src].nextOffset + h.rng.Int64N(4),
		Newest:  h.stamp() - schemas.Instant(h.rng.Int64N(1+h.rng.Int64N(1_000_000))),
		Lags:    schemas.Lags{0: uint32(h.rng.IntN(100)), 1: uint32(h.rng.IntN(10))},
	}
	p.Lags[2+h.rng.IntN(11)] = uint32(h.rng.IntN(12))
	if h.rng.IntN(20) == 0 {
		p.Epoch = 2
	}
	id := fmt.Sprint("reports", p.Epoch, p.Source, p.Account, p.Version)
	if old, ok := h.told[id]; ok {
		p = old
	}
	h.told[id] = p
	h.log = append(h.log, reportsRecord(int64(len(h.log)), h.stamp(), &p))
}

// play folds a log in one go.
func play(t testing.TB, f *Fold, log []task.Record) []schemas.Rate {
	t.Helper()
	for _, r := range log {
		if err := f.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	return ratesOf(t, f.Drain(0))
}

func compareRates(t *testing.T, seed uint64, got, want []schemas.Rate) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("row %d of %d, want %d; run again with -rollup.seed=%d\n got %+v\nwant %+v",
				i, len(got), len(want), seed, at(got, i), at(want, i))
		}
	}
}

func at(rates []schemas.Rate, i int) any {
	if i < len(rates) {
		return rates[i]
	}
	return "nothing"
}

// TestFoldIsBruteForce compares the fold with the definition on random logs.
func TestFoldIsBruteForce(t *testing.T) {
	t.Parallel()
	total, forgot := 0, 0
	for _, seed := range seeds(45) {
		cfg := smallConfig([]int{1, 40, 100_000}[seed%3])
		log := randomLog(seed, 400)
		want := bruteRates(cfg, log)
		f := open(t, cfg, newMemory())
		compareRates(t, seed, play(t, f, log), want)
		total += len(want)
		if f.meta.completeFrom > 0 && f.meta.next > 0 {
			forgot++
		}
	}
	n := len(seeds(45))
	if *seedFlag == 0 && (total < 400*n || forgot < n/5) {
		t.Errorf("%d histories are too tame: %d rates, %d with something forgotten", n, total, forgot)
	}
}

// TestDefaultConfigIsBruteForce does the same with the real windows, on logs
// stretched over days.
func TestDefaultConfigIsBruteForce(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(4) {
		log := randomLog(seed, 250)
		compareRates(t, seed, play(t, open(t, Default(), newMemory()), log), bruteRates(Default(), log))
	}
}

// TestCrashAndReplay runs a log with drains, checkpoints and crashes at random
// places. I2: what is emitted twice is the same bytes; I3: nothing is lost: all
// that was ever drained is exactly what one undisturbed run emits. R2 and R3 are
// looked at on the way.
func TestCrashAndReplay(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(25) {
		cfg := smallConfig([]int{1, 40, 100_000}[seed%3])
		log := randomLog(seed, 300)
		rng := rand.New(rand.NewPCG(seed, 0x6372617368))
		var emitted []schemas.Rate
		disk, diskNext := newMemory(), 0
		st := disk.clone()
		f := open(t, cfg, st)
		drain := func() { emitted = append(emitted, ratesOf(t, f.Drain(0))...) }
		crashes := 0
		for i := 0; i < len(log); i++ {
			if err := f.Apply(log[i]); err != nil {
				t.Fatal(err)
			}
			switch rng.IntN(12) {
			case 0, 1:
				drain()
			case 2:
				drain()
				if err := f.Save(); err != nil {
					t.Fatal(err)
				}
				disk, diskNext = st.clone(), i+1
				checkTable(t, seed, f.table, open(t, cfg, disk.clone()).table)
			case 3:
				if crashes++; crashes <= 40 {
					st, i = disk.clone(), diskNext-1
					f = open(t, cfg, st)
				}
			}
		}
		drain()
		compareRates(t, seed, distinct(t, seed, emitted), distinct(t, seed, bruteRates(cfg, log)))
	}
}

// checkTable checks that a is what a restart rebuilds, b (R3), and that its
// sums are those of its cohorts (R2).
func checkTable(t *testing.T, seed uint64, a, b *table) {
	t.Helper()
	if a.next != b.next || len(a.byID) != len(b.byID) {
		t.Fatalf("R3: seed %d: at %d with %d series, rebuilt %d with %d", seed, a.next, len(a.byID), b.next, len(b.byID))
	}
	for id, s := range a.byID {
		r := b.byID[id]
		if r == nil || !slices.Equal(s.account.heardTo, r.account.heardTo) || !slices.Equal(s.sums, r.sums) || !maps.EqualFunc(s.cohorts, r.cohorts, slices.Equal[cohort]) {
			t.Fatalf("R3: seed %d: series %+v is not what a restart rebuilds:\n%+v\n%+v", seed, s.id, s, r)
		}
		sums := make([]schemas.Totals, len(a.plan.spans))
		for j := range sums {
			for sent, c := range s.cohorts {
				if sp := &a.plan.spans[j]; a.next != 0 && sp.holds(a.next, sent) {
					addTo(&sums[j], &c[sp.ageIndex], 1)
				}
			}
		}
		if !slices.Equal(sums, s.sums) {
			t.Fatalf("R2: seed %d: series %+v has sums %+v, its cohorts say %+v", seed, s.id, s.sums, sums)
		}
	}
}
