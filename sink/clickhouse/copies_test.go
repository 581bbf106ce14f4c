package clickhouse

import (
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
)

// after moves the time of a copy.
func after(d time.Duration) func(*schemas.Event) {
	return func(e *schemas.Event) {
		e.OccurredAt += schemas.Instant(d.Milliseconds())
		e.ReceivedAt = max(e.ReceivedAt, e.OccurredAt)
	}
}

// guessed is a copy whose time was clamped to another.
func guessed(d time.Duration) func(*schemas.Event) {
	return both(after(d), func(e *schemas.Event) { e.Clamped, e.ReceivedAt = true, e.OccurredAt })
}

// copies are an event and what each change makes of it, all under its id.
func copies(e schemas.Event, changes ...func(*schemas.Event)) []schemas.Event {
	out := []schemas.Event{e}
	for _, change := range changes {
		c := e
		change(&c)
		out = append(out, c)
	}
	return out
}

func both(a, b func(*schemas.Event)) func(*schemas.Event) {
	return func(e *schemas.Event) { a(e); b(e) }
}

// inEveryOrder inserts the events of message m1, a part each, forwards and
// backwards, and calls check before and after the parts are merged. The events of
// a group are copies of one event: they have the id of the first.
func inEveryOrder(t *testing.T, conn driver.Conn, groups [][]schemas.Event, check func(t *testing.T)) {
	t.Helper()
	var events Events
	for _, group := range groups {
		for i := range group {
			group[i].MessageKey = schemas.MessageKey(group[i].Channel, group[i].Account, "m1")
			group[i].ID = schemas.EventID(&group[0])
			events = append(events, Event{Event: group[i], Offset: int64(len(events))})
		}
	}
	for _, order := range []string{"forwards", "backwards"} {
		t.Run(order, func(t *testing.T) {
			chtest.Truncate(t, conn, "events", "opt_out_events")
			for _, e := range events {
				insert(t, conn, Events{e})
				if rows := OptOutsOf(&e.Event); len(rows) > 0 {
					insert(t, conn, rows)
				}
			}
			t.Run("as inserted", check)
			for _, table := range []string{"events", "opt_out_events"} {
				if err := conn.Exec(t.Context(), "OPTIMIZE TABLE "+table+" FINAL"); err != nil {
					t.Fatal(err)
				}
			}
			t.Run("merged", check)
		})
		slices.Reverse(events)
	}
}

// TestUnequalCopies: copies of one event that differ are joined field by field,
// whatever came first and whatever is merged, also where they fall in different
// minutes or, like the parts of the table, on different days. The fold's test of
// this name has the same cases.
func TestUnequalCopies(t *testing.T) {
	conn := migrated(t, chtest.Open(t))
	const midnight = 13*time.Hour + 59*time.Minute + 30*time.Second // after sentAt
	sent := told(schemas.TypeSent, midnight-30*time.Second)
	read := told(schemas.TypeRead, midnight+45*time.Second)
	failed := told(schemas.TypeFailed, midnight)
	variant := func(v string) func(*schemas.Event) {
		return func(e *schemas.Event) { e.Dimensions.Variant = v }
	}
	amount := func(category string, billable bool, micros int64) func(*schemas.Event) {
		return costing(schemas.Cost{Category: category, Billable: billable, HasAmount: true, Micros: micros, Currency: "EUR"})
	}
	change := func(e schemas.Event, c func(*schemas.Event)) schemas.Event { c(&e); return e }
	for name, c := range map[string]struct {
		events  [][]schemas.Event
		columns string
		want    string
	}{
		"the least time of a minute":       {[][]schemas.Event{copies(sent, after(999*time.Millisecond), after(-time.Millisecond))}, "sent_at events", "2026-03-01 23:59:29 1"},
		"the least time, a minute apart":   {[][]schemas.Event{copies(sent, after(-time.Minute))}, "sent_at minute events", "2026-03-01 23:58:30 2026-03-01 23:58:00 1"},
		"the least time, across midnight":  {[][]schemas.Event{copies(sent, after(40*time.Second), after(day))}, "sent_at events", "2026-03-01 23:59:30 1"},
		"the least time, from the day on":  {[][]schemas.Event{copies(change(sent, after(40*time.Second)), after(-40*time.Second))}, "sent_at events", "2026-03-01 23:59:30 1"},
		"the least delay":                  {[][]schemas.Event{{sent}, copies(read, after(-time.Minute), after(3*time.Hour))}, "read_delay opened_delay events", "15 15 2"},
		"of clamped times the least":       {[][]schemas.Event{copies(change(sent, guessed(-40*24*time.Hour)), guessed(-time.Minute))}, "sent_at events", "2026-01-20 23:58:30 1"},
		"one not clamped beats it":         {[][]schemas.Event{copies(sent, guessed(-40*24*time.Hour), guessed(-time.Minute))}, "sent_at minute events", "2026-03-01 23:59:30 2026-03-01 23:59:00 1"},
		"of another event, too":            {[][]schemas.Event{{sent}, copies(change(told(schemas.TypeSent, midnight), guessed(-day)))}, "sent_at events", "2026-03-01 23:59:30 2"},
		"a failure that was not clamped":   {[][]schemas.Event{copies(change(failed, failing(2, schemas.FailCapped)), both(failing(1, schemas.FailTemplate), guessed(-day)))}, "failed_at failure_code", "2026-03-02 00:00:00 2"},
		"fields that only one of them has": {[][]schemas.Event{copies(sent, campaign("spring", 2), variant("b"), func(e *schemas.Event) { e.Sender = "s1" })}, "campaign variant sender", "spring b s1"},
		"a field belongs to its copy's time": {
			[][]schemas.Event{copies(change(sent, campaign("spring", 2)), both(campaign("winter", 2), after(-time.Millisecond)))}, "campaign events", "winter 1",
		},
		"of one time the least value": {
			[][]schemas.Event{copies(change(sent, both(campaign("spring", 2), variant("b"))), both(campaign("autumn", 2), variant("c")), both(campaign(schemas.OtherValue, 2), variant("d")))},
			"campaign variant", "autumn b",
		},
		"a better source, a newer decoder": {
			[][]schemas.Event{copies(change(sent, both(campaign("a", 2), variant("a"))), both(campaign("b", 3), variant("")), both(variant("c"), both(revision(2), campaign("c", 2))))},
			"campaign variant", "b c",
		},
		"the failure of least time, then code, then name": {
			[][]schemas.Event{copies(change(failed, failing(2, schemas.FailCapped)), failing(1, schemas.FailTemplate), failing(1, schemas.FailProvider), both(failing(0, schemas.FailCapped), after(time.Minute)))},
			"failed_at failure_code failure_category withheld", "2026-03-02 00:00:00 1 provider 0",
		},
		"a cost whose amount one of them knows": {
			[][]schemas.Event{copies(sent, amount("marketing", false, 70), both(costing(schemas.Cost{Category: "service"}), after(day)))},
			"cost_category cost_micros cost_currency", "marketing 70 EUR",
		},
		"of costs the newest copy's, then the billable, then the least": {
			[][]schemas.Event{copies(change(sent, amount("a", true, 1)), both(amount("a", false, 7), after(day)), both(amount("b", true, -3), after(day)), both(amount("b", true, 5), after(day)))},
			"cost_category cost_billable cost_micros", "b true -3",
		},
		"without an amount its currency says nothing": {
			[][]schemas.Event{copies(change(sent, costing(schemas.Cost{Category: "b", Currency: "EUR"})), costing(schemas.Cost{Category: "a", Currency: "USD"}))},
			"cost_category cost_micros cost_currency", "a - ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryOrder(t, conn, c.events, func(t *testing.T) {
				if got := show(t, conn, c.columns, "v_messages"); got != c.want {
					t.Errorf("%s\ngot  %s\nwant %s", c.columns, got, c.want)
				}
			})
		})
	}
	t.Run("v_pulse", func(t *testing.T) {
		moved := copies(sent, campaign("spring", 2), after(-time.Minute), after(40*time.Second), after(day), guessed(-2*time.Minute), guessed(-day))
		inEveryOrder(t, conn, [][]schemas.Event{moved, copies(read, after(day))}, func(t *testing.T) {
			if got, want := show(t, conn, "minute sent read", "v_pulse ORDER BY minute"), "2026-03-01 23:58:00 1 0\n2026-03-02 00:00:00 0 1"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	})
	t.Run("opt_outs", func(t *testing.T) { testCopiesOfOptOuts(t, conn) })
}

// testCopiesOfOptOuts: a second copy of an opt-out, dated later, must not undo
// the opt-in that came between.
func testCopiesOfOptOuts(t *testing.T, conn driver.Conn) {
	contact := func(e *schemas.Event) { e.ContactKeys = []schemas.Key{{'a'}} }
	by := func(road string) func(*schemas.Event) { return func(e *schemas.Event) { e.Road = road } }
	out, in := told(schemas.TypeOptedOut, 0, contact), told(schemas.TypeOptedIn, time.Hour, contact)
	for name, c := range map[string]struct {
		events [][]schemas.Event
		want   string
	}{
		"a late copy of an opt-out": {[][]schemas.Event{copies(out, after(2*time.Hour), after(2*day)), {in}}, "false 2026-03-01 11:00:30.000 "},
		"a late copy of an opt-in":  {[][]schemas.Event{copies(in, after(day)), {told(schemas.TypeOptedOut, 2*time.Hour, contact)}}, "true 2026-03-01 12:00:30.000 "},
		"a clamped copy":            {[][]schemas.Event{copies(out, guessed(-2*day), guessed(-day)), {told(schemas.TypeOptedIn, -time.Hour, contact)}}, "true 2026-03-01 10:00:30.000 "},
		"clamped copies alone":      {[][]schemas.Event{copies(told(schemas.TypeOptedOut, 0, contact, guessed(-2*day)), guessed(day)), {told(schemas.TypeOptedIn, -time.Hour, contact)}}, "false 2026-03-01 09:00:30.000 "},
		"how, if one copy says it":  {[][]schemas.Event{copies(out, by(schemas.RoadWord), after(-time.Second))}, "true 2026-03-01 10:00:29.000 word"},
		"of one second the opt-out": {[][]schemas.Event{copies(out, after(time.Hour)), {told(schemas.TypeOptedIn, 400*time.Millisecond, contact)}}, "true 2026-03-01 10:00:30.000 "},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryOrder(t, conn, c.events, func(t *testing.T) {
				if got := show(t, conn, "is_out since road", "opt_outs"); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			})
		})
	}
}
