package sink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

func migrated(t testing.TB) driver.Conn {
	t.Helper()
	return chtest.Database(t, chtest.Open(t), func(ctx context.Context, options *ch.Options) error {
		_, err := clickhouse.Migrate(ctx, clickhouse.MigrateConfig{Options: options, Epoch: 1, Now: time.UnixMilli(1_770_000_000_000)})
		return err
	})
}

// crashing is a Store that dies at a given call: before the insert, or after it
// without an answer. landed is called after each insert of progress.
type crashing struct {
	*clickhouse.Client
	landed chan struct{}

	mu    sync.Mutex
	left  int  // calls to go; negative is never; guarded by mu
	after bool // immutable
}

// errCrash ends the sink as a kill would: an error that no list knows is tried again.
var errCrash error = &clickhouse.Refusal{Err: errors.New("killed")}

func (c *crashing) Insert(ctx context.Context, rows clickhouse.Rows, token string) error {
	c.mu.Lock()
	c.left--
	crash := c.left == 0
	c.mu.Unlock()
	if crash && !c.after {
		return errCrash
	}
	if err := c.Client.Insert(ctx, rows, token); err != nil {
		return err
	}
	if crash {
		return errCrash
	}
	if rows.Table() == "progress" {
		select {
		case c.landed <- struct{}{}:
		default:
		}
	}
	return nil
}

// workload is records for every topic: events with repeats, panes in rising
// versions with Progress between them, and records that belong nowhere.
func workload(r *rand.Rand) (records []*kgo.Record, panes map[int64]int64) {
	panes = map[int64]int64{}
	for n := range 300 {
		typ := schemas.TypeSent
		if n%10 == 0 {
			typ = schemas.TypeOptedOut
		}
		e := anEvent(n, typ)
		e.ContactKeys = []schemas.Key{key(byte(n))}
		for range 1 + r.IntN(2) {
			records = append(records, record(schemas.TopicEvents, int32(n%testPartitions), schemas.SchemaEvent, schemas.EncodeEvent(&e)))
		}
		minute := int64(1_770_000_000/60*60) + 60*int64(n%20)
		panes[minute] = int64(n)
		p := schemas.Pane{Epoch: 1, Minute: minute, Version: int64(n), Tuple: schemas.Tuple{Account: "acme", Channel: schemas.ChannelWhatsApp}, Counts: schemas.Counts{Sent: int64(n)}}
		at := int32(minute / 60 % testPartitions)
		records = append(records, record(schemas.TopicPanes, at, schemas.SchemaPane, schemas.EncodePane(&p)))
		if n%15 == 0 {
			for output := range int32(testPartitions) {
				progress := schemas.Progress{Epoch: 1, Stage: schemas.StageMessage, Sources: 1, NextOffset: int64(n) + 1, CompleteTo: 1_770_000_000_000}
				records = append(records, record(schemas.TopicPanes, output, schemas.SchemaProgress, schemas.EncodeProgress(&progress)))
			}
		}
		x := schemas.Rate{Epoch: 1, Series: schemas.Series{Account: "acme", Grouping: schemas.GroupAccount}, Window: 60, Age: 1800, At: minute, Version: int64(n), Totals: schemas.Totals{Sent: int64(n)}}
		records = append(records, record(schemas.TopicRates, 0, schemas.SchemaRate, schemas.EncodeRate(&x)))
	}
	letter := schemas.DeadLetter{Stage: "ingest", Source: "meta", Reason: "decode", ReceivedAt: 1_770_000_000_000, Item: []byte("x")}
	alert := schemas.Transition{Epoch: 1, Rule: "r", Series: schemas.Series{Account: "acme", Grouping: schemas.GroupAccount}, State: schemas.StateFiring, Version: 4}
	return append(records,
		record(schemas.TopicDeadLetters, 0, schemas.SchemaDeadLetter, schemas.EncodeDeadLetter(&letter)),
		record(schemas.TopicAlerts, 1, schemas.SchemaTransition, schemas.EncodeTransition(&alert)),
		record(schemas.TopicEvents, 2, schemas.SchemaEvent, []byte("garbage")),
	), panes
}

// endsOf is the number of records of each topic.
func endsOf(records []*kgo.Record) map[string]int64 {
	ends := map[string]int64{}
	for _, r := range records {
		ends[r.Topic]++
	}
	return ends
}

// TestCrashes: killed again and again, between any two inserts and in the
// middle of them, the tables hold every record once and the positions are the
// ends of the log.
func TestCrashes(t *testing.T) {
	conn := migrated(t)
	brokers := kafka(t)
	const seed = 11
	r := rand.New(rand.NewPCG(seed, 0))
	records, panes := workload(r)
	ends := endsOf(records)
	landed := make(chan struct{}, 1)
	cfg := quick()
	cfg.Limits.Rows = 40
	killed := 0
	for len(records) > 0 {
		n := min(1+r.IntN(200), len(records))
		produce(t, brokers, records[:n]...)
		records = records[n:]
		store := &crashing{Client: clickhouse.NewClient(conn), landed: landed, left: 1 + r.IntN(16), after: r.IntN(2) == 0}
		if err := Run(t.Context(), cfg, deps(t, brokers, store)); !errors.Is(err, errCrash) {
			t.Fatalf("seed %d: ended with %v, want a crash", seed, err)
		}
		killed++
	}
	store := &crashing{Client: clickhouse.NewClient(conn), landed: landed, left: -1}
	stop := start(t, cfg, deps(t, brokers, store))
	awaitEnds(t, conn, landed, ends)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed %d times", killed)
	for what, c := range map[string]struct {
		query string
		want  uint64
	}{
		"events":             {"SELECT count() FROM events FINAL", 300},
		"different events":   {"SELECT uniqExact(event_id) FROM events", 300},
		"opt-outs":           {"SELECT count() FROM opt_outs WHERE is_out", 30},
		"panes":              {"SELECT count() FROM panes FINAL", uint64(len(panes))},
		"rates":              {"SELECT count() FROM rates FINAL", 20},
		"alerts":             {"SELECT count() FROM alerts FINAL", 1},
		"dead letters":       {"SELECT count() FROM dead_letters FINAL", 2},
		"messages":           {"SELECT count() FROM v_messages", 270},
		"progress of stages": {"SELECT toUInt64(min(version)) FROM progress FINAL WHERE stage = 'message'", 286},
	} {
		if got := chtest.Value[uint64](t, conn, c.query); got != c.want {
			t.Errorf("seed %d: %s: %d, want %d", seed, what, got, c.want)
		}
	}
	for minute, sent := range panes {
		if got := chtest.Value[int64](t, conn, fmt.Sprintf("SELECT sent FROM panes FINAL WHERE minute = fromUnixTimestamp(%d)", minute)); got != sent {
			t.Errorf("seed %d: pane of %d counts %d, want the newest version's %d", seed, minute, got, sent)
		}
	}
}

func awaitEnds(t *testing.T, conn driver.Conn, landed <-chan struct{}, ends map[string]int64) {
	t.Helper()
	client := clickhouse.NewClient(conn)
	reached := func() bool {
		for topic, end := range ends {
			at, err := client.Positions(t.Context(), Stage+"/"+topic)
			if err != nil {
				t.Fatal(err)
			}
			n := int64(0)
			for _, p := range at {
				n += p.Next
			}
			if n != end {
				return false
			}
		}
		return true
	}
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for !reached() {
		select {
		case <-landed:
		case <-limit.C:
			t.Fatal("two minutes and not at the end of the log")
		}
	}
}

// TestOverlap: two sinks at once, and one that starts from nothing again, leave
// the same rows.
func TestOverlap(t *testing.T) {
	conn := migrated(t)
	brokers := kafka(t)
	records, _ := workload(rand.New(rand.NewPCG(3, 0)))
	produce(t, brokers, records...)
	ends := endsOf(records)
	content := func() string {
		return chtest.Value[string](t, conn, `SELECT concat(toString((SELECT (count(), sum(cityHash64(event_id, source_offset))) FROM events FINAL)),
			toString((SELECT (count(), sum(cityHash64(minute, sent, version))) FROM panes FINAL)),
			toString((SELECT (count(), sum(cityHash64(at, sent))) FROM rates FINAL)), toString((SELECT count() FROM dead_letters FINAL)))`)
	}
	run := func(sinks int) {
		landed := make(chan struct{}, 1)
		var stops []func() error
		for range sinks {
			cfg := quick()
			cfg.Limits.Rows = 50
			stops = append(stops, start(t, cfg, deps(t, brokers, &crashing{Client: clickhouse.NewClient(conn), landed: landed, left: -1})))
		}
		awaitEnds(t, conn, landed, ends)
		for _, stop := range stops {
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(1)
	once := content()
	chtest.Truncate(t, conn, "progress")
	run(2)
	if twice := content(); twice != once {
		t.Errorf("after a repeat by two sinks\n%s\nwant\n%s", twice, once)
	}
}

// BenchmarkInsert is the rows a second of each table through the driver into
// the embedded engine: encode, compress, insert.
func BenchmarkInsert(b *testing.B) {
	conn := migrated(b)
	client := clickhouse.NewClient(conn)
	const rows = 20_000
	var events clickhouse.Events
	var panes clickhouse.Panes
	var rates clickhouse.Rates
	for n := range rows {
		e := anEvent(n, schemas.TypeDelivered)
		e.Dimensions = schemas.Dimensions{Campaign: fmt.Sprint("campaign ", n%50), Template: "welcome", Variant: "A"}
		e.Sender, e.Country = "100200300", "NL"
		e.Cost = &schemas.Cost{Category: "marketing", Billable: true}
		events = append(events, clickhouse.Event{Event: e, Offset: int64(n)})
		p := schemas.Pane{Epoch: 1, Minute: int64(1_770_000_000/60*60) + 60*int64(n%600), Version: int64(n), Tuple: schemas.Tuple{Account: "acme", Channel: "whatsapp", Campaign: fmt.Sprint(n % 50), Country: "NL"}}
		p.Counts.Sent, p.Counts.Outcomes[schemas.OutcomeDelivered][2], p.Counts.CostMicros = 10, 9, map[string]int64{"EUR": 500_000}
		panes = append(panes, p)
		rates = append(rates, schemas.Rate{
			Epoch: 1, Series: schemas.Series{Account: "acme", Grouping: schemas.GroupCampaign, Channel: "whatsapp", Campaign: fmt.Sprint(n % 500)},
			Window: 60, Age: 1800, At: int64(1_770_000_000/60*60) + 60*int64(n/500), Version: int64(n), Totals: schemas.Totals{Sent: 100, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 97, schemas.OutcomeOpened: 60}},
		})
	}
	for _, r := range []clickhouse.Rows{events, panes, rates} {
		b.Run("table="+r.Table(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := client.Insert(b.Context(), r, ""); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
