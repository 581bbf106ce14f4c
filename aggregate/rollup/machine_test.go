package rollup

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// kept is a log of rates: it keeps what it is given and never forgets.
type kept struct {
	rows     []task.Row
	progress []schemas.Progress
}

func (k *kept) Emit(_ context.Context, rows []task.Row) error {
	k.rows = append(k.rows, rows...)
	return nil
}

func (k *kept) Progress(_ context.Context, p schemas.Progress) error {
	k.progress = append(k.progress, p)
	return nil
}

var errCrash = errors.New("crash")

// TestMachineLosesNothing runs the roll-up on the real protocol and the real
// store, with crashes at every step of it: what reaches `rates` is what the
// definition says, no row is missing (I3), and a row that comes again is the
// same row (I2).
func TestMachineLosesNothing(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(8) {
		log := randomLog(seed, 250)
		cfg := smallConfig([]int{1, 40, 100_000}[seed%3])
		out := &kept{}
		rng := rand.New(rand.NewPCG(seed, 0x6d616368))
		fs, crashes := vfs.NewMem(), 0
		run := machineRun{cfg: cfg, log: log, out: out, fs: fs, rng: rng, fault: func() error {
			if crashes < 30 && rng.IntN(25) == 0 {
				crashes++
				return errCrash
			}
			return nil
		}}
		for !run.toEnd(t) {
		}
		compareRates(t, seed, distinct(t, seed, ratesOf(t, out.rows)), distinct(t, seed, bruteRates(cfg, log)))
		for i, p := range out.progress {
			if p.Stage != schemas.StageRollup || p.CompleteTo < 0 || p.CompleteTo%60_000 != 0 {
				t.Fatalf("seed %d: progress %d: %+v", seed, i, p)
			}
		}
	}
}

// The runtime can ask who holds the watermark, also after a restart.
func TestSourcesOfAMachine(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	var want []task.SourceStatus
	for i, p := range []*schemas.Progress{
		nil,
		{Epoch: 1, Stage: schemas.StageMessage, Source: 1, Sources: 2, NextOffset: 7, CompleteTo: 60_000},
		{Epoch: 1, Stage: schemas.StageMessage, Source: 0, Sources: 2, NextOffset: 0, CompleteTo: 30_000},
		nil,
	} {
		st, err := store.Open(store.Options{Dir: "rollup", FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		belongs, _ := st.Meta()
		belongs.Epoch, belongs.Topic, belongs.Partitions, belongs.LogicVersion = 1, schemas.TopicPanes, 1, Logic
		m, err := task.NewMachine(task.MachineConfig{
			Stage: schemas.StageRollup, Belongs: belongs, NewFold: NewFold(Default()), Store: st, Emitter: &kept{},
		})
		if err != nil {
			t.Fatal(err)
		}
		if p != nil {
			if want == nil {
				want = make([]task.SourceStatus, p.Sources)
			}
			want[p.Source] = task.SourceStatus{Partition: p.Source, Heard: true, NextOffset: p.NextOffset, CompleteTo: p.CompleteTo}
			if err := m.Apply(progressRecord(int64(i), 0, p)); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.Sources(); !slices.Equal(got, want) {
			t.Errorf("step %d: sources %+v, want %+v", i, got, want)
		}
		if _, err := m.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// machineRun is the roll-up on a log, with its state on fs and its rates in out.
type machineRun struct {
	cfg   Config
	log   []task.Record
	out   *kept
	fs    vfs.FS
	fault func() error // an error crashes the machine at a step
	rng   *rand.Rand   // when to flush and to make a checkpoint
}

// toEnd opens the state and applies the log from its offset on, with flushes and
// checkpoints now and then. It reports false after a crash.
func (r machineRun) toEnd(t *testing.T) bool {
	t.Helper()
	st, err := store.Open(store.Options{Dir: "rollup", FS: r.fs})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	belongs, _ := st.Meta()
	belongs.Epoch, belongs.Topic, belongs.Partitions, belongs.LogicVersion = 1, schemas.TopicPanes, 1, Logic
	m, err := task.NewMachine(task.MachineConfig{
		Stage: schemas.StageRollup, Belongs: belongs, NewFold: NewFold(r.cfg), Store: st, Emitter: r.out,
		Fault: func(task.Step) error { return r.fault() },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	step := func(err error) bool {
		if err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		return err == nil
	}
	for m.Next() < int64(len(r.log)) {
		if !step(m.Apply(r.log[m.Next()])) {
			return false
		}
		switch r.rng.IntN(16) {
		case 0, 1:
			_, err := m.Flush(ctx)
			if err == nil {
				_, err = m.Progress(ctx)
			}
			if !step(err) {
				return false
			}
		case 2, 3:
			if _, err := m.Checkpoint(ctx); !step(err) {
				return false
			}
		}
	}
	_, err = m.Checkpoint(ctx)
	return step(err)
}

// distinct keeps one of each row, in the order of keys and versions, and fails on
// two that differ.
func distinct(t *testing.T, seed uint64, rates []schemas.Rate) []schemas.Rate {
	t.Helper()
	slices.SortStableFunc(rates, bruteOrder)
	return slices.CompactFunc(rates, func(a, b schemas.Rate) bool {
		if bruteOrder(a, b) == 0 && a != b {
			t.Fatalf("emitted again with another value; seed %d\n%+v\n%+v", seed, a, b)
		}
		return a == b
	})
}
