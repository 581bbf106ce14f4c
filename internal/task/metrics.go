package task

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/internal/meter"
)

// gauges are the series of one task. Labels are the stage, the input partition
// and a closed reason: nothing that grows with traffic. They leave the registry
// with the scope they were made in, so that the partition can be opened again.
type gauges struct {
	received, emitted prometheus.Counter
	dropped           *prometheus.CounterVec // reason
	otherEpoch        prometheus.Counter
	dirty             prometheus.Gauge
	flush, checkpoint prometheus.Histogram
	lagOffsets        prometheus.Gauge
	completeLag       prometheus.Gauge
}

func newGauges(s *meter.Scope, stage string, partition int32) (gauges, error) {
	labels := prometheus.Labels{"stage": stage, "partition": strconv.Itoa(int(partition))}
	counter := func(name, help string) prometheus.Counter {
		return meter.Register(s, prometheus.NewCounter(prometheus.CounterOpts{Namespace: "bluetick", Name: name, Help: help, ConstLabels: labels}))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return meter.Register(s, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "bluetick", Name: name, Help: help, ConstLabels: labels}))
	}
	histogram := func(name, help string) prometheus.Histogram {
		return meter.Register(s, prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "bluetick", Name: name, Help: help, ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8), // 1 ms to 16 s
		}))
	}
	g := gauges{
		received: counter("events_received_total", "Records read from the input topic."),
		emitted:  counter("events_emitted_total", "Rows sent and acknowledged, dead letters included."),
		dropped: meter.Register(s, prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "bluetick", Name: "events_dropped_total",
			Help: "Records that became a dead letter, by reason.", ConstLabels: labels,
		}, []string{"reason"})),
		otherEpoch:  counter("events_other_epoch_total", "Records of another epoch, which are left alone."),
		dirty:       gauge("dirty_rows", "Rows changed and not yet emitted."),
		flush:       histogram("flush_duration_seconds", "Time from the first row sent to the last acknowledgement."),
		checkpoint:  histogram("checkpoint_duration_seconds", "Time of a checkpoint, its flush included."),
		lagOffsets:  gauge("lag_offsets", "End offset of the partition less the next offset to fold. Below 0 the log has lost records."),
		completeLag: gauge("complete_to_lag_seconds", "Now less the instant up to which everything was heard."),
	}
	return g, s.Err()
}

func (g *gauges) rejected(reason string) { g.dropped.WithLabelValues(reason).Inc() }

// since is the time from then to now in seconds.
func since(now func() time.Time, then time.Time) float64 { return now().Sub(then).Seconds() }
