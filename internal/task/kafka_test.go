package task_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	inTopic, outTopic = "in", "out"
	testLimit         = 30 * time.Second // of anything that is waited for
)

// count is a fold that counts records per key. A value of "bad" is rejected,
// one of "fatal" ends the task.
type count struct {
	st      store.State
	dirty   map[string]bool
	clock   schemas.Instant
	applied func(task.Record)
}

func newCount(applied func(task.Record)) task.NewFold {
	return func(_ task.Source, st store.State) (task.Fold, error) {
		f := &count{st: st, dirty: map[string]bool{}, applied: applied}
		n, err := f.get("clock")
		f.clock = schemas.Instant(n)
		return f, err
	}
}

func (f *count) get(key string) (uint64, error) {
	v, ok, err := f.st.Get([]byte(key))
	if err != nil || !ok {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

func (f *count) set(key string, n uint64) {
	f.st.Set([]byte(key), binary.BigEndian.AppendUint64(nil, n))
}

func (f *count) Apply(r task.Record) error {
	f.applied(r)
	switch string(r.Value) {
	case "bad":
		return &task.Reject{Reason: "bad_value", Err: errors.New("the value is bad")}
	case "fatal":
		return errors.New("the value is fatal")
	}
	f.clock = max(f.clock, r.Timestamp)
	n, err := f.get("k" + string(r.Key))
	f.set("k"+string(r.Key), n+1)
	f.dirty[string(r.Key)] = true
	return err
}

func (f *count) Dirty() int { return len(f.dirty) }

func (f *count) Drain(int64) []task.Row {
	var rows []task.Row
	for _, k := range slices.Sorted(maps.Keys(f.dirty)) {
		n, err := f.get("k" + k)
		if err != nil {
			panic(err)
		}
		rows = append(rows, task.Row{Topic: outTopic, Schema: "Count/1", Key: []byte(k), Value: fmt.Append(nil, n)})
	}
	clear(f.dirty)
	return rows
}

func (f *count) Save() error {
	f.set("clock", uint64(f.clock))
	return nil
}
func (f *count) CompleteTo() schemas.Instant { return max(f.clock, 1) }
func (f *count) DClock() schemas.Instant     { return f.clock }

// bench is one broker with its topics and a state folder.
type bench struct {
	t       *testing.T
	cluster *kfake.Cluster
	client  *kgo.Client
	admin   *kadm.Client
	fs      vfs.FS

	mu struct {
		sync.Mutex
		applied []string // topic offsets of every Apply
	}
}

func setUp(t *testing.T, partitions int32) *bench {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, inTopic), kfake.SeedTopics(3, outTopic, schemas.TopicDeadLetters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	b := &bench{t: t, cluster: c, fs: vfs.NewMem()}
	if b.client, err = kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	b.admin = kadm.NewClient(b.client)
	return b
}

func (b *bench) config() task.StageConfig {
	return task.StageConfig{
		Stage: "counting", Input: inTopic, Output: outTopic, Epoch: 5, Logic: "1", StateDir: "/state",
		Policy: task.Policy{
			FlushAfter: 2 * time.Millisecond, FewRows: 100, FlushManyAfter: 10 * time.Millisecond, MaxRows: 1000,
			MaxLetterBytes: 1 << 20, ProgressEvery: 10 * time.Millisecond, CheckpointEvery: 20 * time.Millisecond, MaxStateRows: 1000,
		},
		StopTimeout: testLimit,
	}
}

func (b *bench) deps() task.Deps {
	return task.Deps{
		Kafka: []kgo.Opt{kgo.SeedBrokers(b.cluster.ListenAddrs()...)},
		NewFold: newCount(func(r task.Record) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.mu.applied = append(b.mu.applied, fmt.Sprint(r.Offset))
		}),
		Now: time.Now, Log: slog.New(slog.DiscardHandler), FS: b.fs,
	}
}

func (b *bench) applied() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.mu.applied
	b.mu.applied = nil
	return a
}

func (b *bench) produce(partition int32, keyValues ...string) {
	b.t.Helper()
	for _, kv := range keyValues {
		k, v, _ := strings.Cut(kv, "=")
		r := &kgo.Record{
			Topic: inTopic, Partition: partition, Key: []byte(k), Value: []byte(v), Timestamp: time.Now(),
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderSchema, Value: []byte("Thing/1")}},
		}
		if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// start runs the stage and returns once it is ready; stop ends it and returns
// its error. ended is closed with it.
func (b *bench) start(cfg task.StageConfig, deps task.Deps) (stop func() error, ended <-chan struct{}) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	ready, done := make(chan struct{}), make(chan struct{})
	deps.Ready = func() { close(ready) }
	var err error
	go func() {
		defer close(done)
		err = task.RunStage(ctx, cfg, deps)
	}()
	select {
	case <-ready:
	case <-done:
		b.t.Fatalf("stage did not start: %v", err)
	}
	return func() error {
		cancel()
		<-done
		return err
	}, done
}

// read reads a topic from its start until enough says so.
func (b *bench) read(topic string, enough func(*kgo.Record) bool) {
	b.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(b.t.Context(), testLimit)
	defer cancel()
	for {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			b.t.Fatalf("read %s: %v", topic, err)
		}
		for it := f.RecordIter(); !it.Done(); {
			if enough(it.Next()) {
				return
			}
		}
	}
}

// waitCounts reads the output until the newest values are want.
func (b *bench) waitCounts(want map[string]string) {
	b.t.Helper()
	got := map[string]string{}
	b.read(outTopic, func(r *kgo.Record) bool {
		if r.Key != nil {
			got[string(r.Key)] = string(r.Value)
		}
		return maps.Equal(got, want)
	})
}

func schemaOf(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == schemas.HeaderSchema {
			return string(h.Value)
		}
	}
	return ""
}

func TestStopAndRestartResumes(t *testing.T) {
	b := setUp(t, 1)
	b.produce(0, "a=1", "a=2", "b=3")
	stop, _ := b.start(b.config(), b.deps())
	b.waitCounts(map[string]string{"a": "2", "b": "1"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(b.applied(), " "); got != "0 1 2" {
		t.Fatalf("first run applied %s", got)
	}
	b.produce(0, "a=4", "c=5")
	stop, _ = b.start(b.config(), b.deps())
	b.waitCounts(map[string]string{"a": "3", "b": "1", "c": "1"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(b.applied(), " "); got != "3 4" {
		t.Fatalf("second run applied %s: the checkpoint of the stop was not used", got)
	}
	// The group shows the lag, and is only that.
	offsets, err := b.admin.FetchOffsets(t.Context(), task.GroupName("counting", 5))
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup(inTopic, 0); !ok || o.At != 5 {
		t.Errorf("group offset %v %v, want 5", o.At, ok)
	}
}

// TestCrashReplays ends a run before its rows are acknowledged by the fault
// hook: the next run folds the same records again.
func TestCrashReplays(t *testing.T) {
	b := setUp(t, 1)
	b.produce(0, "a=1", "a=2")
	deps := b.deps()
	boom := errors.New("boom")
	deps.Fault = func(s task.Step) error {
		if s == task.StepAcked && len(b.applied()) > 0 {
			return boom
		}
		return nil
	}
	_, ended := b.start(b.config(), deps)
	<-ended
	b.produce(0, "a=3") // the counts of the first run are there already
	stop, _ := b.start(b.config(), b.deps())
	b.waitCounts(map[string]string{"a": "3"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(b.applied(), " "); got != "0 1 2" {
		t.Fatalf("applied %s after the crash", got)
	}
}

func TestProgressReachesEveryPartition(t *testing.T) {
	b := setUp(t, 2)
	b.produce(1, "a=1", "b=2")
	stop, _ := b.start(b.config(), b.deps())
	type way struct{ source, partition int32 }
	heard := map[way]bool{}
	rows := map[int32]bool{} // source 1's rows came before its Progress
	var bad string
	b.read(outTopic, func(r *kgo.Record) bool {
		if r.Key != nil {
			rows[r.Partition] = true
			return false
		}
		p, err := schemas.DecodeProgress(r.Value)
		if err != nil || schemaOf(r) != schemas.SchemaProgress || p.Epoch != 5 || p.Stage != "counting" || p.Sources != 2 {
			bad = fmt.Sprintf("%+v %v", p, err)
			return true
		}
		if p.CompleteTo > 0 && (p.Source == 0 && p.NextOffset == 0 || p.NextOffset == 2) {
			heard[way{p.Source, r.Partition}] = true
		}
		return len(heard) == 6
	})
	if bad != "" {
		t.Error(bad)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestRejectGoesToDeadLetters(t *testing.T) {
	b := setUp(t, 1)
	b.produce(0, "a=1", "a=bad", "a=3")
	deps := b.deps()
	reg := prometheus.NewRegistry()
	deps.Registerer = reg
	stop, _ := b.start(b.config(), deps)
	b.waitCounts(map[string]string{"a": "2"})
	b.read(schemas.TopicDeadLetters, func(r *kgo.Record) bool {
		d, err := schemas.DecodeDeadLetter(r.Value)
		if err != nil || d.Where != "in/0/1" || d.Reason != "bad_value" || !bytes.Equal(d.Item, []byte("bad")) || schemaOf(r) != schemas.SchemaDeadLetter {
			t.Errorf("letter %+v %v", d, err)
		}
		return true
	})
	text := gather(t, reg)
	for _, want := range []string{
		`bluetick_events_dropped_total{partition=0,reason=bad_value,stage=counting,} 1`,
		`bluetick_events_received_total{partition=0,stage=counting,} 3`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s:\n%s", want, text)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if left := gather(t, reg); left != "" {
		t.Errorf("metrics left after the stop:\n%s", left)
	}
}

func gather(t *testing.T, g prometheus.Gatherer) string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			s.WriteString(f.GetName() + "{")
			for _, l := range m.GetLabel() {
				s.WriteString(l.GetName() + "=" + l.GetValue() + ",")
			}
			fmt.Fprintf(&s, "} %v\n", m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
	return s.String()
}

// TestKeysGoWhereEveryClientPutsThem compares with a producer of defaults.
func TestKeysGoWhereEveryClientPutsThem(t *testing.T) {
	b := setUp(t, 1)
	plain, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.ListenAddrs()...), kgo.DefaultProduceTopic(outTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	var in []string
	want := map[string]int32{}
	for i := range 40 {
		k := fmt.Sprintf("key-%d", i)
		in = append(in, k+"=1")
		r, err := plain.ProduceSync(t.Context(), &kgo.Record{Key: []byte(k), Value: []byte("0")}).First()
		if err != nil {
			t.Fatal(err)
		}
		want[k] = r.Partition
	}
	b.produce(0, in...)
	stop, _ := b.start(b.config(), b.deps())
	seen := map[string]bool{}
	b.read(outTopic, func(r *kgo.Record) bool {
		if schemaOf(r) == "Count/1" {
			seen[string(r.Key)] = true
			if r.Partition != want[string(r.Key)] {
				t.Errorf("%s is in partition %d, want %d", r.Key, r.Partition, want[string(r.Key)])
			}
		}
		return len(seen) == len(want)
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
