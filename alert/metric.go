package alert

import "github.com/bluetick/bluetick/schemas"

// Names of the rates a rule can judge.
const (
	MetricDelivery         = "delivery_rate"
	MetricEligibleDelivery = "eligible_delivery_rate"
	MetricOpen             = "open_rate"
	MetricCTR              = "ctr"
	MetricOptOut           = "opt_out_rate"
	MetricFailure          = "failure_rate"
)

// Metrics lists the names a rule can use.
func Metrics() []string {
	return []string{MetricDelivery, MetricEligibleDelivery, MetricOpen, MetricCTR, MetricOptOut, MetricFailure}
}

// metric is a rate: how it is read from counts, in Go and in SQL, and in words.
type metric struct {
	numerator, denominator       func(t *schemas.Totals) int64
	numeratorSQL, denominatorSQL string
	// numeratorWords and denominatorWords fit "<k> of <n> <denominator> <numerator>".
	numeratorWords, denominatorWords string
}

func sent(t *schemas.Totals) int64      { return t.Sent }
func eligible(t *schemas.Totals) int64  { return t.Sent - t.Withheld }
func delivered(t *schemas.Totals) int64 { return t.Delivered }
func opened(t *schemas.Totals) int64    { return t.Opened }
func engaged(t *schemas.Totals) int64   { return t.Engaged }
func optedOut(t *schemas.Totals) int64  { return t.OptedOut }
func failed(t *schemas.Totals) int64    { return t.Failed }

func metricOf(name string) (metric, bool) {
	switch name {
	case MetricDelivery:
		return metric{delivered, sent, "sum(delivered)", "sum(sent)", "were delivered", "sent messages"}, true
	case MetricEligibleDelivery:
		return metric{delivered, eligible, "sum(delivered)", "sum(sent) - sum(withheld)", "were delivered", "eligible messages"}, true
	case MetricOpen:
		return metric{opened, delivered, "sum(opened)", "sum(delivered)", "were opened", "delivered messages"}, true
	case MetricCTR:
		return metric{engaged, delivered, "sum(engaged)", "sum(delivered)", "were clicked or answered", "delivered messages"}, true
	case MetricOptOut:
		return metric{optedOut, delivered, "sum(opted_out)", "sum(delivered)", "led to an opt-out", "delivered messages"}, true
	case MetricFailure:
		return metric{failed, sent, "sum(failed)", "sum(sent)", "failed", "sent messages"}, true
	default:
		return metric{}, false
	}
}

// counts are the trials and hits of a cohort. ok is false if the cohort says
// nothing (no trials) or cannot be (negative). At a young age an opt-out may be
// known before its message's receipt: hits never exceed the trials.
func (m metric) counts(t *schemas.Totals) (n, k int64, ok bool) {
	n, k = m.denominator(t), m.numerator(t)
	if n <= 0 || k < 0 {
		return 0, 0, false
	}
	return n, min(k, n), true
}
