package ingest

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

const (
	// beatEvery is how often an open door says so, by the wall clock. How far the
	// minutes are complete follows it, so it is part of how fresh rates are.
	beatEvery = 5 * time.Second
	// shortestBeat is the same where the clock runs fast: beatEvery of that clock,
	// but no oftener than this.
	shortestBeat = 200 * time.Millisecond
	// missed is how many heartbeats may fail to come before the door counts as shut.
	missed = 3
	// lastBeatLimit bounds the last heartbeat of a door that stops.
	lastBeatLimit = 2 * time.Second
)

// hearts are a door's signs of life in every partition of events: see
// schemas.Heartbeat. One goroutine writes them; requests only enter and leave.
type hearts struct {
	door       schemas.Key // of this run; immutable
	partitions int32       // of events; immutable
	// settling is how long a webhook may travel, and speed how fast now runs, at
	// present.
	settling func() time.Duration
	speed    func() float64
	now      func() time.Time

	opened schemas.Instant // of beat's goroutine
	// refusals counts authentic bodies that were answered 503: a door that refuses
	// does not say that it is open.
	refusals atomic.Int64
	mu       struct {
		sync.Mutex
		// held is the received_at of every body between its arrival and Kafka's
		// answer.
		held map[*body]schemas.Instant
	}
}

// body is one that is being worked on.
type body struct{ _ byte }

func newHearts(deps *Deps) *hearts {
	h := &hearts{partitions: deps.Partitions, settling: deps.Settling, speed: deps.Speed, now: deps.Now}
	_, _ = rand.Read(h.door[:]) // it does not fail
	h.mu.held = map[*body]schemas.Instant{}
	return h
}

// enter stamps a body with its received_at. Until it leaves, no heartbeat says
// that what came in since then is in the log: the clock is read under the lock
// that the heartbeat takes.
func (h *hearts) enter() (at time.Time, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := &body{}
	at = h.now()
	h.mu.held[b] = schemas.InstantOf(at)
	return at, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.mu.held, b)
	}
}

// heartbeat is what the door can say now. Every body that came in before and has
// left is acknowledged, or was refused and will come again.
func (h *hearts) heartbeat() schemas.Heartbeat {
	h.mu.Lock()
	defer h.mu.Unlock()
	beat := schemas.Heartbeat{
		Door: h.door, At: schemas.InstantOf(h.now()), Settling: h.settling().Milliseconds(),
		Patience: missed * int64(float64(h.every().Milliseconds())*max(h.speed(), 1)),
	}
	if len(h.mu.held) > 0 {
		beat.Held = slices.Min(slices.Collect(maps.Values(h.mu.held)))
	}
	beat.Opened = h.opened
	if beat.Opened == 0 {
		beat.Opened = beat.At
	}
	beat.At = max(beat.At, beat.Opened) // the clock was set back
	return beat
}

// every is the time between two heartbeats by the wall clock.
func (h *hearts) every() time.Duration {
	return max(shortestBeat, time.Duration(float64(beatEvery)/max(h.speed(), 1)))
}

// records are one heartbeat for every partition.
func (h *hearts) records(beat *schemas.Heartbeat) []Record {
	value := schemas.EncodeHeartbeat(beat)
	records := make([]Record, h.partitions)
	for i := range records {
		records[i] = Record{
			Topic: schemas.TopicEvents, Schema: schemas.SchemaHeartbeat, Partition: int32(i),
			Value: value, At: beat.At.Time(),
		}
	}
	return records
}

// beat writes heartbeats until ctx ends.
func (s *Server) beat(ctx context.Context) {
	h := s.hearts
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			s.beatOnce(ctx)
			timer.Reset(h.every())
		case <-ctx.Done():
			return
		}
	}
}

// beatOnce writes one heartbeat, unless the door doubts its clock, or has refused
// what it should have taken since the one before.
func (s *Server) beatOnce(ctx context.Context) {
	h := s.hearts
	// The clock is asked first: it is looked at even while no webhook comes.
	if s.clock.doubt() != "" || h.refusals.Swap(0) > 0 {
		s.metrics.heartbeats.WithLabelValues(beatWithheld).Inc()
		return
	}
	beat := h.heartbeat()
	ctx, cancel := context.WithTimeout(ctx, s.config.ProduceTimeout)
	defer cancel()
	if err := s.out.Produce(ctx, h.records(&beat)); err != nil {
		s.metrics.heartbeats.WithLabelValues(beatFailed).Inc()
		if !s.speechless.Swap(true) {
			s.log.Warn("kafka does not take heartbeats: until it does, the door counts as shut and no minute completes", "err", err)
		}
		return
	}
	h.opened = beat.Opened
	s.metrics.heartbeats.WithLabelValues(beatWritten).Inc()
	if s.speechless.Swap(false) {
		s.log.Info("kafka takes heartbeats again")
	}
}

// lastBeat says that the door has shut. If it does not come through, the folds
// find out by the silence.
func (s *Server) lastBeat(ctx context.Context) {
	if s.hearts.opened == 0 || s.clock.doubt() != "" {
		return
	}
	beat := s.hearts.heartbeat()
	beat.Closing = true
	ctx, cancel := context.WithTimeout(ctx, lastBeatLimit)
	defer cancel()
	if err := s.out.Produce(ctx, s.hearts.records(&beat)); err != nil {
		s.log.Warn("the last heartbeat was not written", "err", err)
	}
}
