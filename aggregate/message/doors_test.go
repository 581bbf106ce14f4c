package message

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// noonMillis is when the doors of these tests open.
const noonMillis = schemas.Instant(1_790_000_000_000)

// beat is a heartbeat in seconds after noon.
type beat struct {
	door       byte
	opened, at int64
	held       int64 // 0: nothing
	closing    bool
}

func (b beat) heartbeat() *schemas.Heartbeat {
	h := &schemas.Heartbeat{
		Door: schemas.Key{b.door}, Opened: noonMillis + schemas.Instant(b.opened)*1000, At: noonMillis + schemas.Instant(b.at)*1000,
		Settling: 10_000, Patience: 15_000, Closing: b.closing,
	}
	if b.held > 0 {
		h.Held = noonMillis + schemas.Instant(b.held)*1000
	}
	return h
}

// beats are those of one door every five seconds.
func beats(door byte, opened, last int64) (all []beat) {
	for at := opened; at <= last; at += 5 {
		all = append(all, beat{door: door, opened: opened, at: at})
	}
	return all
}

func TestDoors(t *testing.T) {
	for _, c := range []struct {
		name string
		all  [][]beat
		want string // complete to, then shuttings, in seconds after noon
	}{
		{"none", nil, "unknown"},
		{"the first", [][]beat{beats(1, 0, 0)}, "-10"},
		{"an open door", [][]beat{beats(1, 0, 60)}, "50"},
		{"a body held back", [][]beat{beats(1, 0, 60), {{1, 0, 65, 30, false}}}, "50"},
		{"and let go", [][]beat{beats(1, 0, 60), {{1, 0, 65, 30, false}, {1, 0, 70, 0, false}}}, "60"},
		{"a repeat of an older one says nothing", [][]beat{beats(1, 0, 60), {{1, 0, 40, 0, false}}}, "50"},
		{"silent for its patience", [][]beat{beats(1, 0, 60), {{1, 0, 75, 0, false}}}, "65"},
		{"silent for longer", [][]beat{beats(1, 0, 60), {{1, 0, 76, 0, false}}}, "66 shut 60-76"},
		{"stopped in good order", [][]beat{beats(1, 0, 60), {{1, 0, 62, 0, true}}}, "52"},
		{"stopped and started", [][]beat{beats(1, 0, 60), {{1, 0, 62, 0, true}}, beats(2, 65, 70)}, "60 shut 62-65"},
		{"a closed door says no more", [][]beat{beats(1, 0, 60), {{1, 0, 62, 0, true}, {1, 0, 64, 0, false}}}, "52"},
		{"killed and started at once: it may still be there", [][]beat{beats(1, 0, 60), beats(2, 65, 75)}, "50"},
		{"killed and started at once: it was not", [][]beat{beats(1, 0, 60), beats(2, 65, 80)}, "70 shut 60-65"},
		{"started hours later", [][]beat{beats(1, 0, 60), beats(2, 9000, 9000)}, "8990 shut 60-9000"},
		{"handed over without a gap", [][]beat{beats(1, 0, 60), beats(2, 58, 63), {{1, 0, 64, 0, true}}, beats(2, 58, 80)}, "68"},
		{"two doors, one of them killed", [][]beat{beats(1, 0, 60), beats(2, 0, 60), beats(2, 0, 100)}, "90"},
		{"two doors, one of them slow", [][]beat{beats(1, 0, 60), beats(2, 0, 75)}, "50"},
		{"two doors, one holds a body back", [][]beat{beats(1, 0, 25), {{2, 20, 30, 27, false}}, beats(1, 0, 40)}, "17"},
		{"two doors, both stop for a while", [][]beat{
			beats(1, 0, 60), beats(2, 0, 62), {{1, 0, 61, 0, true}, {2, 0, 70, 0, true}}, beats(4, 90, 95), beats(3, 100, 105),
		}, "85 shut 70-90"},
		{"two doors, one of them silent for too long, and back", [][]beat{{{1, 0, 5, 0, false}, {2, 3, 6, 0, false}}, beats(1, 0, 30), beats(2, 3, 30)}, "20"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d doors
			for _, b := range slices.Concat(c.all...) {
				before := d.completeTo
				d.hear(b.heartbeat())
				if d.completeTo < before {
					t.Errorf("complete to %d after %d", d.completeTo, before)
				}
				again, err := decodeDoors(d.encode()) // a restart changes nothing
				if err != nil || !bytes.Equal(again.encode(), d.encode()) {
					t.Fatalf("read back: %v", err)
				}
				d = again
			}
			if got := describe(&d); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func describe(d *doors) string {
	if d.completeTo == 0 {
		return "unknown"
	}
	var out strings.Builder
	fmt.Fprint(&out, (d.completeTo-noonMillis)/1000)
	for _, s := range d.shut {
		fmt.Fprintf(&out, " shut %d-%d", (s.From-noonMillis)/1000, (s.To-noonMillis)/1000)
	}
	return out.String()
}

// TestDoorsAgainstTruth lets doors open, beat, stop and be killed at random. In the
// end what they said they were open is what no shutting touches, and nothing is
// complete that a door still held back.
func TestDoorsAgainstTruth(t *testing.T) {
	s := seed(t)
	shut := 0
	for run := range scale(400) {
		rng := rand.New(rand.NewPCG(s, uint64(run)))
		w := world{rng: rng, open: map[byte]beat{}}
		for range 120 {
			w.pass()
		}
		w.end()
		shut += len(w.d.shut)
		var at, missing schemas.Instant = w.first, 0
		for _, in := range w.d.shut {
			if in.From < at {
				t.Fatalf("run %d of BLUETICK_SEED=%d: shuttings %v overlap", run, s, w.d.shut)
			}
			missing, at = missing+in.To-in.From, in.To
		}
		if want := w.shut(); missing != want {
			t.Fatalf("run %d of BLUETICK_SEED=%d: shut for %d ms, in truth for %d:\n%v", run, s, missing, want, w.d.shut)
		}
	}
	if shut < 200 {
		t.Errorf("BLUETICK_SEED=%d: only %d shuttings in all", s, shut)
	}
}

// world is doors with their truth: the seconds in which one was open.
type world struct {
	rng     *rand.Rand
	d       doors
	now     int64
	next    byte
	open    map[byte]beat // the last heartbeat of each
	covered [][2]int64
	first   schemas.Instant
}

func (w *world) say(b beat) {
	if w.first == 0 {
		w.first = b.heartbeat().Opened
	}
	w.d.hear(b.heartbeat())
	w.covered = append(w.covered, [2]int64{w.from(b), b.at})
	w.open[b.door] = b
}

// from is since when the heartbeat says that its door was open without a gap.
func (w *world) from(b beat) int64 {
	last, ok := w.open[b.door]
	if !ok && b.at-b.opened <= 15 {
		return b.opened
	}
	if b.at-last.at > 15 {
		return b.at
	}
	return last.at
}

// pass lets some seconds pass, and something happen.
func (w *world) pass() {
	w.now += 1 + w.rng.Int64N(6)
	for _, id := range slices.Sorted(func(yield func(byte) bool) {
		for id := range w.open {
			if !yield(id) {
				return
			}
		}
	}) {
		b := w.open[id]
		switch w.rng.IntN(12) {
		case 0:
			b.at, b.closing = w.now, true
			w.say(b)
			delete(w.open, id)
		case 1:
			delete(w.open, id) // killed
		case 2, 3: // late
		default:
			b.at = w.now
			w.say(b)
		}
	}
	if len(w.open) == 0 && w.rng.IntN(3) == 0 || w.rng.IntN(20) == 0 {
		w.next++
		w.say(beat{door: w.next, opened: w.now, at: w.now})
	}
}

// end lets one door beat until nothing is undecided.
func (w *world) end() {
	w.next++
	opened := w.now + 1
	for range 8 {
		w.now += 5
		w.say(beat{door: w.next, opened: opened, at: w.now})
	}
}

// shut is how long no door was open, in milliseconds, from the first opening on.
func (w *world) shut() (ms schemas.Instant) {
	slices.SortFunc(w.covered, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	to := w.covered[0][1]
	for _, c := range w.covered {
		if c[0] > to {
			ms += schemas.Instant(c[0]-to) * 1000
		}
		to = max(to, c[1])
	}
	return ms
}

func TestDoorsAreBounded(t *testing.T) {
	var d doors
	for i := range int64(3000) {
		d.hear(beat{door: byte(i), opened: i * 100, at: i * 100}.heartbeat())
		d.hear(beat{door: byte(i), opened: i * 100, at: i*100 + 1, closing: true}.heartbeat())
	}
	if len(d.shut) > schemas.MaxShuttings || len(d.byID) > 2 {
		t.Errorf("%d shuttings, %d doors", len(d.shut), len(d.byID))
	}
	for i := range 1000 {
		h := beat{opened: 1_000_000, at: 1_000_000}.heartbeat()
		h.Door = schemas.Key{1, byte(i), byte(i >> 8)}
		d.hear(h)
	}
	if len(d.byID) > maxDoors {
		t.Errorf("%d doors", len(d.byID))
	}
}

// TestHeartbeatRecords: heartbeats have no key, count nothing, and move no D-clock.
func TestHeartbeatRecords(t *testing.T) {
	r := newRig(t)
	r.feed(fact1("m", schemas.TypeSent, at(0, 5), at(0, 6)))
	clock := r.fold.DClock()
	h := beat{door: 1, at: 60}.heartbeat()
	rec := task.Record{Offset: r.next, Schema: schemas.SchemaHeartbeat, Value: schemas.EncodeHeartbeat(h), Timestamp: h.At}
	for name, bad := range map[string]func(*task.Record){
		"a key":   func(r *task.Record) { r.Key = []byte("k") },
		"garbage": func(r *task.Record) { r.Value = []byte{1, 2} },
		"no door": func(r *task.Record) {
			none := *h
			none.Door = schemas.Key{}
			r.Value = schemas.EncodeHeartbeat(&none)[18:]
		},
	} {
		rec := rec
		bad(&rec)
		if err := r.fold.Apply(rec); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := r.fold.CompleteTo(); got != 0 {
		t.Errorf("complete to %d before any heartbeat", got)
	}
	r.log = append(r.log, rec)
	r.step()
	if r.fold.CompleteTo() != h.At-10_000 || r.fold.DClock() != clock {
		t.Errorf("complete to %d, D-clock %d", r.fold.CompleteTo(), r.fold.DClock())
	}
	r.checkpoint()
	r.reopen()
	if r.fold.CompleteTo() != h.At-10_000 {
		t.Errorf("after a restart: complete to %d", r.fold.CompleteTo())
	}
}

func FuzzDecodeDoors(f *testing.F) {
	var d doors
	for _, b := range append(beats(1, 0, 20), beats(2, 60, 80)...) {
		d.hear(b.heartbeat())
	}
	f.Add(d.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeDoors(b)
		if err != nil {
			return
		}
		again, err := decodeDoors(d.encode())
		if err != nil || !bytes.Equal(again.encode(), d.encode()) {
			t.Fatalf("%v: %v", d, err)
		}
	})
}
