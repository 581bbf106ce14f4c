package message

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// TestReports: what counts as a report, and what is told of it.
func TestReports(t *testing.T) {
	second := func(s int64) schemas.Instant { return at(0, s) }
	sent := fact1("m", schemas.TypeSent, second(5), second(6))
	for _, c := range []struct {
		name   string
		events []schemas.Event
		want   schemas.Reports // Newest and Lags
	}{
		{"a status in time", []schemas.Event{sent}, schemas.Reports{Newest: second(5), Lags: schemas.Lags{1}}},
		{"a repeat that comes late", []schemas.Event{sent, fact1("m", schemas.TypeSent, second(5), second(900))}, schemas.Reports{Newest: second(5), Lags: schemas.Lags{1}}},
		{"a status that comes late", []schemas.Event{sent, fact1("m", schemas.TypeDelivered, second(8), second(8+100))}, schemas.Reports{Newest: second(8), Lags: schemas.Lags{1, 1}}},
		{"a registration", []schemas.Event{sent, fact1("m", schemas.TypeDispatched, second(300), second(300))}, schemas.Reports{Newest: second(5), Lags: schemas.Lags{1}}},
		{"an older one", []schemas.Event{fact1("m", schemas.TypeDelivered, second(70), second(70)), sent}, schemas.Reports{Newest: second(70), Lags: schemas.Lags{2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			for _, e := range c.events {
				r.feed(e)
			}
			r.checkpoint()
			r.reopen()
			a := r.fold.reports.byAccount["acct-1"]
			if a == nil || a.newest != c.want.Newest || a.lags != c.want.Lags {
				t.Errorf("%+v, want %+v", a, c.want)
			}
		})
	}
}

// TestReportsAreNotToldEachTime: a row a minute, and one when the share of those
// that are late crosses a tenth at some age.
func TestReportsAreNotToldEachTime(t *testing.T) {
	r := newRig(t)
	told := func(name string, want bool, occurred, received schemas.Instant) {
		t.Helper()
		r.feed(fact1(name, schemas.TypeSent, occurred, received))
		if got := r.fold.Dirty() > 1; got != want { // beside the pane
			t.Errorf("%s: told %t", name, got)
		}
		r.flush()
	}
	told("the first", true, at(0, 1), at(0, 1))
	for i := range 20 {
		told("in the same minute", false, at(0, 2+int64(i)), at(0, 2+int64(i)))
		r.feed(fact1(string(rune('a'+i)), schemas.TypeSent, at(0, 2), at(0, 3)))
		r.flush()
	}
	told("the next minute", true, at(0, 60), at(0, 61))
	told("one of many is late", false, at(0, 60), at(0, 200))
	r.feed(fact1("late 2", schemas.TypeSent, at(0, 60), at(0, 200)))
	told("more than a tenth are", true, at(0, 60), at(0, 200))
	if got := r.reports["acct-1"]; got.Newest != at(0, 60) || got.Lags[1] != 3 {
		t.Errorf("%+v", got)
	}
}

// TestReportsAreTheLast: after more than schemas.LastReports, the oldest do not
// count, whatever restarts there were.
func TestReportsAreTheLast(t *testing.T) {
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 0))
	var lags []int
	r := newRig(t)
	for i := range 3 * schemas.LastReports {
		lag := rng.Int64N(1 << (1 + rng.IntN(24)))
		lags = append(lags, schemas.LagBucket(lag))
		r.feed(fact1(string(rune('0'+i)), schemas.TypeSent, at(2, int64(i)), at(2, int64(i))+schemas.Instant(lag)))
		switch rng.IntN(50) {
		case 0:
			r.checkpoint()
		case 1:
			r.crash()
		}
		var want schemas.Lags
		for _, b := range lags[max(0, len(lags)-schemas.LastReports):] {
			want[b]++
		}
		if a := r.fold.reports.byAccount["acct-1"]; a.lags != want {
			t.Fatalf("BLUETICK_SEED=%d: after %d: %v, want %v", s, i+1, a.lags, want)
		}
	}
	if !slices.ContainsFunc(lags, func(b int) bool { return b > 3 }) {
		t.Error("no report was late")
	}
}

// TestReportsAreForgotten with the messages, whether or not they have been told.
func TestReportsAreForgotten(t *testing.T) {
	for _, flush := range []bool{true, false} {
		r := newRig(t)
		e := fact1("m", schemas.TypeSent, at(0, 5), at(0, 6))
		e.Account = "other"
		r.feed(withID(e))
		if flush {
			r.flush()
		}
		r.feed(clockEvent(r.fold.DClock() + 2*(rememberDays+1)*dayMillis))
		r.flush()
		if r.fold.reports.byAccount["other"] != nil {
			t.Errorf("flushed %t: still there", flush)
		}
		if _, told := r.reports["other"]; !told {
			t.Errorf("flushed %t: never told", flush)
		}
		r.feed(withID(e))
		if a := r.fold.reports.byAccount["other"]; a == nil || a.gone || a.lags != (schemas.Lags{0: 1}) && a.lags != (schemas.Lags{12: 1}) {
			t.Errorf("flushed %t: anew %+v", flush, a)
		}
	}
}

func FuzzDecodeAccount(f *testing.F) {
	a := account{name: "a", newest: at(0, 5)}
	for i := range uint8(5) {
		a.push(i)
	}
	f.Add(a.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAccount("a", b)
		if err != nil {
			return
		}
		again, err := decodeAccount("a", a.encode())
		if err != nil || again.lags != a.lags || again.newest != a.newest || string(again.last) != string(a.last) {
			t.Fatalf("%+v, %+v, %v", a, again, err)
		}
		again.push(3)
	})
}
