package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/bluetick/bluetick/internal/invariant"
	"github.com/bluetick/bluetick/internal/meter"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// Emitter hands rows to the log.
type Emitter interface {
	// Emit sends the rows and returns nil once every one is acknowledged by all
	// in-sync replicas. After an error any of them may or may not be in the log.
	Emit(ctx context.Context, rows []Row) error
	// Progress does the same with p, sent to every partition of the output topic.
	Progress(ctx context.Context, p schemas.Progress) error
}

// Step is a place in the protocol; a crash at each leaves something else, see doc.go.
type Step string

// The steps, in the order they are passed.
const (
	StepApplied    Step = "applied"    // a record is folded, nothing emitted
	StepDrained    Step = "drained"    // rows are taken from the fold, not yet sent
	StepAcked      Step = "acked"      // rows are acknowledged
	StepActed      Step = "acted"      // effects happened, their rows not yet sent
	StepActAcked   Step = "act-acked"  // their rows are acknowledged
	StepProgressed Step = "progressed" // Progress is acknowledged
	StepSaved      Step = "saved"      // the fold has written the store, not committed
	StepCommitted  Step = "committed"  // the checkpoint is durable
)

// maxItemBytes bounds the copy of the item in a dead letter: a letter must fit a
// Kafka record of 1 MB, and Where tells where to find a larger item.
const maxItemBytes = 512 << 10

// MachineConfig is what a Machine runs on.
type MachineConfig struct {
	// Stage is the stage's name, e.g. schemas.StageMessage.
	Stage string
	// Belongs is what the state belongs to; NextOffset is where to begin, and
	// DClock is ignored.
	Belongs store.Meta
	NewFold NewFold
	Store   *store.Store
	Emitter Emitter
	// Rejected is called with the reason of every record dropped; nil in most tests.
	Rejected func(reason string)
	// OtherEpoch is called for every record of another epoch; nil in most tests.
	OtherEpoch func()
	// Metrics takes the fold's metrics. Whoever opened the Machine closes Metrics
	// after the Machine; nil: nowhere.
	Metrics *meter.Scope
	// Fault may return an error to stop at a step, as a crash would; nil in
	// production.
	Fault func(Step) error
}

// Machine is the protocol of one task without Kafka and without time: it drives
// a fold and its store through apply, flush, checkpoint in the one order that
// loses and doubles nothing. One goroutine owns it. After any error it is
// broken and answers every call with that error, so nothing half-done is ever
// committed.
type Machine struct {
	cfg       MachineConfig
	fold      Fold
	next      int64 // the offset after the last record applied
	committed int64 // next offset in the store; -1 before the first checkpoint
	letters   []Row // dead letters not yet emitted
	bytes     int   // of letters
	broken    error
}

// NewMachine opens the fold on the state.
func NewMachine(cfg MachineConfig) (*Machine, error) {
	b := cfg.Belongs
	src := Source{Epoch: b.Epoch, Partition: b.Partition, Partitions: b.Partitions, Metrics: cfg.Metrics, OtherEpoch: cfg.OtherEpoch}
	fold, err := cfg.NewFold(src, cfg.Store)
	if err != nil {
		return nil, fmt.Errorf("open %s fold of %s[%d]: %w", cfg.Stage, b.Topic, b.Partition, err)
	}
	m := &Machine{cfg: cfg, fold: fold, next: b.NextOffset, committed: -1}
	if meta, ok := cfg.Store.Meta(); ok {
		m.committed = meta.NextOffset
		invariant.Check(fold.DClock() == meta.DClock,
			"I1: D-clock is %d after opening a state of %d", fold.DClock(), meta.DClock)
	}
	return m, nil
}

// Next is the offset of the next record to apply.
func (m *Machine) Next() int64 { return m.next }

// Uncommitted reports whether a checkpoint would change anything.
func (m *Machine) Uncommitted() bool { return m.next != m.committed || m.cfg.Store.Dirty() > 0 }

// Rows is the number of rows a flush would emit, dead letters included.
func (m *Machine) Rows() int { return m.fold.Dirty() + len(m.letters) }

// LetterBytes is the size of the dead letters among them.
func (m *Machine) LetterBytes() int { return m.bytes }

// DClock is the fold's D-clock.
func (m *Machine) DClock() schemas.Instant { return m.fold.DClock() }

// Sources is how far each partition of the stage before this one has come, as
// the fold has heard of it: it says which one holds the watermark. nil for a
// fold that follows no other, and before the first Progress.
func (m *Machine) Sources() []SourceStatus {
	if f, ok := m.fold.(Follower); ok {
		return f.Sources()
	}
	return nil
}

// Apply folds one record. Offsets must rise; gaps are allowed.
func (m *Machine) Apply(r Record) error {
	if m.broken != nil {
		return m.broken
	}
	if r.Offset < m.next {
		return m.fail(fmt.Errorf("record %d came after the state reached %d", r.Offset, m.next))
	}
	var before schemas.Instant
	if invariant.Enabled {
		before = m.fold.DClock()
	}
	if err := m.fold.Apply(r); err != nil {
		var reject *Reject
		if !errors.As(err, &reject) {
			return m.fail(fmt.Errorf("apply %s: %w", m.where(r.Offset), err))
		}
		m.reject(r, reject)
	}
	if invariant.Enabled {
		invariant.Check(m.fold.DClock() >= before, "D-clock fell from %d to %d", before, m.fold.DClock())
	}
	m.next = r.Offset + 1
	return m.fault(StepApplied)
}

func (m *Machine) where(offset int64) string {
	return fmt.Sprintf("%s/%d/%d", m.cfg.Belongs.Topic, m.cfg.Belongs.Partition, offset)
}

// reject keeps the record as a dead letter, which goes out with the next flush
// like any row.
func (m *Machine) reject(r Record, why *Reject) {
	letter := schemas.DeadLetter{
		Stage: m.cfg.Stage, Source: m.cfg.Belongs.Topic, Reason: why.Reason,
		Detail: why.Err.Error(), Where: m.where(r.Offset), ReceivedAt: r.Timestamp, Item: r.Value,
	}
	if len(r.Value) > maxItemBytes {
		letter.Item = nil
		letter.Detail += fmt.Sprintf(" (the item of %d bytes is too large to repeat here)", len(r.Value))
	}
	row := Row{
		Topic: schemas.TopicDeadLetters, Schema: schemas.SchemaDeadLetter,
		Key: []byte(letter.Source), Value: schemas.EncodeDeadLetter(&letter),
	}
	m.letters, m.bytes = append(m.letters, row), m.bytes+len(row.Value)
	if m.cfg.Rejected != nil {
		m.cfg.Rejected(why.Reason)
	}
}

// Flush emits every dirty row, waits for the acknowledgements, and lets an
// Actor act. It returns the number of rows emitted.
func (m *Machine) Flush(ctx context.Context) (int, error) {
	if m.broken != nil {
		return 0, m.broken
	}
	rows := append(m.letters, m.fold.Drain(m.next)...)
	m.letters, m.bytes = nil, 0
	if d := m.fold.Dirty(); d != 0 {
		return 0, m.fail(fmt.Errorf("BUG: I3: %d rows are dirty after Drain", d))
	}
	n := len(rows)
	if err := m.emit(ctx, rows, StepDrained, StepAcked); err != nil {
		return 0, err
	}
	actor, ok := m.fold.(Actor)
	if !ok {
		return n, nil
	}
	acted, err := actor.Act(ctx)
	if err != nil {
		return n, m.fail(fmt.Errorf("act at %s: %w", m.where(m.next), err))
	}
	return n + len(acted), m.emit(ctx, acted, StepActed, StepActAcked)
}

func (m *Machine) emit(ctx context.Context, rows []Row, before, after Step) error {
	if err := m.fault(before); err != nil {
		return err
	}
	if len(rows) > 0 {
		if err := m.cfg.Emitter.Emit(ctx, rows); err != nil {
			return m.fail(fmt.Errorf("emit %d rows at %s: %w", len(rows), m.where(m.next), err))
		}
	}
	return m.fault(after)
}

// Progress sends how far the stage has come and what it believes to be complete,
// which it returns. It may be called only while nothing is dirty.
func (m *Machine) Progress(ctx context.Context) (to schemas.Instant, err error) {
	if m.broken != nil {
		return 0, m.broken
	}
	invariant.Check(m.Rows() == 0, "Progress with %d rows before it not emitted", m.Rows())
	b := m.cfg.Belongs
	p := schemas.Progress{
		Epoch: b.Epoch, Stage: m.cfg.Stage, Source: b.Partition, Sources: b.Partitions,
		NextOffset: m.next, CompleteTo: max(0, m.fold.CompleteTo()),
	}
	if h, ok := m.fold.(Hearer); ok {
		p.Shut = h.Shuttings()
	}
	if err := m.cfg.Emitter.Progress(ctx, p); err != nil {
		return 0, m.fail(fmt.Errorf("emit progress at %s: %w", m.where(m.next), err))
	}
	return p.CompleteTo, m.fault(StepProgressed)
}

// Checkpoint flushes and then makes state and offset durable as one unit. It
// returns the number of rows emitted.
func (m *Machine) Checkpoint(ctx context.Context) (int, error) {
	n, err := m.Flush(ctx)
	if err != nil {
		return n, err
	}
	if d := m.Rows(); d != 0 {
		return n, m.fail(fmt.Errorf("BUG: I3: %d rows are dirty at a checkpoint", d))
	}
	if err := m.fold.Save(); err != nil {
		return n, m.fail(fmt.Errorf("save %s fold at %s: %w", m.cfg.Stage, m.where(m.next), err))
	}
	if err := m.fault(StepSaved); err != nil {
		return n, err
	}
	if !m.Uncommitted() {
		return n, nil
	}
	meta := m.cfg.Belongs
	meta.NextOffset, meta.DClock = m.next, m.fold.DClock()
	if err := m.cfg.Store.Commit(meta); err != nil {
		return n, m.fail(err)
	}
	m.committed = m.next
	return n, m.fault(StepCommitted)
}

func (m *Machine) fault(s Step) error {
	if m.cfg.Fault == nil {
		return nil
	}
	if err := m.cfg.Fault(s); err != nil {
		return m.fail(fmt.Errorf("stop at step %s: %w", s, err))
	}
	return nil
}

func (m *Machine) fail(err error) error {
	m.broken = err
	return err
}
