package recorded

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

const (
	// partitions of events.
	partitions = 4
	// messages sent; with their outcomes and repeats they make up the log.
	messages = 40_000
	// seed of the log. Another one is another golden file.
	seed = 20260301
)

// start is when the first message was sent; launches last a quarter of a day.
func start() schemas.Instant {
	return schemas.InstantOf(time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC))
}

const (
	second = schemas.Instant(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// recordedLog is one slice of records for each partition, in order of arrival:
// with disorder, repeats, late outcomes, moves, dimensions that come afterwards,
// failures, recoveries, costs, orphans, and records that must be refused.
func recordedLog() [][]task.Record {
	rng := rand.New(rand.NewPCG(seed, 0))
	var events []schemas.Event
	for i := range messages {
		for _, e := range life(rng, i) {
			events = append(events, e)
			if rng.IntN(25) == 0 { // the provider sends it again
				e.ReceivedAt += schemas.Instant(rng.Int64N(int64(2 * hour)))
				events = append(events, e)
			}
		}
	}
	slices.SortStableFunc(events, func(a, b schemas.Event) int { return cmp.Compare(a.ReceivedAt, b.ReceivedAt) })
	log := make([][]task.Record, partitions)
	for i := range events {
		e := &events[i]
		key := schemas.EventKey(e)
		p := schemas.PartitionOf(key, partitions)
		value := schemas.EncodeEvent(e)
		if i%9973 == 17 {
			value = value[:1] // torn: a dead letter
		}
		log[p] = append(log[p], task.Record{
			Offset: int64(len(log[p])), Timestamp: e.ReceivedAt + schemas.Instant(rng.IntN(50)),
			Schema: schemas.SchemaEvent, Key: key, Value: value,
		})
	}
	return log
}

// campaign is a story: how its messages fare.
type campaign struct {
	account, name, template string
	variants                []string
	delivered, optOut       float64
}

func campaigns() []campaign {
	return []campaign{
		{"acc-1", "spring", "offer", []string{"a", "b"}, 0.97, 0.002},
		{"acc-1", "swell", "offer", nil, 0.97, 0.08},
		{"acc-2", "collapse", "news", []string{"a", "b"}, 0.45, 0.001},
		{"acc-2", "", "", nil, 0.96, 0.003},
	}
}

// life is every event of message i, in the order of what happened.
func life(rng *rand.Rand, i int) []schemas.Event {
	c := &campaigns()[rng.IntN(4)]
	key := schemas.MessageKey(schemas.ChannelWhatsApp, c.account, fmt.Sprintf("message-%d", i))
	sent := start() + schemas.Instant(rng.Int64N(int64(6*hour)))
	contact := schemas.DigestKey("contact", fmt.Sprint(rng.IntN(5000)))
	dims := schemas.Dimensions{Campaign: c.name, Template: c.template, Segment: []string{"", "loyal", "new"}[rng.IntN(3)]}
	if len(c.variants) > 0 {
		dims.Variant = c.variants[i%len(c.variants)]
	}
	event := func(typ schemas.EventType, at schemas.Instant) schemas.Event {
		e := schemas.Event{
			Type: typ, Channel: schemas.ChannelWhatsApp, Account: c.account, Sender: fmt.Sprintf("sender-%d", i%2),
			MessageKey: key, ContactKeys: []schemas.Key{contact}, OccurredAt: at,
			ReceivedAt: at + lag(rng), Country: []string{"DE", "FR", "", "BR"}[i%4], SourceRevision: 1,
		}
		if dims != (schemas.Dimensions{}) && rng.IntN(10) > 0 { // not every event carries them
			e.Dimensions, e.DimensionSource = dims, schemas.DimensionCallback
		}
		return e
	}
	var out []schemas.Event
	add := func(e schemas.Event) {
		e.ID = schemas.EventID(&e)
		out = append(out, e)
	}
	if rng.IntN(50) > 0 { // a few are orphans, or are known by their outcome alone
		e := event(schemas.TypeSent, sent)
		if rng.IntN(3) == 0 {
			e.Cost = &schemas.Cost{Category: "marketing", Billable: true, HasAmount: rng.IntN(2) == 0, Currency: "EUR"}
			if e.Cost.HasAmount {
				e.Cost.Micros = 50_000 + rng.Int64N(30_000)
			} else {
				e.Cost.Currency = ""
			}
		}
		add(e)
	}
	if rng.Float64() >= c.delivered {
		code := []int32{131049, 131026, 131050, 130429, 99}[rng.IntN(5)]
		e := event(schemas.TypeFailed, sent+delay(rng, 2*minute))
		e.Failure = &schemas.Failure{Code: code, Category: []string{"marketing_cap", "undeliverable", "recipient_stopped", "throttled", "other"}[slices.Index([]int32{131049, 131026, 131050, 130429, 99}, code)], Title: "not delivered"}
		add(e)
		if rng.IntN(20) > 0 {
			return out
		}
	}
	delivered := sent + delay(rng, 40*second)
	add(event(schemas.TypeDelivered, delivered))
	reacts(rng, c, event, add, delivered)
	return out
}

// reacts is what the person does with a delivered message.
func reacts(rng *rand.Rand, c *campaign, event func(schemas.EventType, schemas.Instant) schemas.Event, add func(schemas.Event), delivered schemas.Instant) {
	if rng.IntN(100) < 70 {
		add(event(schemas.TypeRead, delivered+delay(rng, 15*minute)))
	}
	if rng.IntN(100) < 12 {
		e := event(schemas.TypeClicked, delivered+delay(rng, 30*minute))
		e.Click = &schemas.Click{Kind: "button", ID: "more"}
		add(e)
	}
	if rng.IntN(100) < 5 {
		add(event(schemas.TypeReplied, delivered+delay(rng, 40*minute)))
	}
	if rng.Float64() < c.optOut {
		e := event(schemas.TypeOptedOut, delivered+delay(rng, 10*minute))
		e.Road = schemas.RoadButton
		add(e)
	}
	if rng.IntN(3000) == 0 { // beyond the horizon
		add(event(schemas.TypeRead, delivered+31*day))
	}
}

// delay is exponential around mean, at most a day.
func delay(rng *rand.Rand, mean schemas.Instant) schemas.Instant {
	return min(schemas.Instant(rng.ExpFloat64()*float64(mean)), day)
}

// lag is how long a webhook travels: mostly seconds, sometimes hours.
func lag(rng *rand.Rand) schemas.Instant {
	if rng.IntN(100) == 0 {
		return schemas.Instant(rng.Int64N(int64(3 * hour)))
	}
	return schemas.Instant(200 + rng.Int64N(4000))
}
