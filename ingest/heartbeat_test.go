package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/schemas"
)

// tape is a Producer that keeps what it takes. fail, if set, is its answer.
type tape struct {
	mu      sync.Mutex
	records []Record
	fail    error
	// hold, if set, is waited for before events are taken.
	hold chan struct{}
}

func (p *tape) Produce(_ context.Context, records []Record) error {
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	if hold != nil && records[0].Schema != schemas.SchemaHeartbeat {
		<-hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	p.records = append(p.records, records...)
	return nil
}

func (p *tape) set(change func(*tape)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// beats are the heartbeats written since the last call, of each partition.
func (p *tape) beats(t *testing.T) (all [][]schemas.Heartbeat) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	all = make([][]schemas.Heartbeat, 3)
	for _, r := range p.records {
		if r.Schema != schemas.SchemaHeartbeat {
			continue
		}
		h, err := schemas.DecodeHeartbeat(r.Value)
		if err != nil || r.Topic != schemas.TopicEvents || len(r.Key) > 0 || !r.At.Equal(h.At.Time()) {
			t.Fatalf("%+v: %v", r, err)
		}
		all[r.Partition] = append(all[r.Partition], h)
	}
	p.records = nil
	return all
}

// beating is a door whose heartbeats run on the bubble's clock, and whose clock is
// speed times as fast from there on.
func beating(t *testing.T, p Producer, speed float64) (s *Server, stop func()) {
	t.Helper()
	began := time.Now()
	s, err := New(testConfig(), Deps{
		Log: slog.New(slog.DiscardHandler), Producer: p, Providers: testProviders(), Registerer: prometheus.NewRegistry(),
		Now:        func() time.Time { return testNow().Add(time.Duration(float64(time.Since(began)) * speed)) },
		Partitions: 3, Settling: func() time.Duration { return 10 * time.Second }, Speed: func() float64 { return speed },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(nobody{closed: make(chan struct{})})
	return s, func() {
		t.Helper()
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// nobody is a listener that nobody connects to.
type nobody struct{ closed chan struct{} }

func (q nobody) Accept() (net.Conn, error) {
	<-q.closed
	return nil, net.ErrClosed
}

func (q nobody) Close() error {
	close(q.closed)
	return nil
}

func (q nobody) Addr() net.Addr { return &net.TCPAddr{} }

// webhook posts a signed body and returns the status.
func webhook(s *Server) int { return post(s, statuses(1)).status }

// answered is a ResponseWriter that keeps the status.
type answered struct {
	header http.Header
	status int
}

func (w *answered) Header() http.Header         { return w.header }
func (w *answered) WriteHeader(status int)      { w.status = status }
func (w *answered) Write(b []byte) (int, error) { return len(b), nil }

func seconds(h []schemas.Heartbeat) (at []int64) {
	for _, h := range h {
		at = append(at, h.At.Seconds()-testNow().Unix())
	}
	return at
}

// pass lets time pass in the bubble.
func pass(d time.Duration) { <-time.After(d) }

// TestHeartbeats: an open door says so in every partition at once and every five
// seconds, and that it shuts when it stops.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &tape{}
		_, stop := beating(t, p, 1)
		pass(16 * time.Second)
		synctest.Wait()
		for partition, all := range p.beats(t) {
			if got := seconds(all); !slices.Equal(got, []int64{0, 5, 10, 15}) {
				t.Errorf("partition %d: heartbeats at %v", partition, got)
			}
			for _, h := range all {
				if h.Door.IsZero() || h.Opened != all[0].At || h.Held != 0 || h.Settling != 10_000 || h.Patience != 15_000 || h.Closing {
					t.Errorf("partition %d: %+v", partition, h)
				}
			}
		}
		stop()
		for partition, all := range p.beats(t) {
			if len(all) != 1 || !all[0].Closing || all[0].At.Seconds() != testNow().Unix()+16 {
				t.Errorf("partition %d: the last %+v", partition, all)
			}
		}
	})
}

// TestHeartbeatsOfAFastClock come more often, and are waited for as long.
func TestHeartbeatsOfAFastClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &tape{}
		_, stop := beating(t, p, 2000)
		pass(time.Second)
		synctest.Wait()
		all := p.beats(t)[0]
		if got := seconds(all); !slices.Equal(got, []int64{0, 400, 800, 1200, 1600, 2000}) || all[0].Patience != 1_200_000 {
			t.Errorf("heartbeats at %v, patience %d", got, all[0].Patience)
		}
		stop()
	})
}

// TestHeartbeatsOfRefusals: a door that refuses what is authentic does not say that
// it is open; it does again when it takes it.
func TestHeartbeatsOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &tape{}
		s, stop := beating(t, p, 1)
		pass(time.Second)
		p.beats(t)
		p.set(func(p *tape) { p.fail = errors.New("no room") })
		if got := webhook(s); got != http.StatusServiceUnavailable {
			t.Fatalf("answered %d", got)
		}
		pass(10 * time.Second) // refused, too
		p.set(func(p *tape) { p.fail = nil })
		if got := webhook(s); got != http.StatusOK {
			t.Fatalf("answered %d", got)
		}
		for range cap(s.slots) {
			s.slots <- struct{}{}
		}
		if got := webhook(s); got != http.StatusServiceUnavailable {
			t.Fatalf("overloaded: answered %d", got)
		}
		pass(5 * time.Second)
		synctest.Wait()
		if all := p.beats(t)[0]; len(all) > 0 {
			t.Errorf("heartbeats at %v although it refused", seconds(all))
		}
		for range cap(s.slots) {
			<-s.slots
		}
		pass(5 * time.Second)
		synctest.Wait()
		if got := seconds(p.beats(t)[0]); !slices.Equal(got, []int64{20}) {
			t.Errorf("heartbeats at %v, want at 20 s", got)
		}
		stop()
	})
}

// TestHeartbeatsNameTheOldestBody that Kafka has not acknowledged.
func TestHeartbeatsNameTheOldestBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &tape{}
		s, stop := beating(t, p, 1)
		pass(2 * time.Second)
		first, second := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		for _, hold := range []chan struct{}{first, second} {
			p.set(func(p *tape) { p.hold = hold })
			wg.Go(func() { webhook(s) })
			synctest.Wait()
			pass(time.Second)
		}
		p.set(func(p *tape) { p.hold = nil })
		held := func() (from []int64) {
			for _, h := range p.beats(t)[1] {
				from = append(from, int64(h.Held-schemas.InstantOf(testNow()))/1000)
			}
			return from
		}
		held()
		pass(2 * time.Second)
		synctest.Wait()
		if got := held(); !slices.Equal(got, []int64{2}) {
			t.Errorf("both held: %v", got)
		}
		close(first)
		pass(5 * time.Second)
		synctest.Wait()
		if got := held(); !slices.Equal(got, []int64{3}) {
			t.Errorf("the second held: %v", got)
		}
		close(second)
		wg.Wait()
		pass(5 * time.Second)
		synctest.Wait()
		if all := p.beats(t)[1]; len(all) != 1 || all[0].Held != 0 {
			t.Errorf("none held: %+v", all)
		}
		stop()
	})
}

// TestManyStartsAndStops: each run is another door, and no goroutine is left.
func TestManyStartsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		doors := map[schemas.Key]bool{}
		for range 50 {
			p := &tape{}
			_, stop := beating(t, p, 1)
			synctest.Wait()
			stop()
			all := p.beats(t)[2]
			if len(all) != 2 || all[0].Door != all[1].Door || doors[all[0].Door] {
				t.Fatalf("heartbeats %+v", all)
			}
			doors[all[0].Door] = true
		}
	})
}
