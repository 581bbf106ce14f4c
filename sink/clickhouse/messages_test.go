package clickhouse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
)

// sentAt is when the messages of these tests are sent.
func sentAt() time.Time { return time.Date(2026, 3, 1, 10, 0, 30, 0, time.UTC) }

// told builds an event of type t that occurred a while after sentAt.
func told(t schemas.EventType, after time.Duration, change ...func(*schemas.Event)) schemas.Event {
	e := schemas.Event{
		Type: t, Channel: schemas.ChannelWhatsApp, Account: "acme", OccurredAt: schemas.InstantOf(sentAt().Add(after)),
	}
	e.ReceivedAt = e.OccurredAt + 1200
	for _, c := range change {
		c(&e)
	}
	return e
}

func campaign(name string, source schemas.DimensionSource) func(*schemas.Event) {
	return func(e *schemas.Event) { e.Dimensions.Campaign, e.DimensionSource = name, source }
}

func failing(code int32, category string) func(*schemas.Event) {
	return func(e *schemas.Event) { e.Failure = &schemas.Failure{Code: code, Category: category} }
}

func costing(c schemas.Cost) func(*schemas.Event) { return func(e *schemas.Event) { e.Cost = &c } }

func revision(r uint8) func(*schemas.Event) { return func(e *schemas.Event) { e.SourceRevision = r } }

func insert(t testing.TB, conn driver.Conn, rows ...Rows) {
	t.Helper()
	for _, r := range rows {
		if err := NewClient(conn).Insert(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// numbered gives the events of one message their ids, key and offsets.
func numbered(message string, events []schemas.Event) Events {
	out := make(Events, len(events))
	for i, e := range events {
		if message != "" {
			e.MessageKey = schemas.MessageKey(e.Channel, e.Account, message)
		}
		e.ID = schemas.EventID(&e)
		out[i] = Event{Event: e, Offset: int64(i)}
	}
	return out
}

// show queries columns of a view as text, a line per row; NULL is "-".
func show(t testing.TB, conn driver.Conn, columns, from string) string {
	t.Helper()
	var parts []string
	for _, c := range strings.Fields(columns) {
		parts = append(parts, fmt.Sprintf("ifNull(toString(%s), '-')", c))
	}
	return strings.Join(chtest.Column[string](t, conn, "SELECT concatWithSeparator(' ', "+strings.Join(parts, ", ")+") AS line FROM "+from), "\n")
}

const (
	day     = 24 * time.Hour
	horizon = schemas.HorizonDays * day
)

// TestMessages computes single messages whose answer is known.
func TestMessages(t *testing.T) {
	conn := migrated(t, chtest.Open(t))
	const (
		outcomes = "sent delivered opened read clicked replied engaged opted_out failed withheld pending recovered late"
		delays   = "delivered_delay opened_delay read_delay engaged_delay opted_out_delay failed_delay recovered_delay"
	)
	sent, delivered, read, failed := schemas.TypeSent, schemas.TypeDelivered, schemas.TypeRead, schemas.TypeFailed
	for name, c := range map[string]struct {
		events  []schemas.Event
		columns string
		want    string // "" if there is no row
	}{
		"only sent":              {[]schemas.Event{told(sent, 0)}, outcomes, "1 0 0 0 0 0 0 0 0 0 1 0 0"},
		"delivered":              {[]schemas.Event{told(sent, 0), told(delivered, 5*time.Second)}, outcomes, "1 1 0 0 0 0 0 0 0 0 0 0 0"},
		"read implies delivered": {[]schemas.Event{told(sent, 0), told(read, 7*time.Second)}, outcomes + " " + delays, "1 1 1 1 0 0 0 0 0 0 0 0 0 7 7 7 - - - -"},
		"a click opens":          {[]schemas.Event{told(sent, 0), told(schemas.TypeClicked, 9*time.Second)}, outcomes, "1 1 1 0 1 0 1 0 0 0 0 0 0"},
		"a reply engages":        {[]schemas.Event{told(sent, 0), told(schemas.TypeReplied, 9*time.Second)}, outcomes, "1 1 1 0 0 1 1 0 0 0 0 0 0"},
		"leaving is not engagement": {
			[]schemas.Event{told(sent, 0), told(schemas.TypeOptedOut, 9*time.Second)},
			outcomes + " " + delays, "1 1 1 0 0 0 0 1 0 0 0 0 0 9 9 - - 9 - -",
		},
		"the least time of a fact": {
			[]schemas.Event{told(read, 90*time.Second), told(sent, 0), told(read, 30*time.Second), told(sent, 3*time.Second)},
			"read_delay sent_at", "30 2026-03-01 10:00:30",
		},
		"an outcome before the send time has no delay": {[]schemas.Event{told(sent, 0), told(delivered, -4*time.Second)}, "delivered_delay", "0"},
		"whole seconds, rounded down": {
			[]schemas.Event{told(sent, 999*time.Millisecond), told(delivered, 60*time.Second+900*time.Millisecond)}, "delivered_delay minute", "60 2026-03-01 10:00:00",
		},
		"a repeat counts once": {[]schemas.Event{told(sent, 0), told(sent, 0), told(read, time.Second), told(read, time.Second)}, "read events", "1 2"},

		"orphan: only a read":                     {[]schemas.Event{told(read, 0)}, outcomes, ""},
		"orphan: only registered":                 {[]schemas.Event{told(schemas.TypeDispatched, 0), told(schemas.TypeOther, time.Second)}, outcomes, ""},
		"registered and read":                     {[]schemas.Event{told(schemas.TypeDispatched, 0), told(read, time.Minute)}, "sent_at read_delay", "2026-03-01 10:00:30 60"},
		"sent beats registered as send time":      {[]schemas.Event{told(schemas.TypeDispatched, 0), told(sent, time.Minute)}, "sent_at", "2026-03-01 10:01:30"},
		"without either, the first of the others": {[]schemas.Event{told(delivered, time.Minute), told(failed, 2*time.Minute)}, "sent_at", "2026-03-01 10:01:30"},
		"a read does not make a message known, so its time is not a send time": {[]schemas.Event{told(delivered, time.Minute), told(read, 0)}, "sent_at read_delay delivered_delay", "2026-03-01 10:01:30 0 0"},

		"failed":                    {[]schemas.Event{told(sent, 0), told(failed, time.Second, failing(100, schemas.FailTemplate))}, outcomes + " failure_category", "1 0 0 0 0 0 0 0 1 0 0 0 0 template"},
		"failed without a reason":   {[]schemas.Event{told(failed, 0)}, "failed failure_category failure_code", "1 other 0"},
		"withheld":                  {[]schemas.Event{told(failed, 0, failing(131049, schemas.FailCapped))}, "failed withheld", "1 1"},
		"the earliest failure":      {[]schemas.Event{told(failed, 9*time.Second, failing(1, "a")), told(failed, time.Second, failing(2, "b"))}, "failure_category failure_code", "b 2"},
		"of one second, least code": {[]schemas.Event{told(failed, 300*time.Millisecond, failing(2, "b")), told(failed, 700*time.Millisecond, failing(1, "c"))}, "failure_code", "1"},
		"recovered": {
			[]schemas.Event{told(sent, 0), told(failed, time.Second, failing(131049, schemas.FailCapped)), told(delivered, time.Hour)},
			outcomes + " " + delays, "1 1 0 0 0 0 0 0 0 0 0 1 0 3600 - - - - 1 3600",
		},
		"delivered, then failed": {[]schemas.Event{told(sent, 0), told(delivered, time.Second), told(failed, time.Hour)}, "delivered failed recovered recovered_delay", "1 0 1 3600"},

		"at the horizon":        {[]schemas.Event{told(sent, 0), told(read, horizon)}, "read late read_delay", "1 0 2592000"},
		"beyond the horizon":    {[]schemas.Event{told(sent, 0), told(read, horizon+time.Second), told(delivered, horizon+time.Second)}, "delivered read late pending", "0 0 2 1"},
		"recovery is late":      {[]schemas.Event{told(sent, 0), told(failed, 0), told(delivered, horizon+time.Second)}, "failed recovered late", "1 0 1"},
		"a late fact can found": {[]schemas.Event{told(schemas.TypeDispatched, 0), told(read, horizon+time.Second)}, "sent late read", "1 1 0"},
		"the horizon counts from the send time, however it came": {[]schemas.Event{told(read, horizon+time.Minute), told(delivered, 0), told(sent, time.Minute)}, "read late", "1 0"},

		"dimensions: best source": {
			[]schemas.Event{told(sent, 0, campaign("callback", 2)), told(delivered, 0, campaign("none", 0)), told(schemas.TypeOther, time.Hour, campaign("registered", 3))},
			"campaign", "registered",
		},
		"dimensions: newest decoder": {[]schemas.Event{told(sent, 0, campaign("a", 2)), told(read, 1, campaign("b", 2), revision(4)), told(delivered, 2, campaign("c", 2), revision(3))}, "campaign", "b"},
		"dimensions: first event":    {[]schemas.Event{told(sent, 2*time.Millisecond, campaign("a", 2)), told(delivered, time.Millisecond, campaign("b", 2))}, "campaign", "b"},
		"dimensions: (other) is last": {
			[]schemas.Event{told(sent, 0, campaign(schemas.OtherValue, 3)), told(delivered, 0, campaign("named", 0))}, "campaign", "named",
		},
		"dimensions: each on its own": {
			[]schemas.Event{
				told(sent, 0, campaign("a", 2), func(e *schemas.Event) { e.Dimensions.Variant = "B" }),
				told(delivered, 0, campaign("", 3), func(e *schemas.Event) { e.Dimensions.Segment, e.Dimensions.Language = "vip", "it" }),
			}, "campaign variant segment language template", "a B vip it ",
		},
		"country and sender: registration first": {
			[]schemas.Event{
				told(sent, 0, func(e *schemas.Event) { e.Country, e.Sender = "NL", "s1" }),
				told(schemas.TypeDispatched, time.Second, func(e *schemas.Event) { e.Country, e.Sender = "IT", "s2" }),
			}, "country sender", "IT s2",
		},
		"cost: known amount, then newest": {
			[]schemas.Event{
				told(sent, 0, costing(schemas.Cost{Category: "marketing", Billable: true})),
				told(sent, time.Second, costing(schemas.Cost{Category: "marketing", Billable: true, HasAmount: true, Micros: 70_000, Currency: "EUR"})),
				told(delivered, 2*time.Second, costing(schemas.Cost{Category: "marketing", Billable: true, HasAmount: true, Micros: 50_000, Currency: "EUR"})),
				told(read, 3*time.Second, costing(schemas.Cost{Category: "service"})),
			}, "cost_micros cost_currency cost_category cost_billable", "50000 EUR marketing true",
		},
		"cost: no amount": {[]schemas.Event{told(sent, 0, costing(schemas.Cost{Category: "service"}))}, "cost_micros cost_currency cost_category", "-  service"},

		"remembered": {[]schemas.Event{told(sent, 0), told(read, 48*day)}, "relapsed", "0"},
		"relapsed":   {[]schemas.Event{told(sent, 0), told(delivered, 50*day)}, "relapsed", "1"},
		"a late send time keeps it": {
			[]schemas.Event{told(schemas.TypeDispatched, 0), told(sent, 30*day), told(read, 60*day)}, "relapsed", "0",
		},
		"too late to keep it": {[]schemas.Event{told(schemas.TypeDispatched, 0), told(sent, 55*day)}, "relapsed", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			chtest.Truncate(t, conn, "events")
			insert(t, conn, numbered("m1", c.events))
			if got := show(t, conn, c.columns, "v_messages"); got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.columns, got, c.want)
			}
		})
	}
}
