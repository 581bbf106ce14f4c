package task

import (
	"errors"
	"fmt"
	"time"
)

// Policy decides when a task flushes, reports progress and checkpoints. Its timers
// run on wall time.
type Policy struct {
	// FlushAfter is how long a row may be dirty while there are few.
	FlushAfter time.Duration
	// FewRows is what "few" is: above, rows wait up to FlushManyAfter, so that
	// more changes of one row become one emission.
	FewRows        int
	FlushManyAfter time.Duration
	// MaxRows and MaxLetterBytes (of dead letters) flush at once, between two
	// records: they bound memory. One more record's rows can wait.
	MaxRows        int
	MaxLetterBytes int
	// ProgressEvery is the longest time between two Progress records while
	// nothing is dirty. Dirty rows go out first, so it can be FlushManyAfter.
	ProgressEvery time.Duration
	// CheckpointEvery bounds what a restart replays; MaxStateRows, in state
	// rows not yet durable, bounds memory and the pause of a checkpoint.
	CheckpointEvery time.Duration
	MaxStateRows    int
}

// DefaultPolicy holds the design's figures. A record of the roll-up adds up to
// 200,000 rows (decision 0008), so at most 500,000 wait, some 150 MB. 250,000
// state rows are some 60 MB and a checkpoint well under a second.
func DefaultPolicy() Policy {
	return Policy{
		FlushAfter: time.Second, FewRows: 10_000, FlushManyAfter: 10 * time.Second,
		MaxRows: 300_000, MaxLetterBytes: 8 << 20, ProgressEvery: 5 * time.Second,
		CheckpointEvery: 15 * time.Second, MaxStateRows: 250_000,
	}
}

// Validate reports every mistake at once.
func (p Policy) Validate() error {
	var errs []error
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"FlushAfter", p.FlushAfter > 0},
		{"FewRows", p.FewRows > 0},
		{"FlushManyAfter", p.FlushManyAfter >= p.FlushAfter},
		{"MaxRows", p.MaxRows >= p.FewRows},
		{"MaxLetterBytes", p.MaxLetterBytes > 0},
		{"ProgressEvery", p.ProgressEvery > 0},
		{"CheckpointEvery", p.CheckpointEvery > 0},
		{"MaxStateRows", p.MaxStateRows > 0},
	} {
		if !c.ok {
			errs = append(errs, fmt.Errorf("policy: %s is not positive, or below the setting before it", c.name))
		}
	}
	return errors.Join(errs...)
}

// load is what the policy judges.
type load struct {
	rows        int // dirty rows, dead letters included
	letterBytes int
	stateRows   int  // uncommitted rows of the store
	uncommitted bool // a checkpoint would change something
	output      bool // there is a topic for Progress

	sinceDirty      time.Duration // since the first of rows became dirty
	sinceProgress   time.Duration
	sinceCheckpoint time.Duration
}

type action uint8

const (
	actWait action = iota
	actProgress
	actFlush
	actCheckpoint
)

// reason is the closed word that explains an action, in logs and tests.
type reason string

const (
	reasonNothing   reason = "nothing_due"
	reasonStateRows reason = "state_rows"
	reasonInterval  reason = "checkpoint_interval"
	reasonMaxRows   reason = "max_rows"
	reasonLetters   reason = "letter_bytes"
	reasonAge       reason = "age"
	reasonAgeOfMany reason = "age_of_many"
	reasonHeartbeat reason = "progress_interval"
)

// longestWait bounds a poll when nothing is due; shortestWait keeps a timer
// that is all but due from making a busy loop.
const (
	longestWait  = time.Second
	shortestWait = time.Millisecond
)

// decide says what to do now, why, and, for actWait, how long nothing will be
// due if nothing happens. A checkpoint and a flush are followed by Progress.
func (p Policy) decide(l load) (action, reason, time.Duration) {
	flushAge, ageReason := p.FlushAfter, reasonAge
	if l.rows > p.FewRows {
		flushAge, ageReason = p.FlushManyAfter, reasonAgeOfMany
	}
	switch {
	case l.stateRows >= p.MaxStateRows:
		return actCheckpoint, reasonStateRows, 0
	case l.uncommitted && l.sinceCheckpoint >= p.CheckpointEvery:
		return actCheckpoint, reasonInterval, 0
	case p.full(l.rows, l.letterBytes) != "":
		return actFlush, p.full(l.rows, l.letterBytes), 0
	case l.rows > 0 && l.sinceDirty >= flushAge:
		return actFlush, ageReason, 0
	case l.output && l.rows == 0 && l.sinceProgress >= p.ProgressEvery:
		return actProgress, reasonHeartbeat, 0
	}
	wait := longestWait
	if l.uncommitted {
		wait = min(wait, p.CheckpointEvery-l.sinceCheckpoint)
	}
	if l.rows > 0 {
		wait = min(wait, flushAge-l.sinceDirty)
	}
	if l.output && l.rows == 0 {
		wait = min(wait, p.ProgressEvery-l.sinceProgress)
	}
	return actWait, reasonNothing, max(wait, shortestWait)
}

// full names the bound that waiting rows have reached, "" if none. It depends only
// on what was applied, so a replay flushes at the same record.
func (p Policy) full(rows, letterBytes int) reason {
	switch {
	case rows >= p.MaxRows:
		return reasonMaxRows
	case letterBytes >= p.MaxLetterBytes:
		return reasonLetters
	}
	return ""
}

// String names the action for logs.
func (a action) String() string {
	return [...]string{"wait", "progress", "flush", "checkpoint"}[a]
}
