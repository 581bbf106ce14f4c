package ingest

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/schemas"
)

// TestDoorDoubtsItsClock: when the wall clock leaps, authentic webhooks get 503 with
// Retry-After, nothing is stamped and no heartbeat is written, until the clocks have
// agreed again for minutes.
func TestDoorDoubtsItsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &tape{}
		began := time.Now()
		var wrong atomic.Int64 // how far the wall clock is off
		doubts := make(chan ClockDoubt, 8)
		registry := prometheus.NewRegistry()
		s, err := New(testConfig(), Deps{
			Log: slog.New(slog.DiscardHandler), Producer: p, Providers: testProviders(), Registerer: registry,
			Now:        func() time.Time { return testNow().Add(time.Since(began) + time.Duration(wrong.Load())) },
			Boot:       func() (time.Duration, bool) { return time.Since(began), true },
			Doubted:    func(d ClockDoubt) { doubts <- d },
			Partitions: 3, Settling: func() time.Duration { return 10 * time.Second }, Speed: func() float64 { return 1 },
		})
		if err != nil {
			t.Fatal(err)
		}
		s.serve(nobody{closed: make(chan struct{})})
		answer := func(want int, why string) {
			t.Helper()
			w := post(s, statuses(1))
			if w.status != want {
				t.Errorf("%s: answered %d, want %d", why, w.status, want)
			}
			if after := w.header.Get("Retry-After"); (after != "") != (want != http.StatusOK) {
				t.Errorf("%s: Retry-After %q", why, after)
			}
		}
		pass(11 * time.Second)
		answer(http.StatusOK, "steady")
		p.beats(t)

		wrong.Store(int64(24 * time.Hour))
		answer(http.StatusServiceUnavailable, "a day ahead")
		pass(30 * time.Second)
		wrong.Store(0)
		answer(http.StatusServiceUnavailable, "right again, just now")
		pass(4 * time.Minute)
		answer(http.StatusServiceUnavailable, "right again for four minutes")
		synctest.Wait()
		p.set(func(p *tape) {
			if len(p.records) > 0 {
				t.Errorf("%d records of a door that doubts its clock", len(p.records))
			}
		})
		if n := collected(t, registry, "bluetick_ingest_clock_shut"); n != 1 {
			t.Errorf("bluetick_ingest_clock_shut is %v", n)
		}
		pass(2 * time.Minute)
		answer(http.StatusOK, "right again for six minutes")
		pass(6 * time.Second)
		synctest.Wait()
		all := p.beats(t)[0]
		if len(all) == 0 || all[0].At.Seconds() > testNow().Unix()+500 {
			t.Errorf("heartbeats %+v", all)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		close(doubts)
		var told []ClockDoubt
		for d := range doubts {
			told = append(told, d)
		}
		if !slices.Equal(told, []ClockDoubt{ClockJumped, ""}) {
			t.Errorf("told of %q", told)
		}
	})
}

// TestDoorBehindItsProviders: bodies that stay ahead of our clock shut the door, and a
// virtual clock is held against nothing.
func TestDoorBehindItsProviders(t *testing.T) {
	for name, virtual := range map[string]bool{"the wall clock": false, "a virtual clock": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &tape{}
				began := time.Now()
				deps := Deps{
					Log: slog.New(slog.DiscardHandler), Producer: p, Providers: testProviders(), Registerer: prometheus.NewRegistry(),
					Now:  func() time.Time { return testNow().Add(time.Since(began) - 24*time.Hour) }, // behind the bodies
					Boot: func() (time.Duration, bool) { return time.Since(began), true },
				}
				if virtual {
					deps.Boot = nil
				}
				s, err := New(testConfig(), deps)
				if err != nil {
					t.Fatal(err)
				}
				s.serve(nobody{closed: make(chan struct{})})
				var got []int
				for range 5 {
					got = append(got, post(s, statuses(1)).status)
					pass(30 * time.Second)
				}
				want := []int{200, 200, 503, 503, 503}
				if virtual {
					want = []int{200, 200, 200, 200, 200}
				}
				if !slices.Equal(got, want) {
					t.Errorf("answered %v, want %v", got, want)
				}
				for _, r := range p.records {
					if e, err := schemas.DecodeEvent(r.Value); err != nil || !e.Clamped {
						t.Errorf("%+v: %v", e, err)
					}
				}
				if err := s.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// post sends a signed body without a connection.
func post(s *Server, body []byte) *answered {
	req, _ := http.NewRequest(http.MethodPost, "http://door/v1/webhooks/meta/main", io.NopCloser(strings.NewReader(string(body))))
	req.ContentLength = int64(len(body))
	req.Header = signature(testSecret, body)
	w := &answered{header: http.Header{}}
	s.Handler().ServeHTTP(w, req)
	return w
}

// collected is the value of a gauge.
func collected(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("%s is not there", name)
	return 0
}
