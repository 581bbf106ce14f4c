package message

import (
	"errors"
	"testing"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// noon is the send time of most cases, in seconds.
const noon = 1_772_366_400

// f makes an event that states a fact n seconds after noon.
func f(t schemas.EventType, n int64) schemas.Event {
	return schemas.Event{Type: t, OccurredAt: schemas.Instant((noon + n) * 1000), Account: "acct-1", Channel: schemas.ChannelWhatsApp}
}

func failed(n int64, code int32, category string) schemas.Event {
	e := f(schemas.TypeFailed, n)
	e.Failure = &schemas.Failure{Code: code, Category: category}
	return e
}

func priced(e schemas.Event, c schemas.Cost) schemas.Event {
	e.Cost = &c
	return e
}

func joined(events ...schemas.Event) State {
	var s State
	for i := range events {
		if events[i].ID.IsZero() {
			events[i].ID = schemas.EventID(&events[i])
		}
		s, _ = s.Join(&events[i])
	}
	return s
}

// h puts +1 into the bucket of each delay and -1 into that of each negative one.
func h(delays ...int64) schemas.Histogram {
	var out schemas.Histogram
	for _, d := range delays {
		b, _ := schemas.BucketOf(max(d, -d))
		if d < 0 {
			out[b]--
		} else {
			out[b]++
		}
	}
	return out
}

func TestContribution(t *testing.T) {
	const horizon = schemas.HorizonSeconds
	sent := f(schemas.TypeSent, 0)
	for _, tc := range []struct {
		name   string
		events []schemas.Event
		send   int64 // after noon
		want   schemas.Counts
	}{
		{"sent", []schemas.Event{sent}, 0, schemas.Counts{Sent: 1}},
		{"sent twice: the earlier", []schemas.Event{f(schemas.TypeSent, 61), sent}, 0, schemas.Counts{Sent: 1}},
		{"sent before dispatched", []schemas.Event{sent, f(schemas.TypeDispatched, 120)}, 0, schemas.Counts{Sent: 1}},
		{
			"dispatched and read: known, sent when dispatched",
			[]schemas.Event{f(schemas.TypeDispatched, -60), f(schemas.TypeRead, 0)},
			-60,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(60), schemas.OutcomeOpened: h(60), schemas.OutcomeRead: h(60)}},
		},
		{
			"dispatched and read beyond the horizon: known, late",
			[]schemas.Event{f(schemas.TypeDispatched, 0), f(schemas.TypeRead, horizon+1)},
			0,
			schemas.Counts{Sent: 1, Late: 1},
		},
		{"delivered alone", []schemas.Event{f(schemas.TypeDelivered, 90)}, 90, schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(0)}}},
		{
			"delivered and failed: sent at the earlier, recovered at the later",
			[]schemas.Event{f(schemas.TypeDelivered, 100), failed(10, 1, schemas.FailProvider)},
			10,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(90), schemas.OutcomeFailed: h(0, -90)}, Recovered: 1},
		},
		{
			"delivered before it was sent: no delay",
			[]schemas.Event{sent, f(schemas.TypeDelivered, -30)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(0)}},
		},
		{
			"read implies delivered and opened",
			[]schemas.Event{sent, f(schemas.TypeRead, 301)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(301), schemas.OutcomeOpened: h(301), schemas.OutcomeRead: h(301)}},
		},
		{
			"a later delivered changes nothing",
			[]schemas.Event{sent, f(schemas.TypeRead, 60), f(schemas.TypeDelivered, 300)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(60), schemas.OutcomeOpened: h(60), schemas.OutcomeRead: h(60)}},
		},
		{
			"clicked and replied: engaged at the earlier",
			[]schemas.Event{sent, f(schemas.TypeClicked, 400), f(schemas.TypeReplied, 50)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(50), schemas.OutcomeOpened: h(50), schemas.OutcomeClicked: h(400), schemas.OutcomeReplied: h(50), schemas.OutcomeEngaged: h(50)}},
		},
		{
			"left by quoting it: opened, not engaged",
			[]schemas.Event{sent, f(schemas.TypeOptedOut, 70)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(70), schemas.OutcomeOpened: h(70), schemas.OutcomeOptedOut: h(70)}},
		},
		{
			"left twice counts once, at the first",
			[]schemas.Event{sent, f(schemas.TypeOptedOut, 5000), f(schemas.TypeOptedOut, 70)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(70), schemas.OutcomeOpened: h(70), schemas.OutcomeOptedOut: h(70)}},
		},
		{
			"failed by the sender's fault",
			[]schemas.Event{sent, failed(3, 132001, schemas.FailTemplate)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeFailed: h(3)}, Failures: map[string]int64{schemas.FailTemplate: 1}},
		},
		{
			"withheld",
			[]schemas.Event{sent, failed(3, 131049, schemas.FailCapped)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeFailed: h(3), schemas.OutcomeWithheld: h(3)}, Failures: map[string]int64{schemas.FailCapped: 1}},
		},
		{
			"the earliest failure gives the category",
			[]schemas.Event{sent, failed(9, 1, schemas.FailCapped), failed(3, 2, schemas.FailMedia)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeFailed: h(3)}, Failures: map[string]int64{schemas.FailMedia: 1}},
		},
		{
			"of two failures in one second the least code",
			[]schemas.Event{sent, failed(3, 9, schemas.FailCapped), failed(3, 2, schemas.FailMedia)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeFailed: h(3)}, Failures: map[string]int64{schemas.FailMedia: 1}},
		},
		{
			"a failure that says nothing",
			[]schemas.Event{sent, f(schemas.TypeFailed, 3)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeFailed: h(3)}, Failures: map[string]int64{schemas.FailOther: 1}},
		},
		{
			"withheld, then delivered to another device",
			[]schemas.Event{sent, failed(3, 1, schemas.FailCapped), f(schemas.TypeDelivered, 4000)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(4000), schemas.OutcomeFailed: h(3, -4000), schemas.OutcomeWithheld: h(3, -4000)}, Recovered: 1},
		},
		{
			"delivered, then failed: never counts as failed",
			[]schemas.Event{sent, f(schemas.TypeDelivered, 3), failed(4000, 1, schemas.FailProvider)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(3)}, Recovered: 1},
		},
		{
			"on the horizon",
			[]schemas.Event{sent, f(schemas.TypeDelivered, horizon)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(horizon)}},
		},
		{
			"a second beyond the horizon",
			[]schemas.Event{sent, f(schemas.TypeDelivered, horizon+1)},
			0,
			schemas.Counts{Sent: 1, Late: 1},
		},
		{
			"a late delivery does not recover",
			[]schemas.Event{sent, failed(3, 1, schemas.FailProvider), f(schemas.TypeDelivered, horizon+1)},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeFailed: h(3)}, Failures: map[string]int64{schemas.FailProvider: 1}, Late: 1},
		},
		{
			"a late failure does not fail",
			[]schemas.Event{sent, failed(horizon+1, 1, schemas.FailCapped)},
			0,
			schemas.Counts{Sent: 1, Late: 1},
		},
		{
			"every late fact is counted once",
			[]schemas.Event{
				sent, f(schemas.TypeDelivered, horizon+5), f(schemas.TypeRead, horizon+6), f(schemas.TypeRead, horizon+7),
				f(schemas.TypeClicked, horizon+8), f(schemas.TypeReplied, horizon+9), f(schemas.TypeOptedOut, horizon+9),
				failed(horizon+9, 1, schemas.FailOther),
			},
			0,
			schemas.Counts{Sent: 1, Late: 6},
		},
		{
			"what was late for one send time counts for a better one",
			[]schemas.Event{f(schemas.TypeDispatched, -horizon), f(schemas.TypeRead, 60), sent},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(60), schemas.OutcomeOpened: h(60), schemas.OutcomeRead: h(60)}},
		},
		{
			"cost: known amount first, then the latest",
			[]schemas.Event{
				priced(sent, schemas.Cost{Category: "marketing", Billable: true, HasAmount: true, Micros: 70_000, Currency: "EUR"}),
				priced(f(schemas.TypeDelivered, 1), schemas.Cost{Category: "utility", Billable: true, HasAmount: true, Micros: 30_000, Currency: "EUR"}),
				priced(f(schemas.TypeRead, 2), schemas.Cost{Category: "service"}),
			},
			0,
			schemas.Counts{
				Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(1), schemas.OutcomeOpened: h(2), schemas.OutcomeRead: h(2)}, CostMicros: map[string]int64{"EUR": 30_000}, Billable: map[string]int64{"utility": 1},
			},
		},
		{
			"cost of what was not delivered",
			[]schemas.Event{priced(sent, schemas.Cost{Category: "marketing", Billable: true, HasAmount: true, Micros: 5, Currency: "EUR"})},
			0,
			schemas.Counts{Sent: 1, CostMicros: map[string]int64{"EUR": 5}},
		},
		{
			"delivered but free",
			[]schemas.Event{sent, priced(f(schemas.TypeDelivered, 1), schemas.Cost{Category: "service"})},
			0,
			schemas.Counts{Sent: 1, Outcomes: schemas.Histograms{schemas.OutcomeDelivered: h(1)}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key, got, ok := Contribution(joined(tc.events...))
			if !ok {
				t.Fatal("an orphan")
			}
			if want := (noon + tc.send) / 60 * 60; key.Minute != want {
				t.Errorf("minute %d, want %d", key.Minute, want)
			}
			if !equalCounts(&got, &tc.want) {
				t.Errorf("\n got %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestOrphans(t *testing.T) {
	for name, events := range map[string][]schemas.Event{
		"dispatched":        {f(schemas.TypeDispatched, 0)},
		"read":              {f(schemas.TypeRead, 0)},
		"clicked, replied":  {f(schemas.TypeClicked, 0), f(schemas.TypeReplied, 0)},
		"opted out":         {f(schemas.TypeOptedOut, 0)},
		"other":             {f(schemas.TypeOther, 0)},
		"dispatched, other": {f(schemas.TypeDispatched, 0), f(schemas.TypeOther, 0), f(schemas.TypeConverted, 0), f(schemas.TypeQuality, 0), f(schemas.TypeOptedIn, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			if key, _, ok := Contribution(joined(events...)); ok {
				t.Errorf("counted in %+v", key)
			}
		})
	}
}

func TestDimensions(t *testing.T) {
	campaign := func(e schemas.Event, source schemas.DimensionSource, revision uint8, value string) schemas.Event {
		e.DimensionSource, e.SourceRevision, e.Dimensions.Campaign = source, revision, value
		return e
	}
	const (
		identity, callback, dispatched = schemas.DimensionIdentity, schemas.DimensionCallback, schemas.DimensionDispatched
	)
	sent, other := f(schemas.TypeSent, 0), f(schemas.TypeOther, 5)
	for _, tc := range []struct {
		name   string
		events []schemas.Event
		want   string
	}{
		{"none", []schemas.Event{sent}, ""},
		{"an event of type other carries them", []schemas.Event{sent, campaign(other, callback, 1, "a")}, "a"},
		{"the better source wins", []schemas.Event{campaign(sent, identity, 9, "a"), campaign(other, callback, 1, "b")}, "b"},
		{"registered beats callback", []schemas.Event{campaign(other, dispatched, 1, "b"), campaign(sent, callback, 9, "a")}, "b"},
		{"then the higher revision", []schemas.Event{campaign(sent, callback, 1, "a"), campaign(other, callback, 2, "b")}, "b"},
		{"then the earlier event", []schemas.Event{campaign(other, callback, 1, "b"), campaign(sent, callback, 1, "a")}, "a"},
		{"an empty value takes no part", []schemas.Event{campaign(sent, dispatched, 9, ""), campaign(other, identity, 0, "b")}, "b"},
		{"(other) ranks after every value", []schemas.Event{campaign(sent, dispatched, 9, "(other)"), campaign(other, identity, 0, "b")}, "b"},
		{"(other) before nothing", []schemas.Event{campaign(sent, identity, 0, "(other)")}, "(other)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key, _, _ := Contribution(joined(tc.events...))
			if key.Tuple.Campaign != tc.want {
				t.Errorf("campaign %q, want %q", key.Tuple.Campaign, tc.want)
			}
		})
	}
	t.Run("country and sender of a registration beat those of any other event", func(t *testing.T) {
		registered := f(schemas.TypeDispatched, 9)
		registered.Country, registered.Sender = "NL", "line-1"
		early := campaign(sent, dispatched, 9, "")
		early.Country, early.Sender = "BR", "line-2"
		key, _, _ := Contribution(joined(early, registered))
		if key.Tuple.Country != "NL" || key.Tuple.Sender != "line-1" {
			t.Errorf("country %q, sender %q", key.Tuple.Country, key.Tuple.Sender)
		}
	})
	t.Run("each field on its own", func(t *testing.T) {
		a, b := campaign(sent, callback, 1, "spring"), campaign(other, dispatched, 1, "")
		a.Dimensions.Variant, b.Dimensions.Variant = "a", "b"
		key, _, _ := Contribution(joined(a, b))
		if key.Tuple.Campaign != "spring" || key.Tuple.Variant != "b" {
			t.Errorf("tuple %+v", key.Tuple)
		}
	})
}

func TestApplyRejects(t *testing.T) {
	good := clockEvent(at(1, 0))
	late := good
	late.ReceivedAt = lastInstant + 1
	stranger := schemas.DigestKey("another message")
	for _, tc := range []struct {
		name, reason string
		rec          task.Record
	}{
		{"another schema", schemas.ReasonSchema, task.Record{Schema: schemas.SchemaPane, Value: schemas.EncodeEvent(&good)}},
		{"garbage", schemas.ReasonDecode, task.Record{Schema: schemas.SchemaEvent, Value: []byte{0xff}}},
		{"received after the calendar", ReasonTime, task.Record{Schema: schemas.SchemaEvent, Key: schemas.EventKey(&late), Value: schemas.EncodeEvent(&late)}},
		{"no key", schemas.ReasonKey, task.Record{Schema: schemas.SchemaEvent, Value: schemas.EncodeEvent(&good)}},
		{"the key of another message", schemas.ReasonKey, task.Record{Schema: schemas.SchemaEvent, Key: stranger[:], Value: schemas.EncodeEvent(&good)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			tc.rec.Timestamp = at(1, 0)
			var reject *task.Reject
			if err := r.fold.Apply(tc.rec); !errors.As(err, &reject) || reject.Reason != tc.reason {
				t.Errorf("got %v, want a rejection with reason %s", err, tc.reason)
			}
			if r.fold.DClock() != 0 || r.fold.Dirty() != 0 {
				t.Error("a rejected record changed the state")
			}
		})
	}
}

// TestStoreErrors: an error of the store stops the fold; it is never a
// rejection, which would drop the record.
func TestStoreErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	r := newRig(t)
	r.feed(fact1("m", schemas.TypeSent, at(0, 0), at(0, 1)))
	r.checkpoint()
	r.reopen()
	r.st.fail = broken
	var reject *task.Reject
	err := r.fold.Apply(recordOf(fact1("m", schemas.TypeRead, at(0, 2), at(0, 3)), 1))
	if !errors.Is(err, broken) || errors.As(err, &reject) {
		t.Errorf("Apply: %v", err)
	}
	if _, err := NewFold()(testSource, r.st); !errors.Is(err, broken) {
		t.Errorf("NewFold: %v", err)
	}
	r.st.fail = nil
	for k := range r.st.rows {
		if k[0] == prefixMessage {
			r.st.rows[k] = []byte{clampedLayout + 1}
		}
	}
	if _, err := NewFold()(testSource, r.st); !errors.Is(err, errShort) {
		t.Errorf("NewFold on a state of another layout: %v", err)
	}
}
