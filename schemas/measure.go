package schemas

// Base is what a measure divides by.
type Base uint8

// The bases.
const (
	// BaseSent is every known message.
	BaseSent Base = iota
	// BaseEligible is BaseSent less what was withheld: a provider's cap is not an
	// outage.
	BaseEligible
	// BaseDelivered is the messages delivered.
	BaseDelivered
	// BaseOpened is the messages opened.
	BaseOpened
)

// Of is the base in t.
func (b Base) Of(t *Totals) int64 {
	switch b {
	case BaseSent:
		return t.Sent
	case BaseEligible:
		return t.Sent - t.Outcomes[OutcomeWithheld]
	case BaseDelivered:
		return t.Outcomes[OutcomeDelivered]
	case BaseOpened:
		return t.Outcomes[OutcomeOpened]
	}
	panic("BUG: unknown base of a measure")
}

// Columns are the columns the base is computed from: of minus less. less is
// empty where nothing is subtracted.
func (b Base) Columns() (of, less string) {
	switch b {
	case BaseSent:
		return ColumnSent, ""
	case BaseEligible:
		return ColumnSent, OutcomeWithheld.String()
	case BaseDelivered:
		return OutcomeDelivered.String(), ""
	case BaseOpened:
		return OutcomeOpened.String(), ""
	}
	panic("BUG: unknown base of a measure")
}

// ColumnSent is the column of Counts.Sent and Totals.Sent in ClickHouse.
const ColumnSent = "sent"

// Measure is a rate: the messages with an outcome, divided by a base.
type Measure struct {
	// Name is the column in ClickHouse, and the metric of benchmarks and rules.
	Name      string
	Numerator Outcome
	Base      Base
	// Note follows "numerator / base" in the comment of the column.
	Note string
}

// Names of the measures that code refers to; MeasureList has them all.
const (
	MeasureDelivery         = "delivery_rate"
	MeasureEligibleDelivery = "eligible_delivery_rate"
	MeasureOpen             = "open_rate"
	MeasureCTR              = "ctr"
	MeasureOptOut           = "opt_out_rate"
	MeasureFailure          = "failure_rate"
)

// MeasureList is the one list of measures, in the order of their columns.
func MeasureList() []Measure {
	return []Measure{
		{MeasureDelivery, OutcomeDelivered, BaseSent, ""},
		{MeasureEligibleDelivery, OutcomeDelivered, BaseEligible, ": a provider's cap is not an outage"},
		{MeasureOpen, OutcomeOpened, BaseDelivered, ""},
		{"read_rate", OutcomeRead, BaseDelivered, ": receipts only, as provider consoles show it"},
		{MeasureCTR, OutcomeEngaged, BaseDelivered, ": the next step, a reply or a click"},
		{"click_rate", OutcomeClicked, BaseDelivered, ""},
		{"reply_rate", OutcomeReplied, BaseDelivered, ""},
		{"ctor", OutcomeEngaged, BaseOpened, ": separates a weak message from a weak preview"},
		{MeasureOptOut, OutcomeOptedOut, BaseDelivered, ""},
		{MeasureFailure, OutcomeFailed, BaseSent, ""},
	}
}
