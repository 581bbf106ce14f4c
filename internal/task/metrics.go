package task

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the series of one stage. Labels are the stage, the input
// partition and a closed reason: nothing that grows with traffic.
type metrics struct {
	received    *prometheus.CounterVec
	emitted     *prometheus.CounterVec
	dropped     *prometheus.CounterVec
	dirty       *prometheus.GaugeVec
	flush       *prometheus.HistogramVec
	checkpoint  *prometheus.HistogramVec
	lagOffsets  *prometheus.GaugeVec
	completeLag *prometheus.GaugeVec
}

func newMetrics(stage string) *metrics {
	labels, by := prometheus.Labels{"stage": stage}, []string{"partition"}
	counter := func(name, help string, by ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "bluetick", Name: name, Help: help, ConstLabels: labels}, by)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "bluetick", Name: name, Help: help, ConstLabels: labels}, by)
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "bluetick", Name: name, Help: help, ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8), // 1 ms to 16 s
		}, by)
	}
	return &metrics{
		received:    counter("events_received_total", "Records read from the input topic.", by...),
		emitted:     counter("events_emitted_total", "Rows sent and acknowledged, dead letters included.", by...),
		dropped:     counter("events_dropped_total", "Records that became a dead letter, by reason.", "partition", "reason"),
		dirty:       gauge("dirty_rows", "Rows changed and not yet emitted."),
		flush:       histogram("flush_duration_seconds", "Time from the first row sent to the last acknowledgement."),
		checkpoint:  histogram("checkpoint_duration_seconds", "Time of a checkpoint, its flush included."),
		lagOffsets:  gauge("lag_offsets", "End offset of the partition less the next offset to fold."),
		completeLag: gauge("complete_to_lag_seconds", "Now less the instant up to which everything was heard."),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.received, m.emitted, m.dropped, m.dirty, m.flush, m.checkpoint, m.lagOffsets, m.completeLag,
	}
}

// register adds the series to r (nil: nowhere); the function returned takes
// them out again, so a stage can be started anew in one process.
func (m *metrics) register(r prometheus.Registerer) (func(), error) {
	if r == nil {
		return func() {}, nil
	}
	undo := func() {
		for _, c := range m.all() {
			r.Unregister(c)
		}
	}
	var errs []error
	for _, c := range m.all() {
		errs = append(errs, r.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		undo()
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return undo, nil
}

// gauges are the series of one partition, looked up once.
type gauges struct {
	received, emitted prometheus.Counter
	dropped           func(reason string)
	dirty             prometheus.Gauge
	flush, checkpoint prometheus.Observer
	lagOffsets        prometheus.Gauge
	completeLag       prometheus.Gauge
}

func (m *metrics) of(partition int32) gauges {
	p := strconv.Itoa(int(partition))
	return gauges{
		received: m.received.WithLabelValues(p), emitted: m.emitted.WithLabelValues(p),
		dropped: func(reason string) { m.dropped.WithLabelValues(p, reason).Inc() },
		dirty:   m.dirty.WithLabelValues(p),
		flush:   m.flush.WithLabelValues(p), checkpoint: m.checkpoint.WithLabelValues(p),
		lagOffsets: m.lagOffsets.WithLabelValues(p), completeLag: m.completeLag.WithLabelValues(p),
	}
}

// since is the time from then to now in seconds.
func since(now func() time.Time, then time.Time) float64 { return now().Sub(then).Seconds() }
