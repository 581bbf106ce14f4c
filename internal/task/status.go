package task

import (
	"cmp"
	"slices"
	"sync"

	"github.com/bluetick/bluetick/schemas"
)

// Status is how far one partition of a stage has come.
type Status struct {
	// Stage and Topic name the stage and its input; Partition is one of Topic.
	Stage     string
	Topic     string
	Partition int32
	// NextOffset is the offset after the last record folded, Committed the one
	// that the last checkpoint holds; -1 before the first.
	NextOffset int64
	Committed  int64
	// EndOffset is the end of the log as the task last heard of it: when it
	// opened, with each fetch, and whenever it asks in order to say what is
	// complete.
	EndOffset int64
	// Dirty is the number of rows that are folded and not yet acknowledged.
	Dirty int
	// CompleteTo is that of the stage's last Progress; 0 before the first, and for
	// a stage that sends none.
	CompleteTo schemas.Instant
}

// Lag is the number of offsets between what is folded and the end of the log.
func (s Status) Lag() int64 { return max(0, s.EndOffset-s.NextOffset) }

// CaughtUp reports whether everything known to be in the log is folded.
func (s Status) CaughtUp() bool { return s.NextOffset >= s.EndOffset }

// Drained reports whether, beyond that, every row of it is acknowledged.
func (s Status) Drained() bool { return s.CaughtUp() && s.Dirty == 0 }

// Board shows the Status of every partition that is open, of all stages that
// were given it. The tasks write, anybody may read; a partition leaves it when
// its task closes. The zero value is an empty board; a nil one ignores all.
type Board struct {
	mu struct {
		sync.Mutex
		open map[place]Status
	}
}

// place identifies a task: no two open ones of a process share it.
type place struct {
	stage     string
	partition int32
}

// Of returns the partitions of a stage that are open, in their order.
func (b *Board) Of(stage string) []Status {
	return slices.DeleteFunc(b.All(), func(s Status) bool { return s.Stage != stage })
}

// All returns every partition that is open, by stage and partition.
func (b *Board) All() []Status {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Status, 0, len(b.mu.open))
	for _, s := range b.mu.open {
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y Status) int {
		return cmp.Or(cmp.Compare(x.Stage, y.Stage), cmp.Compare(x.Partition, y.Partition))
	})
	return all
}

// put shows s in the place of what was shown of its partition.
func (b *Board) put(s Status) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.open == nil {
		b.mu.open = map[place]Status{}
	}
	b.mu.open[place{s.Stage, s.Partition}] = s
}

// drop takes a partition away.
func (b *Board) drop(stage string, partition int32) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.mu.open, place{stage, partition})
}

// publish shows where the task is. The goroutine that owns the task calls it
// after each step.
func (t *task) publish() {
	t.board.put(Status{
		Stage: t.machine.cfg.Stage, Topic: t.topic, Partition: t.part,
		NextOffset: t.machine.Next(), Committed: t.machine.committed, EndOffset: max(t.highWater, t.end, t.machine.Next()),
		Dirty: t.machine.Rows(), CompleteTo: t.completeTo,
	})
}
