package message

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// BenchmarkApply folds a stream of fresh and follow-up events into a state that
// remembers a million messages, with a flush every 50,000 events and, on the
// real store, a checkpoint every 500,000.
func BenchmarkApply(b *testing.B) {
	for _, on := range []string{"map", "pebble"} {
		b.Run("store="+on+"/live=1M", func(b *testing.B) {
			var st store.State = newMapStore()
			commit := func(int64) {}
			if on == "pebble" {
				real := openStore(b, store.Options{Dir: b.TempDir(), CacheBytes: 256 << 20})
				st = real
				commit = func(next int64) {
					if err := real.Commit(store.Meta{NextOffset: next}); err != nil {
						b.Fatal(err)
					}
				}
			}
			benchmarkApply(b, st, commit)
		})
	}
}

func openStore(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	st, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func benchmarkApply(b *testing.B, st store.State, commit func(next int64)) {
	f, err := open(testSource, st)
	if err != nil {
		b.Fatal(err)
	}
	g := newGenerator()
	next := int64(0)
	rows := 0
	apply := func(rec task.Record) {
		if err := f.Apply(rec); err != nil {
			b.Fatal(err)
		}
		if next++; next%50_000 == 0 {
			rows += len(f.Drain(next))
		}
		if next%500_000 == 0 {
			if err := f.Save(); err != nil {
				b.Fatal(err)
			}
			commit(next)
		}
	}
	for range 1_000_000 {
		apply(g.fresh())
	}
	rows, before := 0, f.Stats()
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		apply(g.event())
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(rows)/float64(n), "rows/event")
	after := f.Stats()
	b.ReportMetric(float64(after.Repeats-before.Repeats)/float64(n), "repeats/event")
}

// generator makes records by changing ids and times in encoded events, so that
// making them costs little beside folding them.
type generator struct {
	rng   *rand.Rand
	types []encoded
	sent  int // messages so far
	now   schemas.Instant
}

// generatedEvery spreads the million preloaded messages over 39 days.
const generatedEvery = 3333

func newGenerator() *generator {
	g := &generator{rng: rand.New(rand.NewPCG(1, 1)), now: genesis}
	for _, t := range []schemas.EventType{schemas.TypeSent, schemas.TypeDelivered, schemas.TypeRead, schemas.TypeClicked} {
		for c := range 100 {
			g.types = append(g.types, encode(t, c))
		}
	}
	return g
}

type encoded struct {
	value                     []byte
	id, key, occurred, posted int
}

// encode finds the places of what changes by encoding two events.
func encode(t schemas.EventType, campaign int) encoded {
	e := schemas.Event{
		Type: t, Channel: schemas.ChannelWhatsApp, Account: "acct-1", Sender: "line-1", Country: "NL",
		ID: schemas.Key{0xfe, 0xdc}, MessageKey: schemas.Key{0xba, 0x98}, OccurredAt: genesis, ReceivedAt: genesis + 1,
		Dimensions: schemas.Dimensions{Campaign: fmt.Sprintf("campaign-%d", campaign), Template: "hello", Variant: "a"}, DimensionSource: schemas.DimensionCallback,
		SourceRevision: 1,
	}
	out := encoded{value: schemas.EncodeEvent(&e)}
	place := func(change func(*schemas.Event)) int {
		o := e
		change(&o)
		for i, c := range schemas.EncodeEvent(&o) {
			if c != out.value[i] {
				return i
			}
		}
		panic("no place")
	}
	out.id = place(func(o *schemas.Event) { o.ID[0]++ })
	out.key = place(func(o *schemas.Event) { o.MessageKey[0]++ })
	out.occurred = place(func(o *schemas.Event) { o.OccurredAt ^= 1 })
	out.posted = place(func(o *schemas.Event) { o.ReceivedAt ^= 1 })
	return out
}

func putInstant(b []byte, at schemas.Instant) {
	for i := range 6 { // 42 bits: until 2109
		b[i] = byte(at>>(7*i)) | 0x80
	}
	b[5] &= 0x7f
}

func (g *generator) record(kind, message int, occurred schemas.Instant) task.Record {
	// A message keeps its campaign; sends of neighbours are in one campaign.
	e := &g.types[kind*100+message/1000%100]
	k, id := numbered(message), numbered(int(g.rng.Uint64()>>1))
	copy(e.value[e.key:], k[:])
	copy(e.value[e.id:], id[:])
	putInstant(e.value[e.occurred:], occurred)
	putInstant(e.value[e.posted:], g.now+500)
	return task.Record{Timestamp: g.now + 600, Schema: schemas.SchemaEvent, Key: k[:], Value: e.value}
}

// fresh is the sent of a new message.
func (g *generator) fresh() task.Record {
	g.now += generatedEvery
	g.sent++
	return g.record(0, g.sent, g.now)
}

// event is fresh in 30 of 100 cases; else of one of the last 100,000 messages,
// seldom of any.
func (g *generator) event() task.Record {
	switch n := g.rng.IntN(100); {
	case n < 30:
		return g.fresh()
	case n < 92:
		return g.record(1+g.rng.IntN(3), g.sent-g.rng.IntN(100_000), g.now)
	default:
		return g.record(1+g.rng.IntN(3), 1+g.rng.IntN(g.sent), g.now)
	}
}
