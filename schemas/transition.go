package schemas

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// IncidentState is the state that an incident is in.
type IncidentState string

// States that transitions report.
const (
	StateFiring   IncidentState = "firing"
	StateResolved IncidentState = "resolved"
)

// Severity is how urgent an incident is.
type Severity string

// Severities, least first.
const (
	SeverityInfo Severity = "info"
	SeverityWarn Severity = "warn"
	SeverityPage Severity = "page"
)

// Transition is the newest state of one incident: an absolute, versioned row.
type Transition struct {
	Epoch uint32
	// Rule and Series name the incident together with OpenedAt.
	Rule   string
	Series Series
	// OpenedAt is the `at`, in seconds, of the observation that opened it, so
	// that a repeated run names the same incident.
	OpenedAt int64
	// At is the `at`, in seconds, of the observation that caused this row.
	At       int64
	State    IncidentState
	Severity Severity
	// Reason is the closed word that explains the decision.
	Reason string
	// Metric is the rate judged, e.g. "opt_out_rate"; N its denominator and K
	// its numerator over the cohorts since the evidence began (Since), so that
	// months of quiet before do not dilute what the row says.
	Metric string
	N      int64
	K      int64
	// Age is the age, in seconds, at which the cohorts were judged.
	Age uint32
	// Reference is the rate it is compared with; ReferenceSource names the
	// benchmark row or history it came from.
	Reference       float64
	ReferenceSource string
	// Statistic is log of the test statistic, Threshold the log of A.
	Statistic float64
	Threshold float64
	// Since is the send minute, in seconds, of the first cohort in N and K: where
	// the evidence began.
	Since int64
	// SQL reproduces the numbers.
	SQL string
	// Notified is set when every receiver took it, or when it was too old to send
	// (Reason tells which).
	Notified bool
	// Version is offset × 2, plus one once notified.
	Version int64
	DClock  Instant
}

// EncodeTransition returns the wire form of t.
func EncodeTransition(t *Transition) []byte {
	return marshal(&pb.Transition{
		Epoch: t.Epoch, Rule: text(t.Rule), Series: seriesOut(&t.Series), OpenedAt: t.OpenedAt, At: t.At,
		State: text(string(t.State)), Severity: text(string(t.Severity)), Reason: text(t.Reason), Metric: text(t.Metric),
		N: t.N, K: t.K, Age: t.Age, Reference: t.Reference, ReferenceSource: text(t.ReferenceSource),
		Statistic: t.Statistic, Threshold: t.Threshold, Since: t.Since, Sql: text(t.SQL), Notified: t.Notified,
		Version: t.Version, DClock: int64(t.DClock),
	})
}

// DecodeTransition reads the wire form.
func DecodeTransition(b []byte) (Transition, error) {
	var m pb.Transition
	if err := proto.Unmarshal(b, &m); err != nil {
		return Transition{}, fmt.Errorf("decode transition: %w", err)
	}
	s, err := seriesIn(m.Series)
	if err != nil {
		return Transition{}, fmt.Errorf("decode transition: %w", err)
	}
	if m.Rule == "" || m.State == "" || m.Version < 0 {
		return Transition{}, fmt.Errorf("decode transition: rule %q, state %q, version %d", m.Rule, m.State, m.Version)
	}
	return Transition{
		Epoch: m.Epoch, Rule: m.Rule, Series: s, OpenedAt: m.OpenedAt, At: m.At,
		State: IncidentState(m.State), Severity: Severity(m.Severity), Reason: m.Reason, Metric: m.Metric,
		N: m.N, K: m.K, Age: m.Age, Reference: m.Reference, ReferenceSource: m.ReferenceSource,
		Statistic: m.Statistic, Threshold: m.Threshold, Since: m.Since, SQL: m.Sql, Notified: m.Notified,
		Version: m.Version, DClock: Instant(m.DClock),
	}, nil
}
