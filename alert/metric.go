package alert

import (
	"slices"

	"github.com/bluetick/bluetick/schemas"
)

// Names of the rates a rule can judge.
const (
	MetricDelivery         = schemas.MeasureDelivery
	MetricEligibleDelivery = schemas.MeasureEligibleDelivery
	MetricOpen             = schemas.MeasureOpen
	MetricCTR              = schemas.MeasureCTR
	MetricOptOut           = schemas.MeasureOptOut
	MetricFailure          = schemas.MeasureFailure
)

// Metrics lists the names a rule can use.
func Metrics() []string {
	return []string{MetricDelivery, MetricEligibleDelivery, MetricOpen, MetricCTR, MetricOptOut, MetricFailure}
}

// metric is a measure with the words for it.
type metric struct {
	schemas.Measure
	// numeratorWords and denominatorWords fit "<k> of <n> <denominator> <numerator>".
	numeratorWords, denominatorWords string
}

// numeratorSQL and denominatorSQL read the metric from rows of rates.
func (m metric) numeratorSQL() string { return "sum(" + m.Numerator.String() + ")" }

func (m metric) denominatorSQL() string {
	of, less := m.Base.Columns()
	if less == "" {
		return "sum(" + of + ")"
	}
	return "sum(" + of + ") - sum(" + less + ")"
}

// metricOf is the metric of that name, if a rule can judge it: a metric without
// words could not be told to people.
func metricOf(name string) (metric, bool) {
	numerator := map[string]string{
		MetricDelivery: "were delivered", MetricEligibleDelivery: "were delivered", MetricOpen: "were opened",
		MetricCTR: "were clicked or answered", MetricOptOut: "led to an opt-out", MetricFailure: "failed",
	}[name]
	i := slices.IndexFunc(schemas.MeasureList(), func(m schemas.Measure) bool { return m.Name == name })
	if numerator == "" || i < 0 {
		return metric{}, false
	}
	m := schemas.MeasureList()[i]
	return metric{m, numerator, baseWords(m.Base)}, true
}

func baseWords(b schemas.Base) string {
	switch b {
	case schemas.BaseSent:
		return "sent messages"
	case schemas.BaseEligible:
		return "eligible messages"
	case schemas.BaseDelivered:
		return "delivered messages"
	case schemas.BaseOpened:
		return "opened messages"
	}
	return "messages"
}

// counts are the trials and hits of a cohort. ok is false if the cohort tells
// nothing (no trials) or is impossible (negative). At a young age an opt-out may
// be known before the delivery of its message, so hits are cut to the trials.
func (m metric) counts(t *schemas.Totals) (n, k int64, ok bool) {
	n, k = m.Base.Of(t), t.Outcomes[m.Numerator]
	if n <= 0 || k < 0 {
		return 0, 0, false
	}
	return n, min(k, n), true
}
