package clickhouse

import (
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// Panes are rows of the table panes.
type Panes []schemas.Pane

// Table implements Rows.
func (Panes) Table() string { return "panes" }

// Len implements Rows.
func (r Panes) Len() int { return len(r) }

func (r Panes) columns() []column {
	type pane = schemas.Pane
	cols := []column{
		col("epoch", r, func(p *pane) uint32 { return p.Epoch }),
		col("source", r, func(p *pane) int32 { return p.Source }),
		col("minute", r, func(p *pane) int64 { return p.Minute }),
		col("account", r, func(p *pane) string { return p.Tuple.Account }),
		col("channel", r, func(p *pane) string { return string(p.Tuple.Channel) }),
		col("sender", r, func(p *pane) string { return p.Tuple.Sender }),
		col("country", r, func(p *pane) string { return p.Tuple.Country }),
		col("campaign", r, func(p *pane) string { return p.Tuple.Campaign }),
		col("template", r, func(p *pane) string { return p.Tuple.Template }),
		col("variant", r, func(p *pane) string { return p.Tuple.Variant }),
		col("segment", r, func(p *pane) string { return p.Tuple.Segment }),
		col("sent", r, func(p *pane) int64 { return p.Counts.Sent }),
	}
	list := schemas.OutcomeList()
	cols = append(cols, outcomeColumns(list[:], r, func(p *pane, o int) []int64 { return p.Counts.Outcomes[o][:] })...)
	return append(cols,
		col("recovered", r, func(p *pane) int64 { return p.Counts.Recovered }),
		col("late", r, func(p *pane) int64 { return p.Counts.Late }),
		col("failures", r, func(p *pane) map[string]int64 { return p.Counts.Failures }),
		col("cost_micros", r, func(p *pane) map[string]int64 { return p.Counts.CostMicros }),
		col("billable", r, func(p *pane) map[string]int64 { return p.Counts.Billable }),
		col("version", r, func(p *pane) uint64 { return uint64(p.Version) }),
	)
}

// Reports are rows of the table reports.
type Reports []schemas.Reports

// Table implements Rows.
func (Reports) Table() string { return "reports" }

// Len implements Rows.
func (r Reports) Len() int { return len(r) }

func (r Reports) columns() []column {
	type row = schemas.Reports
	return []column{
		col("epoch", r, func(x *row) uint32 { return x.Epoch }),
		col("source", r, func(x *row) int32 { return x.Source }),
		col("account", r, func(x *row) string { return x.Account }),
		col("newest", r, func(x *row) int64 { return int64(x.Newest) }),
		col("lags", r, func(x *row) []uint32 { return x.Lags[:] }),
		col("version", r, func(x *row) uint64 { return uint64(x.Version) }),
	}
}

// Rates are rows of the table rates, which computes the rates themselves.
type Rates []schemas.Rate

// Table implements Rows.
func (Rates) Table() string { return "rates" }

// Len implements Rows.
func (r Rates) Len() int { return len(r) }

func (r Rates) columns() []column {
	type rate = schemas.Rate
	cols := append(series(r, func(x *rate) *schemas.Series { return &x.Series }),
		col("epoch", r, func(x *rate) uint32 { return x.Epoch }),
		col("window", r, func(x *rate) uint32 { return x.Window }),
		col("age", r, func(x *rate) uint32 { return x.Age }),
		col("at", r, func(x *rate) int64 { return x.At }),
		col("heard", r, func(x *rate) bool { return !x.Unheard }),
		col("sent", r, func(x *rate) int64 { return x.Totals.Sent }),
	)
	list := schemas.OutcomeList()
	cols = append(cols, outcomeColumns(list[:], r, func(x *rate, o int) int64 { return x.Totals.Outcomes[o] })...)
	return append(cols, col("version", r, func(x *rate) uint64 { return uint64(x.Version) }))
}

// outcomeColumns are the columns of list, in its order.
func outcomeColumns[R, V any](list []schemas.OutcomeInfo, rows []R, of func(row *R, outcome int) V) []column {
	var cols []column
	for o := range list {
		cols = append(cols, col(list[o].Name, rows, func(r *R) V { return of(r, o) }))
	}
	return cols
}

// series are the columns that name a series.
func series[R any](rows []R, of func(*R) *schemas.Series) []column {
	keys := make([]schemas.Key, len(rows))
	keyBytes := make([][]byte, len(rows))
	for i := range rows {
		keys[i] = of(&rows[i]).Key()
		keyBytes[i] = keys[i][:]
	}
	return []column{
		col("account", rows, func(r *R) string { return of(r).Account }),
		col("grouping", rows, func(r *R) string { return string(of(r).Grouping) }),
		col("channel", rows, func(r *R) string { return string(of(r).Channel) }),
		col("sender", rows, func(r *R) string { return of(r).Sender }),
		col("campaign", rows, func(r *R) string { return of(r).Campaign }),
		col("variant", rows, func(r *R) string { return of(r).Variant }),
		{"series", keyBytes},
	}
}

// Alerts are rows of the table alerts.
type Alerts []schemas.Transition

// Table implements Rows.
func (Alerts) Table() string { return "alerts" }

// Len implements Rows.
func (r Alerts) Len() int { return len(r) }

func (r Alerts) columns() []column {
	type row = schemas.Transition
	return append(series(r, func(t *row) *schemas.Series { return &t.Series }),
		col("epoch", r, func(t *row) uint32 { return t.Epoch }),
		col("rule", r, func(t *row) string { return t.Rule }),
		col("opened_at", r, func(t *row) int64 { return t.OpenedAt }),
		col("at", r, func(t *row) int64 { return t.At }),
		col("state", r, func(t *row) string { return string(t.State) }),
		col("severity", r, func(t *row) string { return string(t.Severity) }),
		col("reason", r, func(t *row) string { return t.Reason }),
		col("metric", r, func(t *row) string { return t.Metric }),
		col("numerator", r, func(t *row) int64 { return t.K }),
		col("denominator", r, func(t *row) int64 { return t.N }),
		col("age", r, func(t *row) uint32 { return t.Age }),
		col("reference", r, func(t *row) float64 { return t.Reference }),
		col("reference_source", r, func(t *row) string { return t.ReferenceSource }),
		col("statistic", r, func(t *row) float64 { return t.Statistic }),
		col("threshold", r, func(t *row) float64 { return t.Threshold }),
		col("since", r, func(t *row) int64 { return t.Since }),
		col("sql", r, func(t *row) string { return t.SQL }),
		col("notified", r, func(t *row) bool { return t.Notified }),
		col("version", r, func(t *row) uint64 { return uint64(t.Version) }),
	)
}

// DeadLetter is what is kept of a dead letter: where it is, not what is in it.
type DeadLetter struct {
	// Letter without its Item.
	Letter schemas.DeadLetter
	// Topic, Partition and Offset are where the item can be found.
	Topic     string
	Partition int32
	Offset    int64
	// Size of the item in bytes.
	Size int
}

// DeadLetters are rows of the table dead_letters.
type DeadLetters []DeadLetter

// Table implements Rows.
func (DeadLetters) Table() string { return "dead_letters" }

// Len implements Rows.
func (r DeadLetters) Len() int { return len(r) }

func (r DeadLetters) columns() []column {
	type row = DeadLetter
	return []column{
		col("source", r, func(d *row) string { return d.Letter.Source }),
		col("account", r, func(d *row) string { return d.Letter.Account }),
		col("topic", r, func(d *row) string { return d.Topic }),
		col("partition", r, func(d *row) int32 { return d.Partition }),
		col("offset", r, func(d *row) uint64 { return uint64(d.Offset) }),
		col("stage", r, func(d *row) string { return d.Letter.Stage }),
		col("provider", r, func(d *row) string { return d.Letter.Provider }),
		col("reason", r, func(d *row) string { return d.Letter.Reason }),
		col("detail", r, func(d *row) string { return d.Letter.Detail }),
		col("place", r, func(d *row) string { return d.Letter.Where }),
		col("received_at", r, func(d *row) int64 { return int64(d.Letter.ReceivedAt) }),
		col("size", r, func(d *row) uint64 { return uint64(d.Size) }),
		col("digest", r, func(d *row) []byte { return d.Letter.Digest[:] }),
	}
}

// Progress is how far a stage, or the sink itself, has come.
type Progress struct {
	schemas.Progress
	// Output is the partition in which the stage reported it; 0 for the sink.
	Output int32
	// TopicID is the input topic's identity; empty except for the sink.
	TopicID string
}

// Progresses are rows of the table progress.
type Progresses []Progress

// Table implements Rows.
func (Progresses) Table() string { return "progress" }

// Len implements Rows.
func (r Progresses) Len() int { return len(r) }

func (r Progresses) columns() []column {
	type row = Progress
	return []column{
		col("epoch", r, func(p *row) uint32 { return p.Epoch }),
		col("stage", r, func(p *row) string { return p.Stage }),
		col("source", r, func(p *row) int32 { return p.Source }),
		col("output", r, func(p *row) int32 { return p.Output }),
		col("sources", r, func(p *row) int32 { return p.Sources }),
		col("version", r, func(p *row) uint64 { return uint64(p.NextOffset) }),
		col("complete_to", r, func(p *row) int64 { return int64(p.CompleteTo) }),
		col("topic_id", r, func(p *row) string { return p.TopicID }),
		col("shut_from", r, func(p *row) []time.Time {
			return each(p.Shut, func(s schemas.Shutting) time.Time { return s.From.Time() })
		}),
		col("shut_to", r, func(p *row) []time.Time {
			return each(p.Shut, func(s schemas.Shutting) time.Time { return s.To.Time() })
		}),
	}
}

func each[T, U any](in []T, of func(T) U) []U {
	out := make([]U, len(in))
	for i := range in {
		out[i] = of(in[i])
	}
	return out
}
