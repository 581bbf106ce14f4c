package audit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/aggregate/message"
	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

const (
	epoch      = 7
	partitions = 3
	seeds      = 4
)

// What is derived has topics of its own in each epoch.
func panesTopic() string { return schemas.TopicIn(schemas.TopicPanes, epoch) }
func ratesTopic() string { return schemas.TopicIn(schemas.TopicRates, epoch) }

func start() time.Time { return time.Date(2026, 1, 10, 9, 0, 0, 0, time.UTC) }

// eventsDays is so long that nothing is really deleted.
const eventsDays = 10_000

// database is an empty, migrated database.
func database(t *testing.T) driver.Conn {
	t.Helper()
	return chtest.Database(t, chtest.Open(t), func(ctx context.Context, options *ch.Options) error {
		_, err := clickhouse.Migrate(ctx, clickhouse.MigrateConfig{Options: options, TTL: clickhouse.TTL{EventsDays: eventsDays}, Epoch: epoch, Now: start()})
		return err
	})
}

// history is events in the order of their offsets, per partition.
type history struct {
	rand *rand.Rand
	log  [partitions][]clickhouse.Event
}

func (h *history) add(partition int32, e schemas.Event) {
	if e.ReceivedAt == 0 {
		e.ReceivedAt = e.OccurredAt + 1500
	}
	if e.ID.IsZero() {
		e.ID = schemas.EventID(&e)
	}
	h.log[partition] = append(h.log[partition], clickhouse.Event{Event: e, Partition: partition, Offset: int64(len(h.log[partition]))})
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// message appends a random message: any facts in any order, dimensions that
// disagree, outcomes around every edge and beyond the horizon, repeats, and
// copies of one event that differ.
func (h *history) message(n int) {
	r := h.rand
	account := pick(r, "acme", "globex")
	key := schemas.MessageKey(schemas.ChannelWhatsApp, account, fmt.Sprint("m", n))
	partition := int32(key[0]) % partitions
	sent := start().Add(time.Duration(r.IntN(7200)) * time.Second)
	edges := schemas.Edges()
	var events []schemas.Event
	for range 1 + r.IntN(7) {
		delay := time.Duration(r.Int64N(7200)) * time.Second
		if r.IntN(3) == 0 {
			delay = time.Duration(edges[r.IntN(len(edges))]+r.Int64N(3)-1) * time.Second
		}
		e := schemas.Event{
			Type:    pick(r, schemas.TypeSent, schemas.TypeSent, schemas.TypeDispatched, schemas.TypeDelivered, schemas.TypeDelivered, schemas.TypeRead, schemas.TypeFailed, schemas.TypeClicked, schemas.TypeReplied, schemas.TypeOptedOut, schemas.TypeOther),
			Channel: schemas.ChannelWhatsApp, Account: account, MessageKey: key,
			OccurredAt: schemas.InstantOf(sent.Add(delay + time.Duration(r.IntN(1000))*time.Millisecond)),
		}
		if e.Type == schemas.TypeSent || e.Type == schemas.TypeDispatched {
			e.OccurredAt = schemas.InstantOf(sent.Add(time.Duration(r.IntN(90)) * time.Second))
		}
		if r.IntN(2) == 0 {
			e.Dimensions = schemas.Dimensions{
				Campaign: pick(r, "", "spring", "summer", schemas.OtherValue), Template: pick(r, "", "welcome", "offer"),
				Variant: pick(r, "", "A", "B"), Segment: pick(r, "", "vip"), Language: pick(r, "", "en"),
			}
			e.DimensionSource = schemas.DimensionSource(r.IntN(4))
		}
		e.Sender, e.Country = pick(r, "", "s1", "s2"), pick(r, "", "NL", "IT")
		if e.Type == schemas.TypeFailed && r.IntN(4) > 0 {
			e.Failure = &schemas.Failure{Code: int32(r.IntN(3)), Category: pick(r, "", schemas.FailCapped, schemas.FailTemplate)}
		}
		if r.IntN(3) == 0 {
			e.Cost = &schemas.Cost{Category: pick(r, "", "marketing", "service"), Billable: r.IntN(2) == 0}
			if r.IntN(2) == 0 {
				e.Cost.HasAmount, e.Cost.Micros, e.Cost.Currency = true, r.Int64N(3)*10_000, pick(r, "EUR", "USD")
			}
		}
		e.SourceRevision = uint8(r.IntN(3))
		events = append(events, e)
	}
	r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for _, e := range events {
		h.add(partition, e)
		if r.IntN(5) == 0 { // a provider's retry, perhaps read by a newer decoder
			e.ReceivedAt, e.SourceRevision = e.OccurredAt+90_000, e.SourceRevision+uint8(r.IntN(2))
			h.add(partition, e)
		}
		if r.IntN(6) == 0 {
			h.add(partition, h.unequalCopy(e, events))
		}
	}
}

// unequalCopy is e under its own id at another time, maybe in another minute or
// on another day, with some of its fields or those of another event.
func (h *history) unequalCopy(e schemas.Event, others []schemas.Event) schemas.Event {
	r, other := h.rand, others[h.rand.IntN(len(others))]
	e.ID = schemas.EventID(&e)
	e.OccurredAt += pick[schemas.Instant](r, 0, 0, 1, -999, 60_000, -60_000, 24*3600_000, -24*3600_000)
	e.ReceivedAt, e.Clamped = 0, r.IntN(3) == 0
	if r.IntN(2) == 0 {
		e.Dimensions, e.DimensionSource = other.Dimensions, other.DimensionSource
	}
	if r.IntN(2) == 0 {
		e.Sender, e.Country = other.Sender, other.Country
	}
	if r.IntN(2) == 0 {
		e.Cost = other.Cost
	}
	if e.Type == schemas.TypeFailed && r.IntN(2) == 0 {
		e.Failure = other.Failure
	}
	return e
}

// panes is what the message fold would have emitted after the records before
// the given offsets.
func (h *history) panes(upto [partitions]int) clickhouse.Panes {
	var out clickhouse.Panes
	for p := range int32(partitions) {
		states := map[schemas.Key]message.State{}
		for _, e := range h.log[p][:upto[p]] {
			states[e.MessageKey], _ = states[e.MessageKey].Join(&e.Event)
		}
		sums := map[message.PaneKey]*schemas.Counts{}
		for _, s := range states {
			key, counts, ok := message.Contribution(s)
			if !ok {
				continue
			}
			if sums[key] == nil {
				sums[key] = &schemas.Counts{}
			}
			sums[key].Add(&counts, 1)
		}
		for key, counts := range sums {
			out = append(out, schemas.Pane{Epoch: epoch, Source: p, Minute: key.Minute, Tuple: key.Tuple, Version: int64(upto[p]) - 1, Counts: *counts})
		}
	}
	return out
}

func (h *history) end() [partitions]int {
	var n [partitions]int
	for p := range h.log {
		n[p] = len(h.log[p])
	}
	return n
}

// progress is the rows of a message stage that has come as far as folded, and of
// a sink that has come, in events, as far as sunk.
func progress(folded, sunk [partitions]int) clickhouse.Progresses {
	var out clickhouse.Progresses
	for p := range int32(partitions) {
		for output := range int32(2) {
			out = append(out, clickhouse.Progress{
				Progress: schemas.Progress{Epoch: epoch, Stage: schemas.StageMessage, Source: p, Sources: partitions, NextOffset: int64(folded[p])},
				Output:   output,
			})
		}
		out = append(out, clickhouse.Progress{Progress: schemas.Progress{Stage: sink.Stage + "/" + schemas.TopicEvents, Source: p, NextOffset: int64(sunk[p])}})
	}
	for output := range int32(2) {
		out = append(out, clickhouse.Progress{Progress: schemas.Progress{Stage: sink.Stage + "/" + panesTopic(), Source: output}})
	}
	return out
}

func insert(t *testing.T, conn driver.Conn, rows ...clickhouse.Rows) {
	t.Helper()
	client := clickhouse.NewClient(conn)
	for _, r := range rows {
		if err := client.Insert(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func reset(t *testing.T, conn driver.Conn) {
	t.Helper()
	chtest.Truncate(t, conn, "events", "panes", "progress")
}

func (h *history) insertEvents(t *testing.T, conn driver.Conn) {
	t.Helper()
	for p := range h.log {
		insert(t, conn, clickhouse.Events(h.log[p]))
	}
}

func run(t *testing.T, conn driver.Conn) Report {
	t.Helper()
	r, err := Run(context.WithoutCancel(t.Context()), conn, Kept{EventsDays: eventsDays}, start().Add(60*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAgreement: over random histories the fold and the SQL count exactly the
// same, both drained and in the middle of the stream.
func TestAgreement(t *testing.T) {
	conn := database(t)
	for seed := range uint64(seeds) {
		h := &history{rand: rand.New(rand.NewPCG(seed, 1))}
		for n := range 1500 {
			h.message(n)
		}
		t.Run(fmt.Sprintf("seed %d drained", seed), func(t *testing.T) {
			reset(t, conn)
			h.insertEvents(t, conn)
			panes := h.panes(h.end())
			insert(t, conn, panes, progress(h.end(), h.end()))
			for _, parts := range []string{"as inserted", "merged"} {
				if parts == "merged" {
					if err := conn.Exec(t.Context(), "OPTIMIZE TABLE events FINAL"); err != nil {
						t.Fatal(err)
					}
				}
				r := run(t, conn)
				if r.Differences != 0 || r.LeftOut != 0 || r.Compared != uint64(len(panes)) {
					t.Errorf("%s: compared %d of %d panes, left out %d, differences %d:\n%v", parts, r.Compared, len(panes), r.LeftOut, r.Differences, r.Examples)
				}
			}
		})
		t.Run(fmt.Sprintf("seed %d in the stream", seed), func(t *testing.T) {
			reset(t, conn)
			h.insertEvents(t, conn)
			folded := h.end()
			for p := range folded {
				folded[p] -= h.rand.IntN(40)
			}
			insert(t, conn, h.panes(folded), progress(folded, h.end()))
			if r := run(t, conn); r.Differences != 0 || r.Compared == 0 {
				t.Errorf("compared %d, left out %d, differences %d:\n%v", r.Compared, r.LeftOut, r.Differences, r.Examples)
			}
		})
	}
	if n := len(auditsOf(t, conn)); n != 3*seeds {
		t.Errorf("%d rows in audits, want one per run", n)
	}
}

func auditsOf(t *testing.T, conn driver.Conn) []string {
	t.Helper()
	return chtest.Column[string](t, conn, "SELECT concat(toString(differences), ' ', arrayStringConcat(examples, '; ')) FROM audits ORDER BY at")
}

// TestDifferences: whatever number is wrong in panes is found and named.
func TestDifferences(t *testing.T) {
	conn := database(t)
	h := &history{rand: rand.New(rand.NewPCG(42, 1))}
	for n := range 300 {
		h.message(n)
	}
	h.insertEvents(t, conn)
	right := h.panes(h.end())
	insert(t, conn, progress(h.end(), h.end()))
	for name, c := range map[string]struct {
		change func(*schemas.Counts)
		want   string
	}{
		"sent":       {func(c *schemas.Counts) { c.Sent++ }, "sent"},
		"a bucket":   {func(c *schemas.Counts) { c.Outcomes[schemas.OutcomeEngaged][3]-- }, "engaged[3]"},
		"withheld":   {func(c *schemas.Counts) { c.Outcomes[schemas.OutcomeWithheld][0]++ }, "withheld[0]"},
		"late":       {func(c *schemas.Counts) { c.Late += 5 }, "late"},
		"recovered":  {func(c *schemas.Counts) { c.Recovered = -1 }, "recovered"},
		"a category": {func(c *schemas.Counts) { c.Failures = map[string]int64{"nonsense": 2} }, "failures[nonsense]"},
		"cost":       {func(c *schemas.Counts) { c.CostMicros = map[string]int64{"XXX": 1} }, "cost_micros[XXX]"},
		"billable":   {func(c *schemas.Counts) { c.Billable = map[string]int64{"nonsense": 1} }, "billable[nonsense]"},
	} {
		t.Run(name, func(t *testing.T) {
			chtest.Truncate(t, conn, "panes")
			wrong := slices.Clone(right)
			i := len(wrong) / 2
			wrong[i].Counts = wrong[i].Counts.Clone()
			c.change(&wrong[i].Counts)
			insert(t, conn, wrong)
			r := run(t, conn)
			found := slices.ContainsFunc(r.Examples, func(d Difference) bool {
				return d.Column == c.want && d.Source == wrong[i].Source && d.Minute.Unix() == wrong[i].Minute && d.Campaign == wrong[i].Tuple.Campaign
			})
			if !found {
				t.Errorf("want %s among %v", c.want, r.Examples)
			}
		})
	}
	t.Run("a pane too many and one too few", func(t *testing.T) {
		chtest.Truncate(t, conn, "panes")
		moved := slices.Clone(right)
		moved[0].Tuple.Segment = "elsewhere"
		zero := moved[1]
		zero.Tuple.Segment, zero.Counts = "emptied", schemas.Counts{} // equals no row
		insert(t, conn, append(moved, zero))
		r := run(t, conn)
		if r.Differences < 2 || r.Compared != uint64(len(right))+1 {
			t.Errorf("differences %d, compared %d, want at least 2 and %d", r.Differences, r.Compared, len(right)+1)
		}
	})
	all := auditsOf(t, conn)
	if last := all[len(all)-1]; !strings.Contains(last, "in panes") {
		t.Errorf("audits says %q", last)
	}
}

// TestLeftOut: what the cut, a relapse or the TTL touches takes no part.
func TestLeftOut(t *testing.T) {
	at := func(d time.Duration) schemas.Instant { return schemas.InstantOf(start().Add(d)) }
	event := func(id string, typ schemas.EventType, occurred schemas.Instant) schemas.Event {
		return schemas.Event{
			Type: typ, Channel: schemas.ChannelWhatsApp, Account: "acme", OccurredAt: occurred,
			MessageKey: schemas.MessageKey(schemas.ChannelWhatsApp, "acme", id),
		}
	}
	const day = 24 * time.Hour
	conn := database(t)
	t.Run("cut", func(t *testing.T) {
		reset(t, conn)
		h := &history{}
		h.add(0, event("a", schemas.TypeSent, at(0)))
		h.add(0, event("b", schemas.TypeSent, at(time.Minute)))
		h.add(0, event("c", schemas.TypeSent, at(2*time.Minute)))
		h.add(0, event("b", schemas.TypeSent, at(-time.Minute))) // moves b; not folded yet
		h.insertEvents(t, conn)
		folded := [partitions]int{3}
		insert(t, conn, h.panes(folded), progress(folded, h.end()))
		r := run(t, conn)
		// b's old minute has a pane, its new one only a message.
		if r.Differences != 0 || r.Compared != 2 || r.LeftOut != 2 || r.Cuts[0] != 3 {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("a newer pane", func(t *testing.T) {
		reset(t, conn)
		h := &history{}
		h.add(0, event("a", schemas.TypeSent, at(0)))
		h.add(0, event("b", schemas.TypeSent, at(time.Minute)))
		h.insertEvents(t, conn)
		insert(t, conn, h.panes(h.end()), progress([partitions]int{1}, h.end())) // versions are 1: at the cut
		if r := run(t, conn); r.Differences != 0 || r.Compared != 0 || r.LeftOut != 2 {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("an output partition that has said nothing", func(t *testing.T) {
		reset(t, conn)
		h := &history{}
		h.add(0, event("a", schemas.TypeSent, at(0)))
		h.insertEvents(t, conn)
		insert(t, conn, h.panes(h.end()), progress(h.end(), h.end()),
			clickhouse.Progresses{{Progress: schemas.Progress{Stage: sink.Stage + "/" + panesTopic(), Source: 2}}})
		if r := run(t, conn); r.Cuts[0] != 0 || r.LeftOut != 1 {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("relapsed", func(t *testing.T) {
		reset(t, conn)
		h := &history{}
		h.add(0, event("a", schemas.TypeSent, at(0)))
		h.add(0, event("a", schemas.TypeDelivered, at(60*day)))
		h.add(0, event("b", schemas.TypeSent, at(time.Minute)))
		h.insertEvents(t, conn)
		panes := h.panes(h.end())
		anew := panes[0] // what the fold makes of the forgotten message
		anew.Minute, anew.Counts.Sent = at(60*day).Seconds(), 1
		insert(t, conn, append(panes, anew), progress(h.end(), h.end()))
		if r := run(t, conn); r.Differences != 0 || r.Relapsed != 1 || r.Compared != 1 || r.LeftOut != 2 {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("expired", func(t *testing.T) {
		reset(t, conn)
		h := &history{}
		h.add(0, event("a", schemas.TypeSent, at(0)))
		h.insertEvents(t, conn)
		insert(t, conn, h.panes(h.end()), progress(h.end(), h.end()))
		r, err := Run(t.Context(), conn, Kept{EventsDays: eventsDays}, start().AddDate(0, 0, eventsDays-schemas.MemoryDays+1))
		if err != nil {
			t.Fatal(err)
		}
		if r.Expired != 1 || r.Compared != 0 {
			t.Errorf("got %+v", r)
		}
	})
}

// TestNothingToCompare: where no epoch counts, the audit fails to answer, and does
// not report agreement.
func TestNothingToCompare(t *testing.T) {
	conn := database(t)
	if err := conn.Exec(t.Context(), "TRUNCATE TABLE epochs"); err != nil {
		t.Fatal(err)
	}
	if r, err := Run(t.Context(), conn, Kept{EventsDays: eventsDays}, start()); err == nil {
		t.Errorf("no error without an epoch: %+v", r)
	}
}

// TestKept: the first minute that takes part, for every pair of TTLs.
func TestKept(t *testing.T) {
	now := start()
	for name, c := range map[string]struct {
		kept Kept
		want time.Time
	}{
		"both for ever":           {Kept{}, time.Unix(0, 0)},
		"events only":             {Kept{EventsDays: 100}, now.AddDate(0, 0, schemas.MemoryDays-100)},
		"panes only":              {Kept{PanesDays: 100}, now.AddDate(0, 0, -100).Add(time.Hour)},
		"panes sooner":            {Kept{EventsDays: 400, PanesDays: 90}, now.AddDate(0, 0, -90).Add(time.Hour)},
		"events sooner":           {Kept{EventsDays: 100, PanesDays: 400}, now.AddDate(0, 0, schemas.MemoryDays-100)},
		"panes for a single hour": {Kept{PanesDays: 1}, now.Add(-23 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.kept.oldest(now); got != c.want.Unix() {
				t.Errorf("got %s, want %s", time.Unix(got, 0).UTC(), c.want.UTC())
			}
		})
	}
}

// TestPanesPastTTL: what the TTL deleted is not a difference; what it left is
// compared.
func TestPanesPastTTL(t *testing.T) {
	conn := database(t)
	h := &history{}
	for n, day := range []int{0, 1, 30} {
		key := schemas.MessageKey(schemas.ChannelWhatsApp, "acme", fmt.Sprint(n))
		h.add(0, schemas.Event{
			Type: schemas.TypeSent, Channel: schemas.ChannelWhatsApp, Account: "acme", MessageKey: key,
			OccurredAt: schemas.InstantOf(start().AddDate(0, 0, day)),
		})
	}
	h.insertEvents(t, conn)
	panes := h.panes(h.end())
	panes = slices.DeleteFunc(panes, func(p schemas.Pane) bool { return p.Minute == start().Unix() }) // ClickHouse has deleted it
	insert(t, conn, panes, progress(h.end(), h.end()))
	now := start().AddDate(0, 0, 40)
	r, err := Run(t.Context(), conn, Kept{EventsDays: eventsDays, PanesDays: 20}, now)
	if err != nil {
		t.Fatal(err)
	}
	if r.Differences != 0 || r.Compared != 1 || r.Expired != 2 {
		t.Errorf("got %+v", r)
	}
	if r, err = Run(t.Context(), conn, Kept{EventsDays: eventsDays}, now); err != nil || r.Differences == 0 {
		t.Errorf("without a TTL the missing pane must be a difference: %+v, %v", r, err)
	}
}
