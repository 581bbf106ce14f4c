package ingest

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func testRoom(most int64) *room {
	return newRoom(most, prometheus.NewGauge(prometheus.GaugeOpts{Name: "held"}))
}

// leaver is a guest that leaves as soon as it is cut off, as a request does.
func leaver(r *room) (g *guest, cut chan struct{}) {
	cut = make(chan struct{}, 1)
	return r.enter(1, func() {
		select {
		case cut <- struct{}{}:
		default:
		}
	}), cut
}

// TestWhoHasToGo: the oldest that still sends, until there is room, and nobody
// younger than who asks.
func TestWhoHasToGo(t *testing.T) {
	r := testRoom(10)
	var guests []*guest
	var cuts []chan struct{}
	for _, holds := range []int64{2, 3, 3, 2, 0} {
		g, cut := leaver(r)
		if !g.take(holds) {
			t.Fatal("no room for what fits")
		}
		guests, cuts = append(guests, g), append(cuts, cut)
	}
	if !guests[0].stay() {
		t.Fatal("asked to go without need")
	}
	went := make(chan int, len(guests))
	for _, i := range []int{1, 2} {
		go func() { <-cuts[i]; guests[i].leave(); went <- i }()
	}
	// The first is whole and stays; the second is enough for 3, the third for 2 more.
	if !guests[4].take(3) || <-went != 1 {
		t.Error("the oldest did not make room")
	}
	if !guests[4].take(2) || <-went != 2 {
		t.Error("the next did not make room")
	}
	if guests[3].take(9) {
		t.Error("there was room for more than there is")
	}
	if len(cuts[0])+len(cuts[4]) != 0 {
		t.Error("one that is whole, or younger, was cut off")
	}
	for _, g := range guests {
		g.leave()
	}
	if r.mu.held != 0 || r.mu.leaving != 0 || r.mu.sending.Len() != 0 {
		t.Errorf("left over: %d held, %d leaving, %d sending", r.mu.held, r.mu.leaving, r.mu.sending.Len())
	}
}

// TestWaitingGuestGoes: one that waits for room can be asked to go itself, and
// then does not wait for ever.
func TestWaitingGuestGoes(t *testing.T) {
	r := testRoom(10)
	first, cutFirst := leaver(r)
	second, cutSecond := leaver(r)
	third, _ := leaver(r)
	if !first.take(4) || !second.take(4) {
		t.Fatal("no room")
	}
	waited := make(chan bool, 1)
	go func() { waited <- second.take(4) }() // waits for the first, which takes its time
	<-cutFirst
	got := make(chan bool, 1)
	go func() { got <- third.take(9) }() // needs the second's place too
	<-cutSecond
	if <-waited {
		t.Error("room for who was asked to go")
	}
	second.leave()
	first.leave()
	if !<-got {
		t.Error("no room once both were gone")
	}
	third.leave()
}

// TestRoomIsNeverExceeded: whatever many guests do at once.
func TestRoomIsNeverExceeded(t *testing.T) {
	const most = 1000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := testRoom(most)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 300 {
				g, _ := leaver(r)
				for g.take(1+rnd.Int64N(150)) && rnd.IntN(4) > 0 {
					r.mu.Lock()
					if r.mu.held > most || r.mu.leaving > r.mu.held {
						t.Errorf("%d held, %d of them leaving", r.mu.held, r.mu.leaving)
					}
					r.mu.Unlock()
				}
				if rnd.IntN(2) == 0 {
					g.stay()
				}
				g.leave()
			}
		})
	}
	all.Wait()
	if r.mu.held != 0 || r.mu.leaving != 0 || r.mu.sending.Len() != 0 {
		t.Errorf("left over: %d held, %d leaving, %d sending", r.mu.held, r.mu.leaving, r.mu.sending.Len())
	}
}
