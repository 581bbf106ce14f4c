package rollup

import (
	"bytes"
	"maps"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// TestJudge asks about the messages sent from 12:00 to 12:01, at 30 minutes.
func TestJudge(t *testing.T) {
	t.Parallel()
	const sent, age = noon, 1800
	const at = sent + 60 + age // 12:31
	clock := func(minutes int64) schemas.Instant { return schemas.Instant(noon+minutes*60) * 1000 }
	shut := func(from, to int64) []schemas.Shutting { return []schemas.Shutting{{From: clock(from), To: clock(to)}} }
	prompt := schemas.Lags{100}
	late := func(n uint32) schemas.Lags { return schemas.Lags{3: 100 - n, 4: n} } // half of 30 minutes, and more
	for _, c := range []struct {
		name   string
		l      listened
		now    int64 // minutes after noon
		shut   []schemas.Shutting
		age    int64
		want   deaf
		closed int64 // of the cohort, minutes after noon; 31 if 0
	}{
		{name: "all is well", l: listened{true, clock(31), prompt}, now: 31},
		{name: "no source has said anything", now: 31},
		{name: "nothing has occurred since", l: listened{true, clock(30), prompt}, now: 31, want: deafSilent},
		{name: "for nearly six hours", l: listened{true, clock(30), prompt}, now: 31 + 359, want: deafSilent},
		{name: "for six hours", l: listened{true, clock(30), prompt}, now: 31 + 360},
		{name: "a tenth came late", l: listened{true, clock(40), late(10)}, now: 40},
		{name: "more than a tenth came late", l: listened{true, clock(40), late(11)}, now: 40, want: deafBehind},
		{name: "for six hours, too", l: listened{true, clock(390), late(90)}, now: 31 + 360},
		{name: "late for 30 minutes, not for four hours", l: listened{true, clock(400), late(90)}, now: 300, age: 4 * 3600, closed: 241},
		{name: "shut before it was sent", l: listened{true, clock(40), prompt}, now: 40, shut: shut(-30, 0)},
		{name: "shut when it was sent", l: listened{true, clock(40), prompt}, now: 40, shut: shut(-30, 1), want: deafShut},
		{name: "shut in between", l: listened{true, clock(40), prompt}, now: 40, shut: shut(10, 11), want: deafShut},
		{name: "shut right before the age", l: listened{true, clock(40), prompt}, now: 40, shut: shut(30, 35), want: deafShut},
		{name: "shut after the age", l: listened{true, clock(40), prompt}, now: 40, shut: shut(31, 35)},
		{name: "nearly an hour after the end", l: listened{true, clock(90), prompt}, now: 94, shut: shut(10, 35), want: deafShut},
		{name: "an hour after the end", l: listened{true, clock(90), prompt}, now: 95, shut: shut(10, 35)},
		{name: "an hour after the first of two", l: listened{true, clock(90), prompt}, now: 95, shut: append(shut(10, 20), shut(25, 36)...), want: deafShut},
		{name: "another one after the age does not count", l: listened{true, clock(90), prompt}, now: 95, shut: append(shut(10, 20), shut(80, 94)...)},
		{name: "six hours are no excuse for the door", l: listened{true, clock(30), prompt}, now: 700, shut: shut(10, 680), want: deafShut},
		{name: "so far: neither late nor silent", l: listened{true, clock(0), late(90)}, now: 1, age: -1, closed: 1},
		{name: "so far: shut", l: listened{true, clock(0), prompt}, now: 1, age: -1, closed: 1, shut: shut(0, 1), want: deafShut},
	} {
		a, x := int64(age), int64(at)
		if c.age != 0 {
			a = max(c.age, 0)
		}
		if c.closed != 0 {
			x = noon + c.closed*60
		}
		if got := c.l.judge(x, a, noon+c.now*60, c.shut); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestShuttingsAreJoined(t *testing.T) {
	t.Parallel()
	var h hearing
	s := func(from, to int64) schemas.Shutting {
		return schemas.Shutting{From: schemas.Instant(noon+from) * 1000, To: schemas.Instant(noon+to) * 1000}
	}
	h.close([]schemas.Shutting{s(0, 60), s(100, 200)}, noon)
	h.close([]schemas.Shutting{s(0, 60), s(150, 300), s(300, 310)}, noon)
	h.close(nil, noon)
	if want := []schemas.Shutting{s(0, 60), s(100, 310)}; len(h.shut) != 2 || h.shut[0] != want[0] || h.shut[1] != want[1] {
		t.Errorf("%v, want %v", h.shut, want)
	}
	h.close([]schemas.Shutting{s(0, 60)}, noon+60+schemas.RetryGrace)
	if len(h.shut) != 1 || h.shut[0] != s(100, 310) {
		t.Errorf("an hour after the end of the first: %v", h.shut)
	}
}

// TestReportsOfSources: the newest word of each source counts, and their sum.
func TestReportsOfSources(t *testing.T) {
	t.Parallel()
	h := hearing{accounts: map[string][]schemas.Reports{}}
	for _, c := range []struct {
		r    schemas.Reports
		news bool
	}{
		{schemas.Reports{Source: 2, Account: "a", Version: 5, Newest: 50, Lags: schemas.Lags{5}}, true},
		{schemas.Reports{Source: 0, Account: "a", Version: 9, Newest: 20, Lags: schemas.Lags{1, 1}}, true},
		{schemas.Reports{Source: 2, Account: "a", Version: 4, Newest: 90, Lags: schemas.Lags{9}}, false},
		{schemas.Reports{Source: 2, Account: "a", Version: 5, Newest: 90, Lags: schemas.Lags{9}}, false},
		{schemas.Reports{Source: 2, Account: "a", Version: 6, Newest: 60, Lags: schemas.Lags{6}}, true},
		{schemas.Reports{Source: 1, Account: "b", Version: 6, Newest: 70}, true},
	} {
		if got := h.take(&c.r); got != c.news {
			t.Errorf("%+v is news: %t", c.r, got)
		}
	}
	if got, want := h.of("a"), (listened{true, 60, schemas.Lags{7, 1}}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if h.of("c").known {
		t.Error("an account that nobody knows is known")
	}
}

func TestHearingStateRoundTrip(t *testing.T) {
	t.Parallel()
	r := schemas.Reports{Source: 3, Account: "north", Version: 77, Newest: schemas.Instant(noon * 1000), Lags: schemas.Lags{150, 3, 0, 0, 7, 12: 40}}
	if got, err := decodeReports(reportsKey(r.Account, r.Source), encodeReports(&r)); err != nil || got != r {
		t.Errorf("%+v, %v", got, err)
	}
	p := newPlan(Default())
	at := []int64{noon, noon + 60, noon - 60, noon, 0}
	want := map[int64]int64{}
	for i, age := range p.ages {
		want[age] = at[i]
	}
	if got, err := decodeHeard(p.encodeHeard(at)); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	shut := []schemas.Shutting{{From: 1, To: 2}, {From: 5, To: schemas.Instant(noon * 1000)}}
	if got, err := decodeShut(encodeShut(shut)); err != nil || len(got) != 2 || got[1] != shut[1] {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzDecodeHearing(f *testing.F) {
	r := schemas.Reports{Source: 3, Account: "north", Version: 77, Lags: schemas.Lags{150}}
	f.Add(reportsKey(r.Account, r.Source), encodeReports(&r))
	f.Add([]byte{}, newPlan(Default()).encodeHeard(make([]int64, 5)))
	f.Add([]byte{}, encodeShut([]schemas.Shutting{{From: 1, To: 2}}))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if r, err := decodeReports(key, value); err == nil {
			again, err := decodeReports(reportsKey(r.Account, r.Source), encodeReports(&r))
			if err != nil || again != r {
				t.Errorf("%+v, %v", again, err)
			}
		}
		if shut, err := decodeShut(value); err == nil {
			again, err := decodeShut(encodeShut(shut))
			if err != nil || !bytes.Equal(encodeShut(again), encodeShut(shut)) {
				t.Errorf("%v, %v", again, err)
			}
		}
		_, _ = decodeHeard(value)
	})
}
