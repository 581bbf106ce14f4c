package schemas

// IncidentState is where an incident stands.
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
	// Reference is the rate it is held against; ReferenceSource names the
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
	// Notified says that every receiver took it, or that it was too old to send
	// (Reason of the row tells).
	Notified bool
	// Version is offset × 2, plus one once notified.
	Version int64
	DClock  Instant
}

// DeadLetter is something that could not be counted, kept for a human with its
// reason. Item may hold personal data: it stays in Kafka and never reaches
// ClickHouse or a log.
type DeadLetter struct {
	// Stage that gave up, e.g. "ingest", "message", "alert".
	Stage string
	// Source is the configured source's name, or the topic for a stage.
	Source   string
	Provider string
	// Reason is a closed word; Detail a sentence without personal data.
	Reason string
	Detail string
	// Where stands the item: a JSON pointer into the body, or topic/partition/offset.
	Where      string
	ReceivedAt Instant
	Item       []byte
}
