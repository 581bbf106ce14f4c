package sink

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/internal/meter"
)

// metrics of all topics. Labels are bounded: topics, tables, partitions and
// closed words.
type metrics struct {
	received  *prometheus.CounterVec   // topic
	dropped   *prometheus.CounterVec   // topic, reason
	ignored   *prometheus.CounterVec   // topic
	inserted  *prometheus.CounterVec   // table
	errors    *prometheus.CounterVec   // topic, class
	inARow    *prometheus.GaugeVec     // topic, call
	lag       *prometheus.GaugeVec     // topic, partition
	rows      *prometheus.HistogramVec // topic
	bytes     *prometheus.HistogramVec // topic
	age       *prometheus.HistogramVec // topic
	duration  *prometheus.HistogramVec // table
	freshness prometheus.Histogram
}

// newMetrics registers the sink's metrics in a scope that is closed with the
// sink.
func newMetrics(s *meter.Scope) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return meter.Register(s, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "bluetick", Subsystem: "sink", Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return meter.Register(s, prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "bluetick", Subsystem: "sink", Name: name, Help: help, Buckets: buckets}, labels))
	}
	seconds := prometheus.ExponentialBuckets(0.002, 2, 15) // 2 ms to 33 s
	m := &metrics{
		received: counter("records_received_total", "Records read from Kafka.", "topic"),
		dropped:  counter("records_dropped_total", "Records that became a row in dead_letters instead of their own.", "topic", "reason"),
		ignored:  counter("records_other_epoch_total", "Records of an epoch that no stage counts in yet, which are left alone.", "topic"),
		inserted: counter("rows_inserted_total", "Rows acknowledged by ClickHouse, repeats included.", "table"),
		errors:   counter("errors_total", "Failed calls by what the failure means.", "topic", "class"),
		inARow: meter.Register(s, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "bluetick", Subsystem: "sink", Name: "failures_in_a_row", Help: "Failures since the last success of what is tried again.",
		}, []string{"topic", "call"})),
		lag: meter.Register(s, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "bluetick", Subsystem: "sink", Name: "lag_offsets", Help: "End of the log minus the next offset to insert. Below 0 the log has lost records.",
		}, []string{"topic", "partition"})),
		rows:     histogram("batch_rows", "Records per batch.", prometheus.ExponentialBuckets(1, 4, 9), "topic"),
		bytes:    histogram("batch_bytes", "Bytes of record values per batch.", prometheus.ExponentialBuckets(256, 4, 10), "topic"),
		age:      histogram("batch_age_seconds", "From the first record of a batch to its acknowledgement.", seconds, "topic"),
		duration: histogram("insert_duration_seconds", "Duration of an acknowledged insert.", seconds, "table"),
		freshness: meter.Register(s, prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "bluetick", Subsystem: "sink", Name: "freshness_seconds", Help: "From the receipt of an event by ingest to its acknowledgement by ClickHouse.",
			Buckets: []float64{0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 30, 60, 300, 3600},
		})),
	}
	return m, s.Err()
}
