package ingest

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/internal/meter"
)

// metrics of the door. Labels are closed words and configured names, never
// anything a client sent.
type metrics struct {
	requests  *prometheus.CounterVec
	events    *prometheus.CounterVec
	letters   *prometheus.CounterVec
	items     *prometheus.CounterVec
	values    *prometheus.CounterVec
	bodyBytes *prometheus.HistogramVec
	acks      *prometheus.HistogramVec
	// heartbeats are by what became of them, see beatWritten.
	heartbeats *prometheus.CounterVec
	inFlight   prometheus.Gauge
	// clockShut is set by doorClock.
	clockShut prometheus.Gauge
	// bytesInFlight is set by room.
	bytesInFlight prometheus.Gauge
}

// What becomes of a heartbeat.
const (
	beatWritten  = "written"
	beatFailed   = "failed"
	beatWithheld = "withheld"
)

// newMetrics registers the door's metrics in a scope that is closed with the Server.
func newMetrics(scope *meter.Scope) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return meter.Register(scope, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "bluetick", Subsystem: "ingest", Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return meter.Register(scope, prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "bluetick", Subsystem: "ingest", Name: name, Help: help, Buckets: buckets}, labels))
	}
	m := &metrics{
		requests: counter("requests_total", "Requests by source, status code and reason.", "source", "code", "reason"),
		events:   counter("events_total", "Events acknowledged by Kafka, by source and type.", "source", "type"),
		letters:  counter("dead_letters_total", "Dead letters acknowledged by Kafka, by source and reason.", "source", "reason"),
		items: counter("items_total",
			"Items decoded with an exception: clamped (its time was after ours), ignored (says nothing that is kept), withheld (a text held a phone number or id and was left out), misplaced (a list stood where none is known and was not read).",
			"source", "what"),
		heartbeats: counter("heartbeats_total", "Heartbeats of the door by what became of them: written, failed (Kafka did not take them), withheld (the door had refused an authentic body, or doubts its clock).", "outcome"),
		values:     counter("values_exceeded_total", "Events whose value of a dimension became (other): beyond the day's limit of different ones.", "source", "dimension"),
		bodyBytes:  histogram("body_bytes", "Size of authentic bodies.", prometheus.ExponentialBuckets(256, 4, 8), "source"),
		// Meta asks for a median of 250 ms and less than 1 % above 1 s.
		acks: histogram("ack_duration_seconds", "Time from a verified body to the acknowledgement of all its records.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "source"),
		inFlight: meter.Register(scope, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "bluetick", Subsystem: "ingest", Name: "in_flight_requests", Help: "Webhooks being worked on: read, authentic and not yet answered.",
		})),
		clockShut: meter.Register(scope, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "bluetick", Subsystem: "ingest", Name: "clock_shut", Help: "1 while the door is shut because it doubts its clock.",
		})),
		bytesInFlight: meter.Register(scope, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "bluetick", Subsystem: "ingest", Name: "in_flight_bytes", Help: "Memory that bodies hold which are being read or worked on.",
		})),
	}
	return m, scope.Err()
}

func (m *metrics) answered(source string, status int, r Reason) {
	m.requests.WithLabelValues(source, strconv.Itoa(status), r.String()).Inc()
}

// kept counts what a body became, once Kafka has it.
func (m *metrics) kept(source string, r *provider.Result) {
	for i := range r.Events {
		m.events.WithLabelValues(source, r.Events[i].Type.String()).Inc()
	}
	for i := range r.Letters {
		m.letters.WithLabelValues(source, r.Letters[i].Reason).Inc()
	}
	for what, n := range map[string]int{"clamped": r.Stats.Clamped, "ignored": r.Stats.Ignored, "withheld": r.Stats.Withheld, "misplaced": r.Stats.Misplaced} {
		if n > 0 {
			m.items.WithLabelValues(source, what).Add(float64(n))
		}
	}
}
