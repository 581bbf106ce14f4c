package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/meter"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// burst is a fold whose every record makes as many rows as its value has bytes,
// and the Emitter that counts what waited.
type burst struct {
	rows    []Row
	rejects bool
	most    int   // rows that waited at once
	flushed []int // rows of each emission
}

func (b *burst) Apply(r Record) error {
	if b.rejects {
		return &Reject{Reason: "test", Err: errors.New("no")}
	}
	for range r.Value {
		b.rows = append(b.rows, Row{Topic: "out", Key: []byte("k")})
	}
	b.most = max(b.most, len(b.rows))
	return nil
}

func (b *burst) Drain(int64) []Row {
	rows := b.rows
	b.rows = nil
	return rows
}
func (b *burst) Dirty() int                  { return len(b.rows) }
func (b *burst) Save() error                 { return nil }
func (b *burst) CompleteTo() schemas.Instant { return 0 }
func (b *burst) DClock() schemas.Instant     { return 0 }

func (b *burst) Emit(_ context.Context, rows []Row) error {
	b.flushed = append(b.flushed, len(rows))
	return nil
}

func (b *burst) Progress(context.Context, schemas.Progress) error { return nil }

// burstTask is a task that was handed its fetches by hand.
func burstTask(t *testing.T, b *burst, p Policy) *task {
	t.Helper()
	st, err := store.Open(store.Options{Dir: "/s", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	m, err := NewMachine(MachineConfig{
		Stage: "test", Belongs: store.Meta{Topic: "in"}, Store: st, Emitter: b,
		NewFold: func(Source, store.State) (Fold, error) { return b, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	scope := meter.NewScope(prometheus.NewRegistry())
	t.Cleanup(scope.Close)
	g, err := newGauges(scope, "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	return &task{
		policy: p, machine: m, store: st, gauges: g, metrics: scope, where: "in[0]", topic: "in",
		now: time.Now, wall: time.Now, log: slog.New(slog.DiscardHandler),
	}
}

// fetched is one poll that holds a record for each number of bytes.
func fetched(sizes ...int) kgo.Fetches {
	p := kgo.FetchPartition{}
	for i, n := range sizes {
		p.Records = append(p.Records, &kgo.Record{Offset: int64(i), Value: make([]byte, n)})
	}
	return kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "in", Partitions: []kgo.FetchPartition{p}}}}}
}

// After an outage one poll can hold many records that each close much, and the
// rows went over their bound: 749,122 waited where 500,000 were allowed. The bound
// holds between any two records, and where it flushes depends on the records alone.
func TestRowsAreBoundedInsideOnePoll(t *testing.T) {
	for _, c := range []struct {
		name    string
		records []int
		flushed []int
		most    int
	}{
		{"below the bound nothing is flushed", []int{30, 30, 39}, nil, 99},
		{"the record that reaches it is the last before the flush", []int{30, 30, 40, 5}, []int{100}, 100},
		{"every record by itself", []int{150, 150, 150}, []int{150, 150, 150}, 150},
		{"at most one record beyond", []int{99, 60, 99, 60, 99}, []int{159, 159}, 159},
		{"no rows", []int{0, 0, 0}, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := DefaultPolicy()
			p.MaxRows, p.FewRows = 100, 10
			for _, cut := range [][]int{{len(c.records)}, slices.Repeat([]int{1}, len(c.records))} {
				b := &burst{}
				task := burstTask(t, b, p)
				all := fetched(c.records...)[0].Topics[0].Partitions[0].Records
				for _, n := range cut {
					poll := fetched()
					poll[0].Topics[0].Partitions[0].Records, all = all[:n], all[n:]
					if err := task.apply(t.Context(), poll); err != nil {
						t.Fatal(err)
					}
				}
				if !slices.Equal(b.flushed, c.flushed) || b.most != c.most {
					t.Errorf("polls of %v records: flushed %v with at most %d waiting, want %v and %d", cut, b.flushed, b.most, c.flushed, c.most)
				}
			}
		})
	}
}

// Dead letters are bounded by their bytes in the same way.
func TestLettersAreBoundedInsideOnePoll(t *testing.T) {
	p := DefaultPolicy()
	p.MaxLetterBytes = 3000
	b := &burst{rejects: true}
	task := burstTask(t, b, p)
	if err := task.apply(t.Context(), fetched(slices.Repeat([]int{1000}, 10)...)); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(b.flushed); got != "[3 3 3]" {
		t.Errorf("flushed %s letters, want 3 at a time", got)
	}
}
