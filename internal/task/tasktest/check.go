// Package tasktest is a model checker for folds on the task runtime: it drives
// the real Machine and the real store, on a file system in memory, through
// random histories of work, crashes at every step, power cuts, owners that do
// not know they were replaced, and moves to older copies of the state, and
// compares all that was ever emitted with a brute-force reading of the log.
//
// What it checks, by the runtime's numbers: I1 when a state is opened (its rows
// are those of the log before its offset), I2 for every row emitted, I3 at every
// checkpoint and every Progress, and in the end that a reader by I4 holds
// exactly the right rows.
package tasktest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/bluetick/bluetick/internal/task"
)

// Row is an output row as a reader sees it.
type Row struct {
	// Key is what a reader keeps one row of, within epoch and source partition.
	Key string
	// Version orders the rows of a key.
	Version int64
	// Offset is that of the record the version speaks of: Version itself for
	// most rows, Version/2 for transitions.
	Offset int64
	// Value is anything comparable that stands for the row's meaning; "" means
	// the same as no row, e.g. a pane that counts nothing.
	Value string
}

// Config is what Check checks.
type Config struct {
	// Stage names the stage in Progress and dead letters, whose Where begins
	// with "log/0/".
	Stage string
	// NewFold gets a Source of epoch 1 with one partition, in which any key may
	// be.
	NewFold task.NewFold
	// Log makes a random log; offsets must rise from 0. Some 20 to 100 records leave
	// room for crashes.
	Log func(r *rand.Rand) []task.Record
	// Row reads an emitted row; false leaves it out of the comparison.
	Row func(task.Row) (Row, bool)
	// Want is the brute force: the value of every key after the given prefix of
	// a log. nil takes a run of the fold without crashes instead, which finds
	// less.
	Want func(log []task.Record) map[string]string
	// LooseState allows equal prefixes to leave unequal stores; I1 is then checked
	// through the rows only.
	LooseState bool
	// Runs is the number of histories; 0 is 100, with -short it is 10.
	// BLUETICK_RUNS overrides it.
	Runs int

	mutant mutant
}

// mutant is a mistake built in on purpose, to see that the checker finds it; 0
// is none.
type mutant uint8

const (
	// checkpointBeforeAck: the emitter acknowledges rows that it has only taken,
	// so a checkpoint can become durable before they are.
	checkpointBeforeAck mutant = iota + 1
	// offsetApart: the task resumes at an offset kept outside the state.
	offsetApart
	// lastWriteWins: the reader keeps the row that came last.
	lastWriteWins
)

// Check runs the histories and fails t at the first difference. The seed is
// new in every run and printed; BLUETICK_SEED repeats one.
func Check(t testing.TB, c Config) {
	t.Helper()
	seed, runs := env(t, "BLUETICK_SEED", rand.Uint64()), int(env(t, "BLUETICK_RUNS", uint64(c.runs())))
	t.Logf("BLUETICK_SEED=%d BLUETICK_RUNS=%d", seed, runs)
	var total tally
	for i := range runs {
		got, err := run(c, seed+uint64(i))
		if err != nil {
			t.Fatalf("history %d (BLUETICK_SEED=%d BLUETICK_RUNS=1 repeats it): %v", i, seed+uint64(i), err)
		}
		total.add(got)
	}
	t.Logf("%d histories: %s", runs, total.String())
	if runs >= coverageRuns {
		for _, s := range total.missing() {
			t.Errorf("no crash at step %q in %d histories: the checker has lost its bite", s, runs)
		}
	}
}

// coverageRuns is how many histories must have crashed at every step.
const coverageRuns = 50

func (c Config) runs() int {
	switch {
	case testing.Short():
		return 10
	case c.Runs > 0:
		return c.Runs
	default:
		return 100
	}
}

func env(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
