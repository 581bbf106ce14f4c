package tasktest

import (
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestToyFold(t *testing.T) { Check(t, toyConfig()) }

// TestWithoutBruteForce takes the fold's own run without crashes as the truth.
func TestWithoutBruteForce(t *testing.T) {
	c := toyConfig()
	c.Want, c.Runs = nil, 20
	Check(t, c)
}

// TestMutantsAreCaught builds the tempting mistakes in, one at a time. A
// checker that passes them proves nothing.
func TestMutantsAreCaught(t *testing.T) {
	for _, c := range []struct {
		name   string
		mutant mutant
	}{
		{"checkpoint before ack", checkpointBeforeAck},
		{"offset apart from state", offsetApart},
		{"last write wins", lastWriteWins},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := toyConfig()
			cfg.mutant = c.mutant
			wantCaught(t, cfg)
		})
	}
}

// TestWrongFoldsAreCaught does the same with mistakes a fold can make.
func TestWrongFoldsAreCaught(t *testing.T) {
	for _, c := range []struct {
		name string
		fold func(*toy) task.Fold
	}{
		{"emits deltas", func(f *toy) task.Fold { return &deltas{toy: f, last: map[string]string{}} }},
		{"keeps state in memory only", func(f *toy) task.Fold { return &forgetful{toy: f} }},
		{"forgets its clock", func(f *toy) task.Fold { f.clock = 0; return f }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := toyConfig()
			cfg.NewFold = func(src task.Source, st store.State) (task.Fold, error) {
				f, err := newToy(src, st)
				if err != nil {
					return nil, err
				}
				return c.fold(f.(*toy)), nil
			}
			wantCaught(t, cfg)
		})
	}
}

func wantCaught(t *testing.T, c Config) {
	t.Helper()
	seed := env(t, "BLUETICK_SEED", rand.Uint64())
	const runs = 1000
	for i := range uint64(runs) {
		if err := runCaught(c, seed+i); err != nil {
			t.Logf("found in history %d: %v", i, err)
			return
		}
	}
	t.Fatalf("BLUETICK_SEED=%d: no history of %d found the mistake", seed, runs)
}

// runCaught takes a broken invariant (checked under -race only) as a finding.
func runCaught(c Config, seed uint64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			text, ok := p.(string)
			if !ok || !strings.HasPrefix(text, "BUG: ") {
				panic(p)
			}
			err = &bug{text}
		}
	}()
	_, err = run(c, seed)
	return err
}

type bug struct{ text string }

func (b *bug) Error() string { return b.text }

// deltas emits changes in place of values: the last version of a key is not its
// value.
type deltas struct {
	*toy
	last map[string]string
}

func (d *deltas) Drain(next int64) []task.Row {
	rows := d.toy.Drain(next)
	for i := range rows {
		version, _, _ := strings.Cut(string(rows[i].Value), " ")
		rows[i].Value = []byte(version + " 1")
	}
	return rows
}

// forgetful does not write its last message to the store.
type forgetful struct{ *toy }

func (f *forgetful) Save() error {
	return f.st.DeleteRange([]byte("m"), []byte("n"))
}
