package alert

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/internal/meter"
)

// Outcomes of a notification, beside the receiver package's reasons.
const outcomeTaken = "taken"

// meters are what one fold counts. All but firing are shared by the folds of all
// partitions, and stay until the last of them has closed.
type meters struct {
	transitions   *prometheus.CounterVec
	notifications *prometheus.CounterVec
	firing        *prometheus.GaugeVec
	watched       prometheus.Gauge
	putAside      prometheus.Counter
	refusedSeries prometheus.Counter
}

func newMeters(scope *meter.Scope, partition int32) (*meters, error) {
	m := &meters{
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "bluetick", Subsystem: "alert", Name: "transitions_total",
			Help: "Transitions of incidents decided, by rule, resulting state and reason.",
		}, []string{"rule", "state", "reason"}),
		notifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "bluetick", Subsystem: "alert", Name: "notifications_total",
			Help: "Notifications by receiver and outcome; all but taken are dead letters.",
		}, []string{"receiver", "outcome"}),
		firing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "bluetick", Subsystem: "alert", Name: "incidents_firing",
			Help:        "Incidents that fire now, by rule and partition of rates.",
			ConstLabels: prometheus.Labels{"partition": strconv.Itoa(int(partition))},
		}, []string{"rule"}),
		refusedSeries: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "bluetick", Subsystem: "alert", Name: "series_refused_total",
			Help: "Cohorts not judged because all places for series are taken and their account has its share.",
		}),
		watched: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "bluetick", Subsystem: "alert", Name: "series_watched",
			Help:        "Series watched, but for those of whole accounts, by partition of rates; alerts.max_series bounds them.",
			ConstLabels: prometheus.Labels{"partition": strconv.Itoa(int(partition))},
		}),
		putAside: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "bluetick", Subsystem: "alert", Name: "series_put_aside_total",
			Help: "Series whose watch ended to make room for others; the next cohort begins it anew.",
		}),
	}
	m.transitions = meter.Register(scope, m.transitions)
	m.notifications = meter.Register(scope, m.notifications)
	m.firing = meter.Register(scope, m.firing)
	m.refusedSeries = meter.Register(scope, m.refusedSeries)
	m.watched = meter.Register(scope, m.watched)
	m.putAside = meter.Register(scope, m.putAside)
	return m, scope.Err()
}

func (m *meters) setFiring(rule string, n int) {
	m.firing.WithLabelValues(rule).Set(float64(n))
}
