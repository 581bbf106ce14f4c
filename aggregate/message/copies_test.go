package message

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// copyOf is another copy of e: the same id, other content.
func copyOf(e schemas.Event, change func(*schemas.Event)) schemas.Event {
	change(&e)
	e.ReceivedAt = max(e.ReceivedAt, e.OccurredAt)
	return e
}

// TestUnequalCopies: copies of one event that differ are joined field by field,
// in every order, also where they fall in different minutes or on different days.
func TestUnequalCopies(t *testing.T) {
	const midnight = daySeconds
	sent := fact1("m", schemas.TypeSent, at(0, midnight-30), at(0, midnight+600))
	read := fact1("m", schemas.TypeRead, at(0, midnight+45), at(0, midnight+600))
	failed := fact1("m", schemas.TypeFailed, at(0, midnight), at(0, midnight+600))
	occurred := func(at schemas.Instant) func(*schemas.Event) {
		return func(e *schemas.Event) { e.OccurredAt = at }
	}
	in := func(campaign, variant string) func(*schemas.Event) {
		return func(e *schemas.Event) {
			e.Dimensions.Campaign, e.Dimensions.Variant = campaign, variant
			e.DimensionSource = schemas.DimensionCallback
		}
	}
	failing := func(code int32, category string) func(*schemas.Event) {
		return func(e *schemas.Event) { e.Failure = &schemas.Failure{Code: code, Category: category} }
	}
	costing := func(c schemas.Cost) func(*schemas.Event) { return func(e *schemas.Event) { e.Cost = &c } }
	guessed := func(at schemas.Instant) func(*schemas.Event) {
		return func(e *schemas.Event) { e.OccurredAt, e.ReceivedAt, e.Clamped = at, at, true }
	}
	for name, c := range map[string]struct {
		events []schemas.Event
		want   string
	}{
		"the least time of a minute": {
			[]schemas.Event{sent, copyOf(sent, occurred(sent.OccurredAt+999)), copyOf(sent, occurred(sent.OccurredAt-1))},
			"0d23:59 acct-1/whatsapp/line-1/////: sent=1",
		},
		"the least time, a minute apart": {
			[]schemas.Event{sent, copyOf(sent, occurred(sent.OccurredAt-60_000))},
			"0d23:58 acct-1/whatsapp/line-1/////: sent=1",
		},
		"the least time, across midnight": {
			[]schemas.Event{sent, copyOf(sent, occurred(at(1, 10))), copyOf(sent, occurred(at(2, 0)))},
			"0d23:59 acct-1/whatsapp/line-1/////: sent=1",
		},
		"the least delay": {
			[]schemas.Event{sent, read, copyOf(read, occurred(read.OccurredAt-60_000)), copyOf(read, occurred(at(1, 3*3600)))},
			"0d23:59 acct-1/whatsapp/line-1/////: sent=1 delivered+1@1m opened+1@1m read+1@1m",
		},
		"of clamped times the least": {
			[]schemas.Event{copyOf(sent, guessed(sent.OccurredAt-60_000)), copyOf(sent, guessed(sent.OccurredAt-120_000))},
			"0d23:57 acct-1/whatsapp/line-1/////: sent=1",
		},
		"one not clamped beats it": {
			[]schemas.Event{copyOf(sent, guessed(sent.OccurredAt-dayMillis)), sent, copyOf(sent, guessed(sent.OccurredAt-60_000))},
			"0d23:59 acct-1/whatsapp/line-1/////: sent=1",
		},
		"of another event, too": {
			[]schemas.Event{sent, withID(copyOf(sent, guessed(sent.OccurredAt-60_000)))},
			"0d23:59 acct-1/whatsapp/line-1/////: sent=1",
		},
		"a failure that was not clamped": {
			[]schemas.Event{copyOf(copyOf(failed, failing(2, schemas.FailCapped)), guessed(failed.OccurredAt-60_000)), copyOf(failed, failing(1, schemas.FailTemplate))},
			"1d00:00 acct-1/whatsapp/line-1/////: sent=1 failed+1@1m failures[template]=1",
		},
		"fields that only one of them has": {
			[]schemas.Event{copyOf(sent, in("spring", "")), copyOf(sent, in("", "b")), copyOf(sent, func(e *schemas.Event) { e.Sender = "" })},
			"0d23:59 acct-1/whatsapp/line-1//spring//b/: sent=1",
		},
		"a field belongs to its copy's time": {
			[]schemas.Event{copyOf(sent, in("spring", "")), copyOf(copyOf(sent, in("autumn", "")), occurred(sent.OccurredAt-1))},
			"0d23:59 acct-1/whatsapp/line-1//autumn///: sent=1",
		},
		"of one time the least value": {
			[]schemas.Event{copyOf(sent, in("spring", "b")), copyOf(sent, in("autumn", "c")), copyOf(sent, in(schemas.OtherValue, "d"))},
			"0d23:59 acct-1/whatsapp/line-1//autumn//b/: sent=1",
		},
		"the failure of least time, then code, then name": {
			[]schemas.Event{
				copyOf(failed, failing(2, schemas.FailCapped)), copyOf(failed, failing(1, schemas.FailTemplate)), copyOf(failed, failing(1, schemas.FailProvider)),
				copyOf(copyOf(failed, failing(0, schemas.FailCapped)), occurred(failed.OccurredAt+60_000)),
			},
			"1d00:00 acct-1/whatsapp/line-1/////: sent=1 failed+1@1m failures[provider]=1",
		},
		"a cost whose amount one of them knows": {
			[]schemas.Event{
				copyOf(sent, costing(schemas.Cost{Category: "marketing", HasAmount: true, Micros: 70, Currency: "EUR"})),
				copyOf(copyOf(sent, costing(schemas.Cost{Category: "service"})), occurred(at(1, 0))), sent,
			},
			"0d23:59 acct-1/whatsapp/line-1/////: sent=1 cost_micros[EUR]=70",
		},
		"of costs the newest copy's, then the billable, then the least": {
			[]schemas.Event{
				copyOf(sent, costing(schemas.Cost{Category: "a", Billable: true, HasAmount: true, Micros: 1, Currency: "EUR"})),
				copyOf(copyOf(sent, costing(schemas.Cost{Category: "a", HasAmount: true, Micros: 7, Currency: "EUR"})), occurred(at(1, 0))),
				copyOf(copyOf(sent, costing(schemas.Cost{Category: "b", Billable: true, HasAmount: true, Micros: -3, Currency: "EUR"})), occurred(at(1, 0))),
				copyOf(copyOf(sent, costing(schemas.Cost{Category: "b", Billable: true, HasAmount: true, Micros: 5, Currency: "EUR"})), occurred(at(1, 0))),
			},
			"0d23:59 acct-1/whatsapp/line-1/////: sent=1 cost_micros[EUR]=-3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := showPanes(bruteForce(c.events)); got != c.want {
				t.Errorf("brute force\ngot  %s\nwant %s", got, c.want)
			}
			permute(slices.Clone(c.events), 0, func(order []schemas.Event) {
				r := newRig(t)
				for _, e := range order {
					r.feed(e)
					r.checkpoint()
				}
				if got := showPanes(r.panes()); got != c.want {
					t.Errorf("got  %s\nwant %s\norder %+v", got, c.want, order)
				}
			})
		})
	}
}

// showPanes writes one line per pane, its minute after genesis's day began.
func showPanes(panes map[cohortKey]schemas.Counts) string {
	var lines []string
	for k, c := range panes {
		minute := showMinute(k.minute - at(0, 0).Seconds() + historyStart)
		lines = append(lines, fmt.Sprintf("%s %s:%s", minute, showTuple(k.tuple), showCounts(&c)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
