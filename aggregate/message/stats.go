package message

import (
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/internal/meter"
)

// Stats are numbers of one fold for metrics. Live, Orphans and Tuples are what
// is remembered now; the others count since the fold was opened.
type Stats struct {
	Live      int64 // messages remembered, orphans included
	Orphans   int64 // messages not known yet, in no pane
	Tuples    int64 // tuples in use
	Forgotten int64 // messages dropped by age
	Late      int64 // outcome facts beyond the horizon; falls when a better send time makes one count
	Moves     int64 // messages that went to another pane
	Repeats   int64 // events that brought nothing new
}

// stats is written by the goroutine that owns the fold and read by any.
type stats struct {
	live, orphans, tuples, forgotten, late, moves, repeats atomic.Int64
}

// Stats may be called from any goroutine.
func (f *Fold) Stats() Stats { return f.stats.read() }

func (s *stats) read() Stats {
	return Stats{
		Live: s.live.Load(), Orphans: s.orphans.Load(), Tuples: s.tuples.Load(), Forgotten: s.forgotten.Load(),
		Late: s.late.Load(), Moves: s.moves.Load(), Repeats: s.repeats.Load(),
	}
}

// register turns the numbers of the fold into metrics of its partition. What can
// only rise is a counter. Late is a gauge: it falls when a better send time makes
// an outcome count after all.
func (s *stats) register(scope *meter.Scope, partition int32) error {
	for _, m := range []struct {
		name, help string
		value      func(Stats) int64
	}{
		{"messages", "Messages remembered, orphans included.", func(s Stats) int64 { return s.Live }},
		{"orphans", "Messages of which nothing yet says that they were sent: in no pane.", func(s Stats) int64 { return s.Orphans }},
		{"tuples", "Tuples of dimensions in use.", func(s Stats) int64 { return s.Tuples }},
		{"late", "Outcomes beyond the horizon since the start, which count nowhere else.", func(s Stats) int64 { return s.Late }},
		{"forgotten_total", "Messages forgotten by age.", func(s Stats) int64 { return s.Forgotten }},
		{"moves_total", "Messages that went to another pane.", func(s Stats) int64 { return s.Moves }},
		{"repeats_total", "Events that said nothing new.", func(s Stats) int64 { return s.Repeats }},
	} {
		opts := prometheus.Opts{
			Namespace: "bluetick", Subsystem: "message", Name: m.name, Help: m.help,
			ConstLabels: prometheus.Labels{"partition": strconv.Itoa(int(partition))},
		}
		value := func() float64 { return float64(m.value(s.read())) }
		var c prometheus.Collector = prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts), value)
		if strings.HasSuffix(m.name, "_total") {
			c = prometheus.NewCounterFunc(prometheus.CounterOpts(opts), value)
		}
		meter.Register(scope, c)
	}
	return scope.Err()
}
