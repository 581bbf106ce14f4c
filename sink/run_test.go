package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/internal/meter"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

const testPartitions = 3

// memory is a Store that keeps rows, and fails when told to. After every insert
// of progress it sends on landed.
type memory struct {
	landed chan struct{}

	mu        sync.Mutex
	fail      func(table string, attempt int) error // guarded by mu
	attempts  map[string][]clickhouse.Rows          // by token; guarded by mu
	rows      map[string]int                        // by table; guarded by mu
	positions map[string]map[int32]clickhouse.Position
}

func newMemory() *memory {
	return &memory{
		landed: make(chan struct{}, 1), fail: func(string, int) error { return nil },
		attempts: map[string][]clickhouse.Rows{}, rows: map[string]int{}, positions: map[string]map[int32]clickhouse.Position{},
	}
}

func (m *memory) Insert(_ context.Context, rows clickhouse.Rows, token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempts[token] = append(m.attempts[token], rows)
	if err := m.fail(rows.Table(), len(m.attempts[token])); err != nil {
		return err
	}
	m.rows[rows.Table()] += rows.Len()
	progress, ok := rows.(clickhouse.Progresses)
	if !ok {
		return nil
	}
	for _, p := range progress {
		if !strings.HasPrefix(p.Stage, Stage+"/") {
			continue
		}
		if m.positions[p.Stage] == nil {
			m.positions[p.Stage] = map[int32]clickhouse.Position{}
		}
		m.positions[p.Stage][p.Source] = clickhouse.Position{Next: p.NextOffset, TopicID: p.TopicID}
	}
	select {
	case m.landed <- struct{}{}:
	default:
	}
	return nil
}

func (m *memory) Positions(_ context.Context, stage string) (map[int32]clickhouse.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[int32]clickhouse.Position{}
	for p, at := range m.positions[stage] {
		out[p] = at
	}
	return out, nil
}

func (m *memory) count(table string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rows[table]
}

// await waits until the condition holds after some insert of progress.
func (m *memory) await(t *testing.T, until func() bool) {
	t.Helper()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	for !until() {
		select {
		case <-m.landed:
		case <-limit.C:
			t.Fatal("a minute without what was waited for")
		}
	}
}

func quick() Config {
	c := Default()
	c.Linger, c.Heartbeat, c.StopTimeout = 20*time.Millisecond, 50*time.Millisecond, 5*time.Second
	return c
}

func deps(t *testing.T, brokers []string, store Store) Deps {
	return Deps{
		Kafka: []kgo.Opt{kgo.SeedBrokers(brokers...)}, Store: store, Now: time.Now, Registerer: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

// start runs the sink and returns a function that ends it, waits, and gives its
// error.
func start(t *testing.T, cfg Config, d Deps) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, d) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	t.Cleanup(func() { _ = stop() }) // the test has looked at it
	return stop
}

func kafka(t *testing.T) []string {
	t.Helper()
	brokers := kafkatest.Brokers(t)
	kafkatest.Topics(t, brokers, testPartitions)
	return brokers
}

func produce(t *testing.T, brokers []string, records ...*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// record goes to the partition of its key; one without a key to the given one.
func record(topic string, partition int32, schema string, value []byte) *kgo.Record {
	key := keyOf(schema, value)
	if len(key) > 0 {
		partition = schemas.PartitionOf(key, testPartitions)
	}
	return &kgo.Record{
		Topic: topic, Partition: partition, Key: key, Value: value, Timestamp: time.UnixMilli(1_770_000_000_000),
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderSchema, Value: []byte(schema)}},
	}
}

// events are one after the other in the partitions, by their own keys.
func events(from, to int) []*kgo.Record {
	var out []*kgo.Record
	for n := from; n < to; n++ {
		e := anEvent(1000*n, schemas.TypeSent)
		for m := 1; schemas.PartitionOf(schemas.EventKey(&e), testPartitions) != int32(n%testPartitions); m++ {
			e = anEvent(1000*n+m, schemas.TypeSent)
		}
		out = append(out, record(schemas.TopicEvents, int32(n%testPartitions), schemas.SchemaEvent, schemas.EncodeEvent(&e)))
	}
	return out
}

func TestRunGoesOnWhereItStopped(t *testing.T) {
	brokers, store := kafka(t), newMemory()
	produce(t, brokers, events(0, 10)...)
	stop := start(t, quick(), deps(t, brokers, store))
	store.await(t, func() bool { return store.count("events") == 10 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	produce(t, brokers, events(10, 15)...)
	stop = start(t, quick(), deps(t, brokers, store))
	store.await(t, func() bool { return store.count("events") >= 15 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := store.count("events"); n != 15 {
		t.Errorf("%d rows inserted, want each of 15 records once", n)
	}
}

func TestEveryPartitionHasAPositionFromTheStart(t *testing.T) {
	brokers, store := kafka(t), newMemory()
	stop := start(t, quick(), deps(t, brokers, store))
	store.await(t, func() bool {
		n := 0
		for _, topic := range topics(1) {
			at, err := store.Positions(t.Context(), Stage+"/"+topic)
			if err != nil {
				t.Fatal(err)
			}
			n += len(at)
		}
		return n == len(topics(1))*testPartitions
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestStopInsertsWhatItHolds(t *testing.T) {
	brokers, store := kafka(t), newMemory()
	produce(t, brokers, events(0, 5)...)
	cfg := quick()
	cfg.Linger = time.Hour
	d := deps(t, brokers, store)
	stop := start(t, cfg, d)
	store.await(t, func() bool { return total(t, d, "records_received_total") == 5 }) // heartbeats of the other topics
	if n := store.count("events"); n != 0 {
		t.Fatalf("%d rows inserted before the stop", n)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := store.count("events"); n != 5 {
		t.Errorf("%d rows inserted, want 5", n)
	}
	// The metrics are unregistered with the sink, and come back with the next
	// one.
	if n := total(t, d, "records_received_total"); n != 0 {
		t.Errorf("after the stop %d records are counted", n)
	}
	scope := meter.NewScope(d.Registerer)
	if _, err := newMetrics(scope); err != nil {
		t.Errorf("the sink opens again: %v", err)
	}
	scope.Close()
}

// total adds a counter over its labels.
func total(t *testing.T, d Deps, name string) int {
	t.Helper()
	registry, ok := d.Registerer.(*prometheus.Registry)
	if !ok {
		t.Fatal("no registry")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0.0
	for _, f := range families {
		if f.GetName() == "bluetick_sink_"+name {
			for _, m := range f.Metric {
				n += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return int(n)
}

// TestRetries: S3, a batch is the same rows under the same token until it is in.
func TestRetries(t *testing.T) {
	exception := func(code int32) error { return fmt.Errorf("insert: %w", &ch.Exception{Code: code}) }
	for name, failure := range map[string]error{
		"too many parts":      exception(252),
		"cut off":             fmt.Errorf("send: %w", context.DeadlineExceeded),
		"connection refused":  &net.OpError{Op: "dial", Err: errors.New("connection refused")},
		"answer never came":   &net.OpError{Op: "read", Err: errors.New("connection reset by peer")},
		"status of it unsure": exception(319),
		"code of tomorrow":    exception(9999),
		"words of nobody":     errors.New("the engine gave no connection"),
	} {
		t.Run(name, func(t *testing.T) {
			brokers, store := kafka(t), newMemory()
			store.fail = func(table string, attempt int) error {
				if table == "events" && attempt < 3 {
					return failure
				}
				return nil
			}
			produce(t, brokers, events(0, 7)...)
			d := deps(t, brokers, store)
			stop := start(t, quick(), d)
			store.await(t, func() bool { return store.count("events") == 7 })
			counted := total(t, d, "errors_total") // before the metrics are unregistered with the sink
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			repeated := 0
			for token, rows := range store.attempts {
				for _, r := range rows[1:] {
					repeated++
					if !reflect.DeepEqual(r, rows[0]) {
						t.Errorf("%s: another batch under the same token", token)
					}
				}
			}
			if repeated < 2 {
				t.Errorf("repeated %d times, want at least 2", repeated)
			}
			if counted < 2 {
				t.Errorf("%d errors counted, want at least 2", counted)
			}
		})
	}
}

func TestPermanentErrorsEndIt(t *testing.T) {
	brokers := kafka(t)
	t.Run("of ClickHouse", func(t *testing.T) {
		store := newMemory()
		store.fail = func(table string, _ int) error {
			if table == "events" {
				return &ch.Exception{Code: 60, Message: "no such table"}
			}
			return nil
		}
		produce(t, brokers, events(0, 1)...)
		err := Run(t.Context(), quick(), deps(t, brokers, store))
		if err == nil || !strings.Contains(err.Error(), "insert events [") || strings.Count(err.Error(), "insert events [") != 1 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of the position", func(t *testing.T) {
		store := newMemory()
		store.positions["sink/"+schemas.TopicRates] = map[int32]clickhouse.Position{1: {Next: 5, TopicID: "another"}}
		err := Run(t.Context(), quick(), deps(t, brokers, store))
		if err == nil || !strings.Contains(err.Error(), "was made anew") {
			t.Errorf("got %v", err)
		}
	})
}

func TestStartStop(t *testing.T) {
	brokers, store := kafka(t), newMemory()
	produce(t, brokers, events(0, 50)...)
	for range 20 {
		stop := start(t, quick(), deps(t, brokers, store))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	stop := start(t, quick(), deps(t, brokers, store))
	store.await(t, func() bool {
		at, err := store.Positions(t.Context(), "sink/"+schemas.TopicEvents)
		return err == nil && at[0].Next+at[1].Next+at[2].Next == 50
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := store.count("events"); n != 50 {
		t.Errorf("%d rows, want 50", n)
	}
}

func TestClassify(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want clickhouse.Class
	}{
		"memory limit":   {&ch.Exception{Code: 241}, clickhouse.ClassRetryable},
		"no such column": {&ch.Exception{Code: 16}, clickhouse.ClassPermanent},
		"wrong password": {&ch.Exception{Code: 516}, clickhouse.ClassPermanent},
		"aborted":        {&ch.Exception{Code: 236}, clickhouse.ClassAmbiguous},
		"bad block":      {&clickhouse.Refusal{Err: errors.New("cannot convert")}, clickhouse.ClassPermanent},
		"refused":        {&clickhouse.Refusal{Err: errors.New("x")}, clickhouse.ClassPermanent},
		"no connection":  {&ch.Exception{Code: 203}, clickhouse.ClassRetryable},
		"new code":       {&ch.Exception{Code: 9999}, clickhouse.ClassUnknown},
		"no threads":     {errors.New("std::system_error: Resource temporarily unavailable"), clickhouse.ClassUnknown},
		"no files":       {fmt.Errorf("open part: %w", syscall.EMFILE), clickhouse.ClassAmbiguous},
		"broker is full": {kerr.UnknownServerError, clickhouse.ClassUnknown},
		"pool empty":     {ch.ErrAcquireConnTimeout, clickhouse.ClassRetryable},
		"bad gateway":    {&ch.HTTPError{StatusCode: 502, Err: errors.New("response body: <html>")}, clickhouse.ClassAmbiguous},
		"too many":       {&ch.HTTPError{StatusCode: 429, Err: errors.New("response body: slow down")}, clickhouse.ClassAmbiguous},
		"not found":      {&ch.HTTPError{StatusCode: 404, Err: errors.New("response body: <html>")}, clickhouse.ClassPermanent},
		"syntax error":   {&ch.HTTPError{StatusCode: 500, Err: &ch.Exception{Code: 62}}, clickhouse.ClassPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			if got := classify(fmt.Errorf("insert: %w", c.err)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestGap(t *testing.T) {
	brokers, store := kafka(t), newMemory()
	stop := start(t, quick(), deps(t, brokers, store))
	produce(t, brokers, events(0, 3)...) // one record a partition
	store.await(t, func() bool { return store.count("events") == 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	produce(t, brokers, events(3, 12)...)
	deleteBefore(t, brokers, 1, 3) // offsets 1 and 2 of partition 1 are gone
	err := Run(t.Context(), quick(), deps(t, brokers, store))
	if err == nil || !strings.Contains(err.Error(), "bluetick.events[1]: offsets 1 to 2 were deleted by retention") {
		t.Errorf("got %v", err)
	}
	cfg := quick()
	cfg.AcceptGap = true
	stop = start(t, cfg, deps(t, brokers, store))
	store.await(t, func() bool { return store.count("events") == 10 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func deleteBefore(t *testing.T, brokers []string, partition int32, offset int64) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var to kadm.Offsets
	to.AddOffset(schemas.TopicEvents, partition, offset, -1)
	deleted, err := kadm.NewClient(cl).DeleteRecords(t.Context(), to)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}
