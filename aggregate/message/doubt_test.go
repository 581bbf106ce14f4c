package message

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// TestOneClockAhead: one event of a clock 52 days ahead makes the fold forget
// nothing. Messages whose events are repeated afterwards count once.
func TestOneClockAhead(t *testing.T) {
	r := newRig(t)
	var events []schemas.Event
	for i := range 1000 {
		events = append(events, fact1(fmt.Sprint("m", i), schemas.TypeSent, at(0, int64(i)), at(0, int64(i))))
	}
	for i, e := range events {
		if i%100 == 50 {
			ahead := fact1(fmt.Sprint("ahead", i), schemas.TypeSent, at(52, 0), at(52, 0))
			r.feed(ahead)
			r.feed(ahead)
			r.checkpoint()
		}
		r.feed(e)
	}
	for i, e := range events {
		if i%300 == 0 {
			r.checkpoint()
			r.reopen()
		}
		r.feed(e)
		r.feed(fact1(fmt.Sprint("m", i), schemas.TypeDelivered, e.OccurredAt+5000, e.ReceivedAt+5000))
	}
	r.checkpoint()
	var logged []schemas.Event
	for _, rec := range r.log {
		e, err := schemas.DecodeEvent(rec.Value)
		if err != nil {
			t.Fatal(err)
		}
		logged = append(logged, e)
	}
	if d := difference(r.panes(), bruteForce(logged)); d != "" {
		t.Errorf("counted otherwise than once each:\n%s", d)
	}
	if s := r.fold.Stats(); s.Forgotten != 0 || r.fold.DClock() >= at(1, 0) {
		t.Errorf("%+v, D-clock %v", s, r.fold.DClock().Time())
	}
}

// TestSlowClock: while our clock was 40 days behind, what it stamped was clamped.
// Once it is right the provider's retries are the same events, and their true times
// count: nothing is late, nothing counts twice.
func TestSlowClock(t *testing.T) {
	const behind = 40 * dayMillis
	var truth, log []schemas.Event
	for i := range 100 {
		for j, kind := range []schemas.EventType{schemas.TypeSent, schemas.TypeDelivered, schemas.TypeRead} {
			e := fact1(fmt.Sprint("m", i), kind, at(41, int64(60*i+20*j)), at(41, int64(60*i+20*j+1)))
			guess := e
			guess.ReceivedAt -= behind
			guess.OccurredAt, guess.Clamped = guess.ReceivedAt, true
			truth = append(truth, e)
			log = append(log, guess)
		}
	}
	r := newRig(t)
	for _, e := range slices.Concat(log, truth) {
		r.feed(e)
	}
	r.checkpoint()
	if d := difference(r.panes(), bruteForce(truth)); d != "" {
		t.Error(d)
	}
}

// TestHearsay: what doors say with a clock days ahead completes nothing until it is
// believed, and does no harm once it turns out to be wrong.
func TestHearsay(t *testing.T) {
	const day, hour = 24 * 3600, 3600
	for _, c := range []struct {
		name string
		all  [][]beat
		want string
	}{
		{"a door 52 days ahead, once", [][]beat{beats(1, 0, 60), {{2, 52 * day, 52 * day, 0, false}}, beats(1, 0, 120)}, "110"},
		{"a door whose own clock jumps ahead, and back", [][]beat{beats(1, 0, 60), {{1, 0, 52 * day, 0, false}}, beats(1, 0, 120)}, "110"},
		{"the same by a day, which is believed", [][]beat{beats(1, 0, 60), {{1, 0, day, 0, false}}}, "86390 shut 60-86400"},
		{"opened after three days, at first", [][]beat{beats(1, 0, 60), beats(2, 3*day, 3*day+hour-5)}, "50"},
		{"opened after three days, and for an hour", [][]beat{beats(1, 0, 60), beats(2, 3*day, 3*day+hour)}, "262790 shut 60-259200"},
		{"and shut in between", [][]beat{beats(1, 0, 60), beats(2, 3*day, 3*day+30), beats(3, 3*day+60, 3*day+hour)}, "262790 shut 60-259200 shut 259230-259260"},
		{"wrong for half an hour, then right", [][]beat{beats(1, 0, 60), beats(2, 3*day, 3*day+hour/2), beats(1, 0, 120)}, "110"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d hearsay
			for _, b := range slices.Concat(c.all...) {
				before := d.completeTo
				d.hear(b.heartbeat())
				if d.completeTo < before {
					t.Errorf("complete to %d after %d", d.completeTo, before)
				}
				again, err := decodeHearsay(d.encode())
				if err != nil || !bytes.Equal(again.encode(), d.encode()) {
					t.Fatalf("read back: %v", err)
				}
				d = again
			}
			if got := describe(&d.doors); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func FuzzDecodeHearsay(f *testing.F) {
	var d hearsay
	for _, b := range append(beats(1, 0, 20), beats(2, 300_000, 300_080)...) {
		d.hear(b.heartbeat())
	}
	f.Add(d.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeHearsay(b)
		if err != nil {
			return
		}
		again, err := decodeHearsay(d.encode())
		if err != nil || !bytes.Equal(again.encode(), d.encode()) {
			t.Fatalf("%v: %v", d, err)
		}
	})
}
