package task

import (
	"context"
	"fmt"

	"github.com/bluetick/bluetick/internal/meter"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// Record is one input record. Its slices are valid until Apply returns.
type Record struct {
	Offset    int64
	Timestamp schemas.Instant
	// Schema is the value's schema name and version, e.g. schemas.SchemaEvent.
	Schema string
	Key    []byte
	Value  []byte
}

// Row is one output record, complete except for its timestamp, which the runtime
// sets from its clock.
type Row struct {
	Topic  string
	Schema string
	Key    []byte
	Value  []byte
}

// Fold is the pure part of a stage: a deterministic function of the log. It
// uses no clock, no map order, no random numbers and no call to the outside. One
// goroutine owns it; all methods are called from there.
type Fold interface {
	// Apply folds one record into the state and marks what it changed dirty. An
	// error of type *Reject drops the record into a dead letter; any other
	// error stops the task before the record is part of any checkpoint. A
	// rejected record leaves the state as it was.
	Apply(r Record) error
	// Dirty is the number of rows Drain would return.
	Dirty() int
	// Drain returns every dirty row in a deterministic order and marks them
	// clean. next is the offset after the last record applied, so rows that
	// describe the present state carry version next-1.
	Drain(next int64) []Row
	// Save writes to the store what the fold keeps outside it and has changed
	// since the last Save; called right before the store is committed.
	Save() error
	// CompleteTo is the instant up to which the fold believes it has heard
	// everything, which goes into the stage's Progress: the message fold knows it
	// from the heartbeats of the doors, the roll-up is as far as the last `at` it
	// closed. Part of the state, and it never falls. Zero means unknown.
	CompleteTo() schemas.Instant
	// DClock is the fold's D-clock: the running maximum of min(received_at,
	// record timestamp) over the records applied; a stage that reads derived
	// records takes their DClock in place of received_at. It is part of the
	// state: zero before the first record, and after a restart what it was at
	// the checkpoint.
	DClock() schemas.Instant
}

// Actor is a Fold that has effects outside Kafka (notifications). Act is called
// after the rows of a flush are acknowledged, with the context of the task;
// the rows it returns are emitted and acknowledged before the next checkpoint.
// A crash between the effect and that checkpoint repeats the effect, so
// effects carry a deduplication key.
type Actor interface {
	Act(ctx context.Context) ([]Row, error)
}

// Hearer is a Fold that knows when the world was not heard. Its Progress says so.
type Hearer interface {
	// Shuttings are the newest times during which no door was open, in order, at
	// most schemas.MaxShuttings. The caller does not keep the slice.
	Shuttings() []schemas.Shutting
}

// Source is what a fold is told about its input partition.
type Source struct {
	Epoch uint32
	// Partition of Partitions of the input topic.
	Partition  int32
	Partitions int32
	// Metrics takes the fold's metrics, which are removed when the partition
	// closes. A series without a label for the partition is shared by the folds of
	// all. nil: nowhere.
	Metrics *meter.Scope
	// OtherEpoch is called for every record that is not Ours; nil: not called.
	OtherEpoch func()
}

// NewFold opens a fold on the state of one partition. It is called once when
// the task starts, with the state as the last checkpoint left it.
//
// Every stage has a function NewFold that returns one and takes what the fold
// needs beyond that: its Config if it has one, and its Deps if it reaches the
// outside. It opens nothing; a mistake in the configuration is the error of every
// fold opened, and Config.Validate reports it beforehand.
type NewFold func(src Source, st store.State) (Fold, error)

// Reject is the error of a record that can never be folded.
type Reject struct {
	Reason string // closed word: metric label and dead-letter reason
	Err    error
}

// Error describes the rejection.
func (r *Reject) Error() string { return fmt.Sprintf("%s: %v", r.Reason, r.Err) }

// Unwrap returns the cause.
func (r *Reject) Unwrap() error { return r.Err }
