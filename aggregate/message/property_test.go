package message

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// genesis is the time all random histories start at: not on a minute.
const genesis = schemas.Instant(1_767_225_617_000)

const dayMillis = 24 * 3600 * 1000

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// randomDelay in milliseconds: around every border that counting knows.
func randomDelay(rng *rand.Rand) int64 {
	edges := schemas.Edges()
	switch rng.IntN(5) {
	case 0:
		return 30*dayMillis + rng.Int64N(10*dayMillis)
	case 1:
		return int64(rng.IntN(4)) * 500
	case 2:
		return int64(rng.IntN(90)) * 1000
	case 3:
		return edges[rng.IntN(len(edges))]*1000 + int64(rng.IntN(5)-2)*500
	default:
		return rng.Int64N(40 * dayMillis)
	}
}

// randomEvent of message m; occurred within 41 days of start.
func randomEvent(rng *rand.Rand, m int, start schemas.Instant) schemas.Event {
	e := schemas.Event{
		Type: pick(rng, schemas.TypeSent, schemas.TypeSent, schemas.TypeDelivered, schemas.TypeDelivered,
			schemas.TypeRead, schemas.TypeFailed, schemas.TypeFailed, schemas.TypeClicked, schemas.TypeReplied,
			schemas.TypeOptedOut, schemas.TypeDispatched, schemas.TypeOther, schemas.TypeConverted,
			schemas.TypeQuality, schemas.TypeOptedIn),
		Channel: schemas.ChannelWhatsApp, Account: "acct-1", Sender: pick(rng, "", "line-1", "line-2"),
		MessageKey: schemas.MessageKey(schemas.ChannelWhatsApp, "acct-1", fmt.Sprint(m)),
		OccurredAt: start + schemas.Instant(randomDelay(rng)),
		Country:    pick(rng, "", "NL", "BR", schemas.OtherValue),
		Dimensions: schemas.Dimensions{
			Campaign: pick(rng, "", "", "spring", "autumn", schemas.OtherValue),
			Template: pick(rng, "", "", "hello", "bye"), Variant: pick(rng, "", "", "a", "b"),
			Segment: pick(rng, "", "", "", "vip", schemas.OtherValue), Language: pick(rng, "", "nl"),
		},
		DimensionSource: schemas.DimensionSource(rng.IntN(4)),
		SourceRevision:  uint8(rng.IntN(3)),
	}
	if rng.IntN(40) == 0 {
		e.MessageKey = schemas.Key{}
		e.InboundKey = schemas.Key{1}
	}
	if e.Type == schemas.TypeFailed && rng.IntN(8) > 0 {
		code := rng.IntN(3)
		e.Failure = &schemas.Failure{Code: int32(code), Category: pick(rng, schemas.FailCapped, schemas.FailProvider, schemas.FailUndeliverable, "")}
	}
	if rng.IntN(3) == 0 {
		e.Cost = &schemas.Cost{Category: pick(rng, "marketing", "utility", ""), Billable: rng.IntN(2) == 0}
		if rng.IntN(2) == 0 {
			e.Cost.HasAmount, e.Cost.Micros, e.Cost.Currency = true, rng.Int64N(90)-5, pick(rng, "EUR", "BRL")
		}
	}
	e.ReceivedAt = e.OccurredAt + schemas.Instant(rng.Int64N(dayMillis))
	e = withID(e)
	if rng.IntN(6) == 0 { // its time was ahead of our clock; a retry comes later
		e.OccurredAt, e.Clamped = max(genesis-dayMillis, e.OccurredAt-pick[schemas.Instant](rng, 1, 999, 60_000, dayMillis, 40*dayMillis)), true
		e.ReceivedAt = e.OccurredAt
	}
	return e
}

// unequalCopy has the id of e and other content: it happened at another
// time, maybe in another minute or on another day, and some fields are lost or
// have other values. A provider's own id, or a clamped clock, gives such copies.
func unequalCopy(rng *rand.Rand, e schemas.Event) schemas.Event {
	c := randomEvent(rng, 0, e.OccurredAt)
	c.ID, c.Type, c.MessageKey, c.InboundKey, c.SourceRevision = e.ID, e.Type, e.MessageKey, e.InboundKey, e.SourceRevision
	c.OccurredAt = max(genesis-dayMillis, e.OccurredAt+pick[schemas.Instant](rng, 0, 0, 1, -1, 999, -60_000, 60_000, dayMillis, -dayMillis))
	if rng.IntN(2) == 0 {
		c.Failure = e.Failure
	}
	switch rng.IntN(4) {
	case 0, 1:
		c.Cost = e.Cost
	case 2: // the same moment, and another cost
		c.Cost, c.OccurredAt = otherCost(rng, e.Cost), e.OccurredAt
	}
	if rng.IntN(2) == 0 {
		c.Dimensions, c.DimensionSource = e.Dimensions, e.DimensionSource
	}
	c.ReceivedAt, c.Clamped = c.OccurredAt+schemas.Instant(rng.Int64N(dayMillis)), rng.IntN(3) == 0
	return c
}

// otherCost is a cost that differs from the given one in little.
func otherCost(rng *rand.Rand, cost *schemas.Cost) *schemas.Cost {
	if cost == nil {
		return nil
	}
	c := *cost
	switch {
	case c.HasAmount && rng.IntN(2) == 0:
		c.Micros = rng.Int64N(90) - 5
	case rng.IntN(2) == 0:
		c.Category = pick(rng, "marketing", "utility", "")
	default:
		c.Billable = !c.Billable
	}
	return &c
}

// randomMessage is n events of message m, one in six an unequal copy of another.
func randomMessage(rng *rand.Rand, m int, start schemas.Instant, n int) []schemas.Event {
	var events []schemas.Event
	for range n {
		if len(events) > 0 && rng.IntN(6) == 0 {
			events = append(events, unequalCopy(rng, pick(rng, events...)))
			continue
		}
		events = append(events, randomEvent(rng, m, start))
	}
	return events
}

// randomHistory is the events of a few messages sent in few minutes.
func randomHistory(rng *rand.Rand, messages, perMessage int) []schemas.Event {
	var events []schemas.Event
	for m := range 1 + rng.IntN(messages) {
		start := genesis + schemas.Instant(rng.IntN(3)*40_000)
		events = append(events, randomMessage(rng, m, start, 1+rng.IntN(perMessage))...)
	}
	return events
}

// shuffled is the events in another order, some repeated, received anew.
func shuffled(rng *rand.Rand, events []schemas.Event) []schemas.Event {
	out := slices.Clone(events)
	for _, e := range events {
		if rng.IntN(3) == 0 {
			e.ReceivedAt += schemas.Instant(rng.Int64N(dayMillis))
			out = append(out, e)
		}
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// run feeds the events, flushing, checkpointing and crashing at random.
func (r *rig) run(rng *rand.Rand, events []schemas.Event) {
	r.t.Helper()
	for _, e := range events {
		r.feed(e)
		switch rng.IntN(24) {
		case 0, 1, 2:
			r.flush()
		case 3, 4:
			r.checkpoint()
		case 5:
			r.flush() // emitted, then lost before the checkpoint
			r.crash()
		case 6:
			r.crash()
		case 7: // an earlier version of the process comes to an end, late
			r.reopen()
			for n := rng.IntN(4); n > 0 && r.next < int64(len(r.log)); n-- {
				r.step()
			}
			r.flush()
			r.crash()
		}
	}
	r.checkpoint()
}

// checkHistory compares what the consumer holds after a random run over the
// events with the brute force over the same set.
func checkHistory(t testing.TB, rng *rand.Rand, events []schemas.Event, mutate func(*rules)) string {
	t.Helper()
	r := newRig(t)
	if mutate != nil {
		mutate(&r.fold.rules)
		r.mutate = mutate
	}
	r.run(rng, events)
	return difference(r.panes(), bruteForce(events))
}

// TestAnyOrder: the same set of events gives the same panes whatever the order,
// however often repeated, wherever the process is killed (M1 to M8 asserted on
// the way under -race).
func TestAnyOrder(t *testing.T) {
	s := seed(t)
	for i := range scale(2000) {
		rng := rand.New(rand.NewPCG(s, uint64(i)))
		events := randomHistory(rng, 6, 8)
		for range 2 {
			if d := checkHistory(t, rng, shuffled(rng, events), nil); d != "" {
				t.Fatalf("history %d of BLUETICK_SEED=%d:\n%s", i, s, d)
			}
		}
	}
}

// TestEveryOrder tries all orders of small histories.
func TestEveryOrder(t *testing.T) {
	s := seed(t)
	for i := range scale(60) {
		rng := rand.New(rand.NewPCG(s, uint64(i)))
		events := randomMessage(rng, 0, genesis, 5)
		want := bruteForce(events)
		permute(events, 0, func(order []schemas.Event) {
			r := newRig(t)
			for _, e := range order {
				r.feed(e)
			}
			r.flush()
			if d := difference(r.panes(), want); d != "" {
				t.Fatalf("history %d of BLUETICK_SEED=%d:\n%s", i, s, d)
			}
		})
	}
}

func permute(e []schemas.Event, k int, fn func([]schemas.Event)) {
	if k == len(e) {
		fn(e)
		return
	}
	for i := k; i < len(e); i++ {
		e[k], e[i] = e[i], e[k]
		permute(e, k+1, fn)
		e[k], e[i] = e[i], e[k]
	}
}

// TestJoinLaws: Join is idempotent and order-free on the State itself, which is
// more than the panes show.
func TestJoinLaws(t *testing.T) {
	s := seed(t)
	for i := range scale(2000) {
		rng := rand.New(rand.NewPCG(s, uint64(i)))
		events := randomMessage(rng, 0, genesis, 1+rng.IntN(8))
		var want State
		for j := range events {
			want, _ = want.Join(&events[j])
		}
		for j := range events {
			if _, changed := want.Join(&events[j]); changed {
				t.Fatalf("BLUETICK_SEED=%d: event %+v changes the state that has it", s, events[j])
			}
		}
		var got State
		for _, e := range shuffled(rng, events) {
			got, _ = got.Join(&e)
		}
		if got != want {
			t.Fatalf("history %d of BLUETICK_SEED=%d:\n got %+v\nwant %+v", i, s, got, want)
		}
		wantCounts := bruteForce(events)
		key, counts, ok := Contribution(want)
		if !ok {
			if len(wantCounts) != 0 && !onlyUnnamed(events) {
				t.Fatalf("BLUETICK_SEED=%d: an orphan, brute force says %+v", s, wantCounts)
			}
			continue
		}
		if onlyUnnamed(events) {
			continue
		}
		if d := difference(map[cohortKey]schemas.Counts{{key.Minute, key.Tuple}: counts}, wantCounts); d != "" {
			t.Fatalf("history %d of BLUETICK_SEED=%d:\n%s", i, s, d)
		}
	}
}

// onlyUnnamed reports whether an event of the list names no message: Join does
// not look at the key, brute force does.
func onlyUnnamed(events []schemas.Event) bool {
	return slices.ContainsFunc(events, func(e schemas.Event) bool { return e.MessageKey.IsZero() })
}
