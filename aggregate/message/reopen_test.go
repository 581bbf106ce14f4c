package message

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// A partition can be closed and opened again in one process with metrics on: the
// series leave with it, and come again with what the state remembers.
func TestPartitionOpensAgainWithMetrics(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	kafkatest.Topics(t, brokers, 2)
	registry := prometheus.NewRegistry()
	cfg := task.StageConfig{
		Stage: schemas.StageMessage, Input: schemas.TopicEvents, Output: schemas.TopicPanes, Partitions: []int32{1},
		Epoch: 1, Logic: Logic, StateDir: t.TempDir(), Embedded: true,
		Policy: task.DefaultPolicy(),
	}
	e := fact1("m", schemas.TypeSent, at(0, 0), at(0, 1))
	for i := 0; schemas.PartitionOf(schemas.EventKey(&e), 2) != 1; i++ {
		e = fact1(fmt.Sprint("m", i), schemas.TypeSent, at(0, 0), at(0, 1))
	}
	for life, records := range []int{1, 1, 0} { // an event, its repeat, and nothing
		client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		for range records {
			r := &kgo.Record{
				Topic: schemas.TopicEvents, Partition: 1, Key: schemas.EventKey(&e), Value: schemas.EncodeEvent(&e), Timestamp: at(0, 1).Time(),
				Headers: []kgo.RecordHeader{{Key: schemas.HeaderSchema, Value: []byte(schemas.SchemaEvent)}},
			}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		client.Close()
		folded := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		deps := task.Deps{
			Kafka: []kgo.Opt{kgo.SeedBrokers(brokers...)}, NewFold: NewFold(), Now: time.Now,
			Log: slog.New(slog.DiscardHandler), Registerer: registry,
			Ready: func() {
				if records == 0 {
					folded <- struct{}{}
				}
			},
			Fault: func(s task.Step) error {
				if s == task.StepApplied {
					folded <- struct{}{}
				}
				return nil
			},
		}
		done := make(chan error, 1)
		go func() { done <- task.RunStage(ctx, cfg, deps) }()
		select {
		case <-folded:
		case err := <-done:
			t.Fatalf("life %d ended: %v", life, err)
		}
		got := values(t, registry)
		for name, want := range map[string]float64{
			"bluetick_message_messages":        1,
			"bluetick_message_repeats_total":   []float64{0, 1, 0}[life],
			"bluetick_message_moves_total":     0,
			"bluetick_message_forgotten_total": 0,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("life %d: %s is %v (there: %v), want %v", life, name, v, ok, want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		if left := values(t, registry); len(left) != 0 {
			t.Errorf("life %d: after the close there is %v", life, left)
		}
	}
}

// values are the counters and gauges of partition 1; a total must be a counter.
func values(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if total := strings.HasSuffix(f.GetName(), "_total"); total != (f.GetType() == dto.MetricType_COUNTER) {
			t.Errorf("%s is of type %s", f.GetName(), f.GetType())
		}
		for _, m := range f.GetMetric() {
			got[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return got
}
