package message

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// oneTuple finds t under every id.
func oneTuple(t schemas.Tuple) func(uint32) *tuple {
	return func(id uint32) *tuple { return &tuple{Tuple: t, id: id} }
}

func TestStateRoundTrip(t *testing.T) {
	s := seed(t)
	codec := stateCodec{words: words{}}
	var longest int
	for i := range scale(1000) {
		rng := rand.New(rand.NewPCG(s, uint64(i)))
		var want State
		for range 1 + rng.IntN(12) {
			e := randomEvent(rng, 0, genesis)
			if e.Cost != nil && rng.IntN(9) == 0 {
				e.Cost.Micros = pick[int64](rng, math.MaxInt64, math.MinInt64)
			}
			if e.Failure != nil && rng.IntN(9) == 0 {
				e.Failure.Code = pick[int32](rng, math.MaxInt32, math.MinInt32)
			}
			want, _ = want.Join(&e)
		}
		id := rng.Uint32()
		value := codec.append(nil, &want, id)
		longest = max(longest, len(value))
		got, tup, err := codec.decode(value, oneTuple(want.tuple()))
		if err != nil || got != want || tup.id != id {
			t.Fatalf("BLUETICK_SEED=%d, state %d: %v\n got %+v\nwant %+v", s, i, err, got, want)
		}
		for n := range value {
			if _, _, err := codec.decode(value[:n], oneTuple(want.tuple())); err == nil {
				t.Fatalf("BLUETICK_SEED=%d, state %d: the first %d of %d bytes decode", s, i, n, len(value))
			}
		}
		if _, _, err := codec.decode(append(value, 0), oneTuple(want.tuple())); err == nil {
			t.Fatal("bytes left over are accepted")
		}
	}
	if limit := 256; longest > limit {
		t.Errorf("the longest value has %d bytes, want at most %d", longest, limit)
	}
}

// TestStateSize: what a plain message costs decides how many fit on a disk.
func TestStateSize(t *testing.T) {
	sent, delivered, read := f(schemas.TypeSent, 0), f(schemas.TypeDelivered, 2), f(schemas.TypeRead, 900)
	for _, e := range []*schemas.Event{&sent, &delivered, &read} {
		e.Sender, e.Country, e.Dimensions.Campaign = "line-1", "NL", "spring"
		e.DimensionSource = schemas.DimensionCallback
	}
	s := joined(sent, delivered, read)
	codec := stateCodec{words: words{}}
	if n := len(codec.append(nil, &s, 1000)); n > 48 {
		t.Errorf("a message with three facts and one origin takes %d bytes, want at most 48", n)
	}
}

func TestDecodeMissingTuple(t *testing.T) {
	s := joined(f(schemas.TypeSent, 0))
	codec := stateCodec{words: words{}}
	if _, _, err := codec.decode(codec.append(nil, &s, 1), func(uint32) *tuple { return nil }); err == nil {
		t.Error("a state whose tuple is not there decodes")
	}
	other := s.tuple()
	other.Campaign = "spring"
	if _, _, err := codec.decode(codec.append(nil, &s, 1), oneTuple(other)); err == nil {
		t.Error("a state without a campaign decodes with a tuple that has one")
	}
}

func TestWordsAreBounded(t *testing.T) {
	w := words{}
	for i := range 3 * maxWords {
		b := []byte{byte(i), byte(i >> 8)}
		if got := w.of(b); got != string(b) {
			t.Fatalf("got %q, want %q", got, b)
		}
	}
	if len(w) > maxWords {
		t.Errorf("%d words held", len(w))
	}
}

// FuzzState: no value makes the decoder panic, and what it accepts survives
// being written again.
func FuzzState(f *testing.F) {
	codec := stateCodec{words: words{}}
	full := schemas.Tuple{Account: "a", Channel: "whatsapp", Sender: "s", Country: "NL", Campaign: "c", Template: "t", Variant: "v", Segment: "g"}
	bare := schemas.Tuple{Account: "a", Channel: "whatsapp"}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		var s State
		for range 1 + rng.IntN(8) {
			e := randomEvent(rng, 0, genesis)
			s, _ = s.Join(&e)
		}
		f.Add(codec.append(nil, &s, rng.Uint32N(1000)))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, tup := range []schemas.Tuple{full, bare} {
			s, found, err := codec.decode(value, oneTuple(tup))
			if err != nil {
				continue
			}
			again, _, err := codec.decode(codec.append(nil, &s, found.id), oneTuple(tup))
			if err != nil || again != s {
				t.Fatalf("%v\n got %+v\nwant %+v", err, again, s)
			}
		}
	})
}

func FuzzCounts(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		for _, c := range bruteForce(randomHistory(rng, 20, 6)) {
			f.Add(appendCounts(nil, &c))
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := decodeCounts(value, words{})
		if err != nil {
			return
		}
		again, err := decodeCounts(appendCounts(nil, &c), words{})
		if err != nil || !equalCounts(&c, &again) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, c)
		}
	})
}

// FuzzApply: whatever bytes come as two events, the fold refuses or folds them,
// and its state opens again with the same message counted.
func FuzzApply(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		a, b := randomEvent(rng, 0, genesis), randomEvent(rng, 0, genesis)
		f.Add(schemas.EncodeEvent(&a), schemas.EncodeEvent(&b), int64(a.ReceivedAt))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, timestamp int64) {
		r := newRig(t)
		r.feed(fact1("m", schemas.TypeSent, at(0, 5), at(0, 6)))
		for i, value := range [][]byte{a, b, a} {
			rec := task.Record{Offset: int64(i + 1), Timestamp: schemas.Instant(timestamp), Schema: schemas.SchemaEvent, Value: value}
			var reject *task.Reject
			if err := r.fold.Apply(rec); err != nil && !errors.As(err, &reject) {
				t.Fatalf("apply: %v", err)
			}
			r.log, r.next = append(r.log, rec), r.next+1
		}
		live := r.fold.Stats().Live
		r.checkpoint()
		r.reopen()
		if got := r.fold.Stats().Live; got != live {
			t.Fatalf("%d messages after reopening, %d before", got, live)
		}
	})
}
