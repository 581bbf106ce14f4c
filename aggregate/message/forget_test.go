package message

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// at is d days and s seconds after genesis's day began.
func at(d int, s int64) schemas.Instant {
	return schemas.Instant((int64(dayOf(genesis.Seconds()))+int64(d))*dayMillis + s*1000)
}

func fact1(name string, t schemas.EventType, occurred, received schemas.Instant) schemas.Event {
	return withID(schemas.Event{
		Type: t, Channel: schemas.ChannelWhatsApp, Account: "acct-1", Sender: "line-1",
		MessageKey: schemas.MessageKey(schemas.ChannelWhatsApp, "acct-1", name),
		OccurredAt: occurred, ReceivedAt: received,
	})
}

func inCampaign(campaign string, e schemas.Event) schemas.Event {
	e.Dimensions.Campaign, e.DimensionSource = campaign, schemas.DimensionCallback
	return withID(e)
}

// clockKey marks clock events.
var clockKey = schemas.Key{9}

// clockEvent names no message: it only moves the D-clock.
func clockEvent(received schemas.Instant) schemas.Event {
	return withID(schemas.Event{
		Type: schemas.TypeReplied, Channel: schemas.ChannelWhatsApp, Account: "acct-1",
		InboundKey: clockKey, OccurredAt: received, ReceivedAt: received,
	})
}

func TestForgetting(t *testing.T) {
	for _, tc := range []struct {
		name                             string
		events                           []schemas.Event
		messages, panes, paneDays, tuple int
	}{
		{"remembered on the last day", []schemas.Event{
			fact1("m", schemas.TypeSent, at(0, 5), at(0, 6)), clockEvent(at(rememberDays+1, 0) - 1),
		}, 1, 1, 1, 1},
		{"forgotten the day after", []schemas.Event{
			fact1("m", schemas.TypeSent, at(0, 5), at(0, 6)), clockEvent(at(rememberDays+1, 0)),
		}, 0, 0, 0, 0},
		{"first sight later than send time", []schemas.Event{
			clockEvent(at(9, 0)), fact1("m", schemas.TypeSent, at(0, 5), at(9, 0)), clockEvent(at(rememberDays+9, 0)),
		}, 1, 1, 1, 1},
		{"a later send time makes it stay", []schemas.Event{
			fact1("m", schemas.TypeDispatched, at(0, 5), at(0, 6)),
			fact1("m", schemas.TypeSent, at(20, 0), at(20, 1)), clockEvent(at(rememberDays+20, 0)),
		}, 1, 1, 1, 1},
		{"and be forgotten then", []schemas.Event{
			fact1("m", schemas.TypeDispatched, at(0, 5), at(0, 6)),
			fact1("m", schemas.TypeSent, at(20, 0), at(20, 1)), clockEvent(at(rememberDays+21, 0)),
		}, 0, 0, 0, 0},
		{"an earlier send time does not move it back", []schemas.Event{
			fact1("m", schemas.TypeDelivered, at(9, 0), at(9, 0)),
			fact1("m", schemas.TypeSent, at(0, 0), at(9, 0)), clockEvent(at(rememberDays+9, 0)),
		}, 1, 1, 2, 1},
		{"an orphan too", []schemas.Event{
			fact1("m", schemas.TypeRead, at(0, 5), at(0, 6)), clockEvent(at(rememberDays+1, 0)),
		}, 0, 0, 0, 0},
		{"panes stay while one message of the day is remembered", []schemas.Event{
			fact1("m", schemas.TypeSent, at(0, 5), at(0, 6)),
			clockEvent(at(4, 0)), fact1("n", schemas.TypeSent, at(0, 500), at(4, 0)), clockEvent(at(rememberDays+1, 0)),
		}, 1, 2, 1, 1},
		{"a tuple stays while a pane row can name it", []schemas.Event{
			fact1("m", schemas.TypeSent, at(0, 5), at(0, 6)),
			clockEvent(at(4, 0)), inCampaign("spring", fact1("n", schemas.TypeSent, at(0, 500), at(4, 0))), clockEvent(at(rememberDays+1, 0)),
		}, 1, 2, 1, 2},
		{"one becomes known as the other is forgotten", []schemas.Event{
			fact1("m", schemas.TypeSent, at(0, 5), at(0, 6)), clockEvent(at(rememberDays+1, 0)),
			fact1("n", schemas.TypeSent, at(rememberDays+1, 0), at(rememberDays+1, 1)),
		}, 1, 1, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			for _, e := range tc.events {
				r.feed(e)
				r.checkpoint()
			}
			got := [4]int{r.st.count(prefixMessage), r.st.count(prefixPane), r.st.count(prefixPaneDay), r.st.count(prefixTuple)}
			if want := [4]int{tc.messages, tc.panes, tc.paneDays, tc.tuple}; got != want {
				t.Errorf("messages, panes, pane days, tuples: got %v, want %v", got, want)
			}
			if live := r.fold.Stats().Live; live != int64(tc.messages) {
				t.Errorf("Live is %d, want %d", live, tc.messages)
			}
			reopened := newRig(t)
			reopened.durable, reopened.at = r.durable, r.at
			reopened.reopen()
			was, is := r.fold.Stats(), reopened.fold.Stats()
			if was.Live != is.Live || was.Orphans != is.Orphans || was.Tuples != is.Tuples {
				t.Errorf("stats after reopening: %+v, before %+v", is, was)
			}
		})
	}
}

func TestRecordTimeHoldsTheClockBack(t *testing.T) {
	r := newRig(t)
	e := clockEvent(at(100, 0))
	rec := recordOf(e, 0)
	rec.Timestamp = at(1, 0)
	if err := r.fold.Apply(rec); err != nil {
		t.Fatal(err)
	}
	if got := r.fold.DClock(); got != at(1, 0) {
		t.Errorf("D-clock %v, want the record's time %v", got.Time(), at(1, 0).Time())
	}
}

// TestForgottenButDirty: a replay can pass weeks between two drains. What was
// changed and then forgotten must still leave, exactly once, and must not leak
// into a pane that is counted anew.
func TestForgottenButDirty(t *testing.T) {
	sent := fact1("m", schemas.TypeSent, at(0, 5), at(0, 6))
	t.Run("leaves with its last counts", func(t *testing.T) {
		r := newRig(t)
		r.feed(sent)
		r.feed(clockEvent(at(rememberDays+1, 0)))
		if got := r.flush(); len(got) != 1 || got[0].Counts.Sent != 1 {
			t.Errorf("drained %+v, want the pane with sent 1", got)
		}
		r.checkpoint()
		if n := r.st.count(prefixPane); n != 0 {
			t.Errorf("%d pane rows, want none", n)
		}
	})
	t.Run("counted anew before the drain", func(t *testing.T) {
		r := newRig(t)
		r.feed(sent)
		r.feed(clockEvent(at(rememberDays+1, 0)))
		r.feed(fact1("m", schemas.TypeSent, at(0, 5), at(rememberDays+1, 1)))
		if got := r.flush(); len(got) != 1 || got[0].Counts.Sent != 1 {
			t.Errorf("drained %+v, want one pane with sent 1", got)
		}
	})
	t.Run("the same as when it was drained between", func(t *testing.T) {
		r := newRig(t)
		r.feed(sent)
		r.feed(fact1("n", schemas.TypeSent, at(0, 5), at(0, 6)))
		r.feed(fact1("keeps the tuple in use", schemas.TypeSent, at(30, 0), at(30, 1)))
		r.flush()
		r.feed(clockEvent(at(rememberDays+1, 0)))
		r.feed(fact1("m", schemas.TypeSent, at(0, 5), at(rememberDays+1, 1)))
		if got := r.flush(); len(got) != 1 || got[0].Counts.Sent != 1 {
			t.Errorf("drained %+v, want one pane with sent 1", got)
		}
	})
}

// longHistory is messages over many days, each with all its events within what
// the definitions promise to remember, in the order of arrival.
func longHistory(rng *rand.Rand, days int) []schemas.Event {
	var events []schemas.Event
	for m := range 4 * days {
		start := at(rng.IntN(days), rng.Int64N(daySeconds))
		for range 1 + rng.IntN(5) {
			e := randomEvent(rng, m, start)
			e.OccurredAt = start + schemas.Instant(rng.Int64N(35*dayMillis))
			if rng.IntN(2) == 0 {
				e.OccurredAt = start + schemas.Instant(randomDelay(rng))%(35*dayMillis)
			}
			e.Dimensions.Campaign = fmt.Sprintf("week-%d", (start-at(0, 0))/(7*dayMillis))
			e.ReceivedAt = e.OccurredAt + schemas.Instant(rng.Int64N(schemas.MaxEventAgeDays*dayMillis))
			e = withID(e)
			events = append(events, e)
			if rng.IntN(8) == 0 {
				c := unequalCopy(rng, e)
				c.OccurredAt = min(max(c.OccurredAt, start), start+35*dayMillis-1)
				c.Dimensions.Campaign = e.Dimensions.Campaign
				c.ReceivedAt = c.OccurredAt + schemas.Instant(rng.Int64N(schemas.MaxEventAgeDays*dayMillis))
				events = append(events, c)
			}
		}
	}
	slices.SortStableFunc(events, func(a, b schemas.Event) int { return cmp.Compare(a.ReceivedAt, b.ReceivedAt) })
	return events
}

// TestForgettingChangesNothing: over most of a year, with checkpoints and
// crashes, the final rows are those of a fold that never forgets, and what is
// remembered does not grow (M8).
func TestForgettingChangesNothing(t *testing.T) {
	s := seed(t)
	for i := range max(1, scale(6)) {
		rng := rand.New(rand.NewPCG(s, uint64(i)))
		events := longHistory(rng, 240)
		r := newRig(t)
		for _, e := range events {
			r.feed(e)
			switch rng.IntN(100) {
			case 0, 1, 2, 3, 4:
				r.checkpoint()
			case 5:
				r.flush()
				r.crash()
			}
		}
		r.checkpoint()
		if d := difference(r.panes(), bruteForce(events)); d != "" {
			t.Fatalf("history %d of BLUETICK_SEED=%d:\n%s", i, s, d)
		}
		if n := len(r.fold.messages.homes); n > rememberDays+2 {
			t.Errorf("%d days remembered", n)
		}
		r.feed(clockEvent(r.fold.DClock() + 2*rememberDays*dayMillis)) // some were sent after the D-clock
		r.checkpoint()
		if n := len(r.st.rows); n != 2 {
			t.Errorf("%d rows left when all is forgotten, want the clock's and that of the account it was moved by", n)
		}
		if st := r.fold.Stats(); st.Live != 0 || st.Orphans != 0 || st.Tuples != 0 {
			t.Errorf("stats when all is forgotten: %+v", st)
		}
	}
}
