package ingest

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// bodyGrace is how long a body may take, however small: a lost packet is sent
	// again within a second or two.
	bodyGrace = 3 * time.Second
	// paceEvery is how often the rate of a longer one is looked at.
	paceEvery = time.Second
)

// room bounds the bytes of all bodies, each from its first byte to Kafka's
// acknowledgement. When it is full, who has been sending the longest has to go: a
// webhook is sent in milliseconds, so what is still being sent after others have
// come and gone is slow or hostile. A body that is there as a whole stays.
type room struct {
	most  int64
	gauge prometheus.Gauge
	mu    struct {
		sync.Mutex
		held int64
		// leaving are the bytes of guests that have been asked to go.
		leaving int64
		// sending are the guests whose bodies are on their way in, the oldest first.
		sending list.List
	}
	// changed wakes guests that wait for room: bytes were given back, or they are
	// to go themselves.
	changed *sync.Cond
}

// guest is one body. It is used by its request's goroutine.
type guest struct {
	room *room
	// cut ends the guest's Read at once, and does not block.
	cut func()
	// got is how many bytes have come in.
	got atomic.Int64

	// Guarded by room.mu.

	held  int64
	place *list.Element // nil once the body is there, or is not wanted any more
	asked bool          // to go
	pace  *time.Timer   // looks at the rate while the guest has a place
}

func newRoom(most int64, gauge prometheus.Gauge) *room {
	r := &room{most: most, gauge: gauge}
	r.changed = sync.NewCond(&r.mu.Mutex)
	return r
}

// enter takes in a guest, who holds nothing yet and must leave. It is cut off if
// its body is not there after bodyGrace and comes at fewer than rate bytes a
// second.
func (r *room) enter(rate int64, cut func()) *guest {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := &guest{room: r, cut: cut}
	g.place = r.mu.sending.PushBack(g)
	seconds := int64(bodyGrace / time.Second)
	g.pace = time.AfterFunc(bodyGrace, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case g.place == nil: // there, or away meanwhile
		case g.got.Load() < seconds*rate:
			g.cut()
		default:
			seconds++
			g.pace.Reset(paceEvery)
		}
	})
	return g
}

// take holds n more bytes. If there are none, older guests have to go, and it
// waits until they have: a moment, since they are cut off. It returns false if
// there are no older ones that hold enough, or if g itself has to go.
func (g *guest) take(n int64) bool {
	r := g.room
	r.mu.Lock()
	defer r.mu.Unlock()
	for !g.asked {
		short := r.mu.held + n - r.most
		if short <= 0 {
			g.hold(n)
			return true
		}
		if r.mu.leaving < short && !r.ask(g) {
			return false
		}
		if r.mu.leaving >= short {
			r.changed.Wait()
		}
	}
	return false
}

// ask asks the oldest guest to go; false if that is by.
func (r *room) ask(by *guest) bool {
	oldest, ok := r.mu.sending.Front().Value.(*guest)
	if !ok || oldest == by {
		return false
	}
	oldest.away()
	oldest.asked = true
	r.mu.leaving += oldest.held
	oldest.cut()
	r.changed.Broadcast() // it may wait for room itself
	return true
}

// give returns n of the bytes held.
func (g *guest) give(n int64) {
	g.room.mu.Lock()
	defer g.room.mu.Unlock()
	g.hold(-n)
}

// hold is called with the lock held.
func (g *guest) hold(n int64) {
	r := g.room
	g.held += n
	r.mu.held += n
	r.gauge.Set(float64(r.mu.held))
	if g.asked {
		r.mu.leaving += n
	}
	if n < 0 {
		r.changed.Broadcast()
	}
}

// away is called with the lock held: g is no longer one of those who send.
func (g *guest) away() {
	if g.place != nil {
		g.room.mu.sending.Remove(g.place)
		g.place = nil
		g.pace.Stop()
	}
}

// stay is called once the body is there. From then on nobody asks the guest to
// go; it returns false if somebody has before.
func (g *guest) stay() bool {
	g.room.mu.Lock()
	defer g.room.mu.Unlock()
	g.away()
	return !g.asked
}

// sentAway reports whether the guest was asked to go.
func (g *guest) sentAway() bool {
	g.room.mu.Lock()
	defer g.room.mu.Unlock()
	return g.asked
}

// leave gives everything back.
func (g *guest) leave() {
	g.room.mu.Lock()
	defer g.room.mu.Unlock()
	g.away()
	g.hold(-g.held)
}
