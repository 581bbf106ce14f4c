package alert

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of a notification, beside the receiver package's reasons.
const outcomeTaken = "taken"

// meters are shared by the folds of all partitions.
type meters struct {
	transitions   *prometheus.CounterVec
	notifications *prometheus.CounterVec
	firing        *prometheus.GaugeVec
	refusedSeries prometheus.Counter
}

func newMeters(reg prometheus.Registerer) (*meters, error) {
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
			Help: "Incidents that fire now, by rule and partition of rates.",
		}, []string{"rule", "partition"}),
		refusedSeries: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "bluetick", Subsystem: "alert", Name: "series_refused_total",
			Help: "Cohorts not judged because the partition watches its limit of series.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(
		register(reg, &m.transitions), register(reg, &m.notifications),
		register(reg, &m.firing), register(reg, &m.refusedSeries),
	)
}

// register keeps what is registered already: a second fold factory in one
// process counts into the same series.
func register[C prometheus.Collector](reg prometheus.Registerer, c *C) error {
	err := reg.Register(*c)
	if have := (prometheus.AlreadyRegisteredError{}); errors.As(err, &have) {
		old, ok := have.ExistingCollector.(C)
		if !ok {
			return fmt.Errorf("register alert metrics: %w", err)
		}
		*c = old
		return nil
	}
	if err != nil {
		return fmt.Errorf("register alert metrics: %w", err)
	}
	return nil
}

func (m *meters) setFiring(rule string, partition int32, n int) {
	m.firing.WithLabelValues(rule, strconv.Itoa(int(partition))).Set(float64(n))
}
