package task_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// script is a fold that does what a test tells it and notes its calls.
type script struct {
	calls []string
	dirty []task.Row
	apply func(task.Record) error
	acted []task.Row
	clock schemas.Instant
	// complete and shut are what Progress says.
	complete schemas.Instant
	shut     []schemas.Shutting
}

func (s *script) Apply(r task.Record) error {
	if s.apply != nil {
		if err := s.apply(r); err != nil {
			return err
		}
	}
	s.dirty = append(s.dirty, task.Row{Topic: "out", Key: r.Key, Value: fmt.Append(nil, r.Offset)})
	return nil
}
func (s *script) Dirty() int { return len(s.dirty) }
func (s *script) Drain(next int64) []task.Row {
	s.calls = append(s.calls, fmt.Sprintf("drain %d", next))
	rows := s.dirty
	s.dirty = nil
	return rows
}

func (s *script) Save() error {
	s.calls = append(s.calls, "save")
	return nil
}
func (s *script) CompleteTo() schemas.Instant   { return s.complete }
func (s *script) Shuttings() []schemas.Shutting { return s.shut }
func (s *script) DClock() schemas.Instant       { return s.clock }
func (s *script) Act(context.Context) ([]task.Row, error) {
	s.calls = append(s.calls, "act")
	return s.acted, nil
}

// Emit and Progress note what goes out, in the same list.
func (s *script) Emit(_ context.Context, rows []task.Row) error {
	for _, r := range rows {
		s.calls = append(s.calls, "emit "+string(r.Key))
	}
	return nil
}

func (s *script) Progress(_ context.Context, p schemas.Progress) error {
	s.calls = append(s.calls, fmt.Sprintf("progress %d to %d%v", p.NextOffset, p.CompleteTo, p.Shut))
	return nil
}

func newMachine(t *testing.T, s *script, change func(*task.MachineConfig)) (*task.Machine, *store.Store) {
	t.Helper()
	st, err := store.Open(store.Options{Dir: "/s", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := task.MachineConfig{
		Stage: "test", Belongs: store.Meta{Topic: "in", Partition: 3}, Store: st, Emitter: s,
		NewFold: func(task.Source, store.State) (task.Fold, error) { return s, nil },
	}
	if change != nil {
		change(&cfg)
	}
	m, err := task.NewMachine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m, st
}

// TestOrder pins the one order of the protocol, the commit included.
func TestOrder(t *testing.T) {
	s := &script{acted: []task.Row{{Key: []byte("acted")}}}
	m, st := newMachine(t, s, func(c *task.MachineConfig) {
		c.Fault = func(step task.Step) error {
			s.calls = append(s.calls, string(step))
			return nil
		}
	})
	if err := m.Apply(task.Record{Offset: 4, Key: []byte("k")}); err != nil {
		t.Fatal(err)
	}
	if n, err := m.Checkpoint(t.Context()); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, s.complete = range []schemas.Instant{0, 77} { // unknown, then known
		if to, err := m.Progress(t.Context()); to != s.complete || err != nil {
			t.Fatal(to, err)
		}
		s.shut = []schemas.Shutting{{From: 3, To: 9}}
	}
	want := "applied|drain 5|drained|emit k|acked|act|acted|emit acted|act-acked|save|saved|committed|progress 5 to 0[]|progressed|progress 5 to 77[{3 9}]|progressed"
	if got := strings.Join(s.calls, "|"); got != want {
		t.Errorf("order\n %s\nwant\n %s", got, want)
	}
	if meta, ok := st.Meta(); !ok || meta.NextOffset != 5 || meta.Topic != "in" {
		t.Errorf("meta %+v %v", meta, ok)
	}
	// Nothing happened since: nothing is committed.
	s.calls = nil
	if _, err := m.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(s.calls, "committed") {
		t.Error("a checkpoint without news was committed")
	}
}

// TestBrokenStaysBroken: after a failure at any step nothing is committed, even
// if the caller tries.
func TestBrokenStaysBroken(t *testing.T) {
	boom := errors.New("boom")
	for _, step := range []task.Step{
		task.StepApplied, task.StepDrained, task.StepAcked, task.StepActed, task.StepActAcked, task.StepSaved,
	} {
		t.Run(string(step), func(t *testing.T) {
			m, st := newMachine(t, &script{}, func(c *task.MachineConfig) {
				c.Fault = func(s task.Step) error {
					if s == step {
						return boom
					}
					return nil
				}
			})
			err := m.Apply(task.Record{})
			if err == nil {
				_, err = m.Checkpoint(t.Context())
			}
			if !errors.Is(err, boom) {
				t.Fatalf("got %v", err)
			}
			if _, err := m.Checkpoint(t.Context()); !errors.Is(err, boom) {
				t.Errorf("second try: %v", err)
			}
			if _, err := m.Progress(t.Context()); !errors.Is(err, boom) {
				t.Errorf("progress: %v", err)
			}
			if _, ok := st.Meta(); ok {
				t.Error("something was committed")
			}
		})
	}
}

func TestApplyErrors(t *testing.T) {
	t.Run("an error that is not a reject breaks the machine", func(t *testing.T) {
		boom := errors.New("boom")
		m, st := newMachine(t, &script{apply: func(task.Record) error { return boom }}, nil)
		if err := m.Apply(task.Record{Offset: 8}); !errors.Is(err, boom) || !strings.Contains(err.Error(), "in/3/8") {
			t.Fatalf("got %v", err)
		}
		if _, err := m.Checkpoint(t.Context()); !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
		if _, ok := st.Meta(); ok {
			t.Error("something was committed")
		}
	})
	t.Run("offsets must rise", func(t *testing.T) {
		m, _ := newMachine(t, &script{}, nil)
		if err := m.Apply(task.Record{Offset: 8}); err != nil {
			t.Fatal(err)
		}
		if err := m.Apply(task.Record{Offset: 8}); err == nil {
			t.Fatal("a record was folded twice")
		}
	})
}

func TestRejectBecomesDeadLetter(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		kept bool
	}{{"small", 3, true}, {"too large to repeat", 600 << 10, false}} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{apply: func(task.Record) error {
				return &task.Reject{Reason: "bad_value", Err: errors.New("it is odd")}
			}}
			var reasons []string
			var letters []schemas.DeadLetter
			m, _ := newMachine(t, s, func(cfg *task.MachineConfig) {
				cfg.Rejected = func(r string) { reasons = append(reasons, r) }
				cfg.Emitter = emitFunc(func(rows []task.Row) error {
					for _, r := range rows {
						d, err := schemas.DecodeDeadLetter(r.Value)
						if err != nil || r.Topic != schemas.TopicDeadLetters || r.Schema != schemas.SchemaDeadLetter || string(r.Key) != "in" {
							return fmt.Errorf("row %+v: %w", r, err)
						}
						letters = append(letters, d)
					}
					return nil
				})
			})
			if err := m.Apply(task.Record{Offset: 12, Timestamp: 99, Value: make([]byte, c.size)}); err != nil {
				t.Fatal(err)
			}
			if m.Rows() != 1 || m.LetterBytes() == 0 || m.Next() != 13 {
				t.Fatalf("rows %d, bytes %d, next %d", m.Rows(), m.LetterBytes(), m.Next())
			}
			if n, err := m.Checkpoint(t.Context()); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if len(letters) != 1 || !slices.Equal(reasons, []string{"bad_value"}) {
				t.Fatalf("letters %v, reasons %v", letters, reasons)
			}
			d := letters[0]
			if d.Stage != "test" || d.Source != "in" || d.Where != "in/3/12" || d.Reason != "bad_value" ||
				!strings.HasPrefix(d.Detail, "it is odd") || d.ReceivedAt != 99 || (len(d.Item) == c.size) != c.kept {
				t.Errorf("letter %+v", d)
			}
		})
	}
}

type emitFunc func([]task.Row) error

func (f emitFunc) Emit(_ context.Context, rows []task.Row) error    { return f(rows) }
func (f emitFunc) Progress(context.Context, schemas.Progress) error { return nil }
