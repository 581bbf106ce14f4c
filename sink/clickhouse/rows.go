package clickhouse

import (
	"strings"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// Rows are rows of one table.
type Rows interface {
	// Table is the table's name; Len the number of rows.
	Table() string
	Len() int
	columns() []column
}

// column is the values of one column, a slice of a type the driver takes.
type column struct {
	name   string
	values any
}

func names(columns []column) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.name)
	}
	return b.String()
}

// col makes a column of what f takes from each row.
func col[R, V any](name string, rows []R, f func(*R) V) column {
	values := make([]V, len(rows))
	for i := range rows {
		values[i] = f(&rows[i])
	}
	return column{name, values}
}

// Event is an event and its place in the log.
type Event struct {
	schemas.Event
	Partition int32
	Offset    int64
}

// Events are rows of the table events.
type Events []Event

// Table implements Rows.
func (Events) Table() string { return "events" }

// Len implements Rows.
func (r Events) Len() int { return len(r) }

// content is zero if the id is the digest of the event's content, else that
// digest. It is part of the table's key: a merge keeps one of equal copies and
// every copy that differs.
func (e *Event) content() []byte {
	digest := schemas.EventID(&e.Event)
	if digest == e.ID {
		digest = schemas.Key{}
	}
	return digest[:]
}

// version decides which of equal copies survives: one of the highest decoder
// revision, and among those the first.
func (e *Event) version() uint64 {
	const offsets = 1<<56 - 1
	return uint64(e.SourceRevision)<<56 | (offsets - uint64(e.Offset)&offsets)
}

func (r Events) columns() []column {
	return append([]column{
		col("event_id", r, func(e *Event) []byte { return e.ID[:] }),
		col("type", r, func(e *Event) string { return e.Type.String() }),
		col("channel", r, func(e *Event) string { return string(e.Channel) }),
		col("account", r, func(e *Event) string { return e.Account }),
		col("sender", r, func(e *Event) string { return e.Sender }),
		col("message_key", r, func(e *Event) []byte { return e.MessageKey[:] }),
		col("inbound_key", r, func(e *Event) []byte { return e.InboundKey[:] }),
		col("contact_keys", r, func(e *Event) [][]byte { return slicesOf(e.ContactKeys) }),
		col("occurred_at", r, func(e *Event) int64 { return int64(e.OccurredAt) }),
		col("clamped", r, func(e *Event) bool { return e.Clamped }),
		col("received_at", r, func(e *Event) int64 { return int64(e.ReceivedAt) }),
		col("campaign", r, func(e *Event) string { return e.Dimensions.Campaign }),
		col("template", r, func(e *Event) string { return e.Dimensions.Template }),
		col("variant", r, func(e *Event) string { return e.Dimensions.Variant }),
		col("segment", r, func(e *Event) string { return e.Dimensions.Segment }),
		col("language", r, func(e *Event) string { return e.Dimensions.Language }),
		col("dimension_source", r, func(e *Event) int8 { return int8(e.DimensionSource) }),
		col("country", r, func(e *Event) string { return e.Country }),
		col("extra", r, func(e *Event) map[string]string { return e.Extra }),
		col("raw_name", r, func(e *Event) string { return e.RawName }),
		col("road", r, func(e *Event) string { return e.Road }),
		col("may_be_opt_out", r, func(e *Event) bool { return e.MayBeOptOut }),
		col("source_revision", r, func(e *Event) uint8 { return e.SourceRevision }),
		col("source_partition", r, func(e *Event) int32 { return e.Partition }),
		col("source_offset", r, func(e *Event) uint64 { return uint64(e.Offset) }),
		col("content", r, (*Event).content),
		col("version", r, (*Event).version),
	}, r.parts()...)
}

// parts are the columns of the optional parts of an event.
func (r Events) parts() []column {
	failure := func(e *Event) schemas.Failure { return orZero(e.Failure) }
	cost := func(e *Event) schemas.Cost { return orZero(e.Cost) }
	click := func(e *Event) schemas.Click { return orZero(e.Click) }
	return []column{
		col("failure_code", r, func(e *Event) int32 { return failure(e).Code }),
		col("failure_category", r, func(e *Event) string { return failure(e).Category }),
		col("failure_title", r, func(e *Event) string { return failure(e).Title }),
		col("has_cost", r, func(e *Event) bool { return e.Cost != nil }),
		col("cost_category", r, func(e *Event) string { return cost(e).Category }),
		col("cost_billable", r, func(e *Event) bool { return cost(e).Billable }),
		col("cost_micros", r, func(e *Event) *int64 {
			if e.Cost == nil || !e.Cost.HasAmount {
				return nil
			}
			return &e.Cost.Micros
		}),
		col("cost_currency", r, func(e *Event) string { return cost(e).Currency }),
		col("click_kind", r, func(e *Event) string { return click(e).Kind }),
		col("click_id", r, func(e *Event) string { return click(e).ID }),
	}
}

func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func slicesOf(keys []schemas.Key) [][]byte {
	out := make([][]byte, len(keys))
	for i := range keys {
		out[i] = keys[i][:]
	}
	return out
}

// OptOut is what an opt-out or opt-in says about one contact.
type OptOut struct {
	Account string
	Channel schemas.Channel
	Contact schemas.Key
	EventID schemas.Key
	Out     bool
	Since   schemas.Instant
	// Clamped: Since is when we heard, the persons own clock was ahead of ours.
	Clamped    bool
	Road       string
	MessageKey schemas.Key
}

// OptOuts are rows of the table opt_out_events.
type OptOuts []OptOut

// OptOutsOf returns the rows of an event: one per contact it names if it is an
// opt-out or opt-in, else none.
func OptOutsOf(e *schemas.Event) OptOuts {
	if e.Type != schemas.TypeOptedOut && e.Type != schemas.TypeOptedIn {
		return nil
	}
	out := make(OptOuts, len(e.ContactKeys))
	for i, k := range e.ContactKeys {
		out[i] = OptOut{e.Account, e.Channel, k, e.ID, e.Type == schemas.TypeOptedOut, e.OccurredAt, e.Clamped, e.Road, e.MessageKey}
	}
	return out
}

// Table implements Rows.
func (OptOuts) Table() string { return "opt_out_events" }

// Len implements Rows.
func (r OptOuts) Len() int { return len(r) }

func (r OptOuts) columns() []column {
	return []column{
		col("account", r, func(o *OptOut) string { return o.Account }),
		col("channel", r, func(o *OptOut) string { return string(o.Channel) }),
		col("contact_key", r, func(o *OptOut) []byte { return o.Contact[:] }),
		col("event_id", r, func(o *OptOut) []byte { return o.EventID[:] }),
		col("is_out", r, func(o *OptOut) bool { return o.Out }),
		col("since", r, func(o *OptOut) int64 { return int64(o.Since) }),
		col("unclamped", r, func(o *OptOut) time.Time {
			if o.Clamped {
				return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
			}
			return o.Since.Time()
		}),
		col("road", r, func(o *OptOut) string { return o.Road }),
		col("message_key", r, func(o *OptOut) []byte { return o.MessageKey[:] }),
	}
}
