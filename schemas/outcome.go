package schemas

import "google.golang.org/protobuf/encoding/protowire"

// Outcome is something that can become of a message and is counted by its delay.
// It indexes Histograms and ByOutcome, so that a fold adds up outcomes without
// knowing them.
//
// A new outcome needs a name below, its row in OutcomeList, its two fields in
// bluetick.proto, and its rule in aggregate/message/derive.go. Wire form, sums
// and columns follow from the list. Outcomes are appended, never moved: their
// order is that of stored states and of columns. A new one changes the rows of
// both folds' states, so their Logic gets a new name, and tables that exist get
// its columns by a migration of its own.
type Outcome uint8

// The outcomes.
const (
	OutcomeDelivered Outcome = iota
	OutcomeOpened
	OutcomeRead
	OutcomeClicked
	OutcomeReplied
	OutcomeEngaged
	OutcomeOptedOut
	OutcomeFailed
	OutcomeWithheld
	// OutcomeCount is the number of outcomes.
	OutcomeCount int = iota
)

// OutcomeInfo is one row of the list of outcomes.
type OutcomeInfo struct {
	// Name is the column in ClickHouse and the field in bluetick.proto.
	Name string
	// About is the comment of the column, in the words of docs/metrics.md.
	About string
	// PaneField and RateField are the field numbers in Pane and Rate.
	PaneField, RateField protowire.Number
}

// OutcomeList is the one list of outcomes, indexed by Outcome.
func OutcomeList() [OutcomeCount]OutcomeInfo {
	return [...]OutcomeInfo{
		OutcomeDelivered: {"delivered", "Messages delivered, or with anything that implies it", 8, 9},
		OutcomeOpened:    {"opened", "Messages read, clicked, replied to, or left by quoting them: receipts can be switched off, a click cannot hide", 9, 10},
		OutcomeRead:      {"read", "Messages with a read receipt", 10, 11},
		OutcomeClicked:   {"clicked", "Messages with a click on a link or a tap on a button", 11, 12},
		OutcomeReplied:   {"replied", "Messages with an answer that is not an opt-out", 12, 13},
		OutcomeEngaged:   {"engaged", "Messages clicked or replied to", 13, 14},
		OutcomeOptedOut:  {"opted_out", "Messages by which a contact left: opt-outs that name them", 14, 15},
		OutcomeFailed:    {"failed", "Messages that failed and were never delivered", 15, 16},
		OutcomeWithheld:  {"withheld", "The part of failed whose reason is neither the sender's nor the network's doing: marketing cap, experiment, recipient had stopped", 16, 17},
	}
}

// String is the outcome's name in ClickHouse, logs and tests.
func (o Outcome) String() string {
	if int(o) >= OutcomeCount {
		return "invalid"
	}
	return OutcomeList()[o].Name
}

// Histograms holds a histogram for each outcome.
type Histograms [OutcomeCount]Histogram

// ByOutcome holds a count for each outcome.
type ByOutcome [OutcomeCount]int64
