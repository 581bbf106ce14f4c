package task_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// sink acknowledges everything.
type sink struct{}

func (sink) Emit(context.Context, []task.Row) error           { return nil }
func (sink) Progress(context.Context, schemas.Progress) error { return nil }

// BenchmarkApply folds records of 1 M keys, 30 % of them new, with a checkpoint
// every 250,000 as in production and a flush every 10,000: the runtime and the
// store, without Kafka.
func BenchmarkApply(b *testing.B) {
	st, err := store.Open(store.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	m, err := task.NewMachine(task.MachineConfig{
		Stage: "bench", Belongs: store.Meta{Topic: "in"}, Store: st, Emitter: sink{},
		NewFold: newCount(func(task.Record) {}),
	})
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var key [16]byte
	fresh, n := uint64(0), int64(0)
	b.ReportAllocs()
	for b.Loop() {
		id := fresh
		if r.IntN(10) < 3 || fresh == 0 {
			fresh++
		} else {
			id = fresh - 1 - r.Uint64N(min(fresh, 1_000_000))
		}
		binary.BigEndian.PutUint64(key[:], id*0x9e3779b97f4a7c15)
		if err := m.Apply(task.Record{Offset: n, Timestamp: schemas.Instant(n), Key: key[:]}); err != nil {
			b.Fatal(err)
		}
		n++
		switch {
		case n%250_000 == 0:
			_, err = m.Checkpoint(b.Context())
		case n%10_000 == 0:
			_, err = m.Flush(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
