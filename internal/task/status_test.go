package task_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

func TestStatusWords(t *testing.T) {
	for name, c := range map[string]struct {
		status            task.Status
		lag               int64
		caughtUp, drained bool
	}{
		"empty log":          {task.Status{}, 0, true, true},
		"behind":             {task.Status{NextOffset: 3, EndOffset: 10}, 7, false, false},
		"at the end":         {task.Status{NextOffset: 10, EndOffset: 10}, 0, true, true},
		"rows to be flushed": {task.Status{NextOffset: 10, EndOffset: 10, Dirty: 1}, 0, true, false},
		"ahead of what it last heard of the log's end": {task.Status{NextOffset: 11, EndOffset: 10}, 0, true, true},
	} {
		s := c.status
		if s.Lag() != c.lag || s.CaughtUp() != c.caughtUp || s.Drained() != c.drained {
			t.Errorf("%s: lag %d, caught up %v, drained %v", name, s.Lag(), s.CaughtUp(), s.Drained())
		}
	}
}

func TestNoBoard(t *testing.T) {
	var none *task.Board
	if got := none.All(); len(got) != 0 {
		t.Errorf("a nil board shows %+v", got)
	}
	if got := new(task.Board).Of("counting"); len(got) != 0 {
		t.Errorf("an empty board shows %+v", got)
	}
}

// progressTwice reads the output until partition source has reported next twice:
// the step that reported it first has ended by then, and the board shows what it
// did.
func (b *bench) progressTwice(source int32, next int64) schemas.Instant {
	b.t.Helper()
	said := 0
	var first schemas.Instant
	b.read(outTopic, func(r *kgo.Record) bool {
		if r.Partition != 0 || schemaOf(r) != schemas.SchemaProgress {
			return false
		}
		p, err := schemas.DecodeProgress(r.Value)
		if err != nil {
			b.t.Fatal(err)
		}
		if p.Source == source && p.NextOffset == next {
			if said++; said == 1 {
				first = p.CompleteTo
			}
		}
		return said == 2
	})
	return first
}

func TestBoardFollowsAStage(t *testing.T) {
	b := setUp(t, 2)
	b.produce(0, "a=1", "a=2", "b=3")
	board := new(task.Board)
	deps := b.deps()
	deps.Board = board
	stop, _ := b.start(b.config(), deps)
	// From the first moment on, so that nobody takes a stage that is about to
	// read for one that has nothing to read.
	opened := board.Of("counting")
	if len(opened) != 2 || opened[0].EndOffset != 3 || opened[1].EndOffset != 0 {
		t.Errorf("opened: %+v", opened)
	}
	complete := b.progressTwice(0, 3)
	s := board.Of("counting")[0]
	if s.Topic != inTopic || s.Partition != 0 || s.NextOffset != 3 || s.EndOffset != 3 || !s.Drained() || s.CompleteTo < complete {
		t.Errorf("caught up: %+v, complete to %d", s, complete)
	}
	if got := board.Of("another"); len(got) != 0 {
		t.Errorf("another stage: %+v", got)
	}
	if all := board.All(); len(all) != 2 || all[0].Partition != 0 || all[1].Partition != 1 {
		t.Errorf("all: %+v", all)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := board.All(); len(got) != 0 {
		t.Errorf("a stopped stage is still shown: %+v", got)
	}
	// The next run begins where the checkpoint of this one ended.
	b.produce(1, "c=1")
	stop, _ = b.start(b.config(), deps)
	again := board.Of("counting")
	if again[0].NextOffset != 3 || again[0].Committed != 3 || again[1].EndOffset != 1 {
		t.Errorf("opened again: %+v", again)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
