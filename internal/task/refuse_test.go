package task_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
)

// TestRefusals runs a stage once, changes the world, and expects the next start
// to be refused with its reason.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		first  bool // run once before
		change func(t *testing.T, b *bench, cfg *task.StageConfig)
		want   task.RefusalReason
	}{
		{"no input topic", false, func(_ *testing.T, _ *bench, cfg *task.StageConfig) { cfg.Input = "missing" }, task.RefuseNoTopic},
		{"no output topic", false, func(_ *testing.T, _ *bench, cfg *task.StageConfig) { cfg.Output = "missing" }, task.RefuseNoTopic},
		{"no state and a truncated log", false, func(t *testing.T, b *bench, _ *task.StageConfig) { truncate(t, b, 2) }, task.RefuseNoState},
		{"log truncated beyond the state", true, func(t *testing.T, b *bench, _ *task.StageConfig) {
			b.produce(0, "a=1", "a=1")
			truncate(t, b, 4)
		}, task.RefuseLogTruncated},
		{"topic made again", true, func(t *testing.T, b *bench, _ *task.StageConfig) {
			if _, err := b.admin.DeleteTopic(t.Context(), inTopic); err != nil {
				t.Fatal(err)
			}
			if _, err := b.admin.CreateTopic(t.Context(), 1, 1, nil, inTopic); err != nil {
				t.Fatal(err)
			}
		}, task.RefuseOtherTopic},
		{"other logic", true, func(_ *testing.T, _ *bench, cfg *task.StageConfig) { cfg.Logic = "2" }, task.RefuseOtherLogic},
		{"more partitions", true, func(t *testing.T, b *bench, _ *task.StageConfig) {
			if _, err := b.admin.UpdatePartitions(t.Context(), 3, inTopic); err != nil {
				t.Fatal(err)
			}
		}, task.RefuseOtherPartitions},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setUp(t, 1)
			b.produce(0, "a=1", "a=2", "a=3")
			cfg := b.config()
			if c.first {
				stop, _ := b.start(cfg, b.deps())
				b.waitCounts(map[string]string{"a": "3"})
				if err := stop(); err != nil {
					t.Fatal(err)
				}
			}
			c.change(t, b, &cfg)
			err := task.RunStage(t.Context(), cfg, b.deps())
			var r *task.Refusal
			if !errors.As(err, &r) || r.Reason != c.want {
				t.Fatalf("got %v, want refusal %s", err, c.want)
			}
		})
	}
}

// TestTopicDeletedWhileRunning must not fold the records of a new topic of the
// same name into the state of the old one, nor spin.
func TestTopicDeletedWhileRunning(t *testing.T) {
	for _, c := range []struct {
		name string
		anew bool
		want []task.RefusalReason // made again: it may be seen before it is there
	}{
		{"deleted", false, []task.RefusalReason{task.RefuseNoTopic}},
		{"made again", true, []task.RefusalReason{task.RefuseOtherTopic, task.RefuseNoTopic}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setUp(t, 1)
			b.produce(0, "a=1", "a=2")
			stop, ended := b.start(b.config(), b.deps())
			b.waitCounts(map[string]string{"a": "2"})
			if _, err := b.admin.DeleteTopic(t.Context(), inTopic); err != nil {
				t.Fatal(err)
			}
			if c.anew {
				if _, err := b.admin.CreateTopic(t.Context(), 1, 1, nil, inTopic); err != nil {
					t.Fatal(err)
				}
				b.client.PurgeTopicsFromClient(inTopic)
				b.produce(0, "z=1", "z=2", "z=3", "z=4")
			}
			<-ended
			var r *task.Refusal
			if err := stop(); !errors.As(err, &r) || !slices.Contains(c.want, r.Reason) {
				t.Fatalf("got %v, want one of %v", err, c.want)
			}
			for _, offset := range b.applied() {
				if offset != "0" && offset != "1" {
					t.Errorf("record %s of the new topic was folded", offset)
				}
			}
		})
	}
}

func truncate(t *testing.T, b *bench, at int64) {
	t.Helper()
	var o kadm.Offsets
	o.AddOffset(inTopic, 0, at, -1)
	if _, err := b.admin.DeleteRecords(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestStateInUseIsRefused(t *testing.T) {
	b := setUp(t, 1)
	stop, _ := b.start(b.config(), b.deps())
	if err := task.RunStage(t.Context(), b.config(), b.deps()); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second process on one folder: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestFailureStopsTheRest: one task fails, the others leave with a checkpoint.
func TestFailureStopsTheRest(t *testing.T) {
	b := setUp(t, 2)
	b.produce(0, "a=1")
	stop, ended := b.start(b.config(), b.deps())
	b.waitCounts(map[string]string{"a": "1"})
	b.produce(1, "b=1", "b=fatal")
	<-ended
	err := stop()
	if err == nil || !strings.Contains(err.Error(), "in/1/1: the value is fatal") {
		t.Fatalf("got %v", err)
	}
	if next := b.committed(0); next != 1 {
		t.Errorf("the task that did not fail is checkpointed at %d, want 1", next)
	}
	if next := b.committed(1); next > 1 {
		t.Errorf("the fatal record is part of a checkpoint at %d", next)
	}
}

// committed opens the state of a partition after a run.
func (b *bench) committed(partition int) int64 {
	b.t.Helper()
	st, err := store.Open(store.Options{Dir: fmt.Sprintf("/state/5/in/%d", partition), FS: b.fs})
	if err != nil {
		b.t.Fatal(err)
	}
	m, _ := st.Meta()
	if err := st.Close(); err != nil {
		b.t.Fatal(err)
	}
	return m.NextOffset
}

// TestStopIsBounded: with the broker gone for good a stop ends by its limit,
// and says that the state is not checkpointed.
func TestStopIsBounded(t *testing.T) {
	b := setUp(t, 1)
	cfg := b.config()
	cfg.StopTimeout = 50 * time.Millisecond
	cfg.Policy.FlushAfter, cfg.Policy.FlushManyAfter, cfg.Policy.CheckpointEvery = time.Hour, time.Hour, time.Hour
	deps := b.deps()
	folded := make(chan struct{})
	deps.NewFold = newCount(func(task.Record) { close(folded) })
	stop, _ := b.start(cfg, deps)
	b.produce(0, "a=1")
	<-folded
	b.cluster.Close()
	if err := stop(); err == nil || !strings.Contains(err.Error(), "longer than its limit") {
		t.Fatalf("got %v", err)
	}
}

func TestStageConfigValidate(t *testing.T) {
	err := task.RunStage(context.Background(), task.StageConfig{Partitions: []int32{1, 1}, StopTimeout: -1}, task.Deps{})
	for _, want := range []string{"Stage is empty", "Input", "Logic", "StateDir", "negative", "named twice", "FlushAfter"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// TestStartStopStress starts and stops at random moments of the work; what is
// counted in the end is right. goleak watches for what stays behind.
func TestStartStopStress(t *testing.T) {
	b := setUp(t, 2)
	rounds := 15
	if testing.Short() {
		rounds = 4
	}
	want := map[string]int{}
	for i := range rounds {
		p := i % 2
		key := fmt.Sprintf("x%d", p)
		b.produce(int32(p), key+"=1", key+"=2")
		want[key] += 2
		stop, _ := b.start(b.config(), b.deps())
		if i%3 == 0 {
			b.produce(int32(p), key+"=3")
			want[key]++
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	stop, _ := b.start(b.config(), b.deps())
	text := map[string]string{}
	for k, n := range want {
		text[k] = strconv.Itoa(n)
	}
	b.waitCounts(text)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
