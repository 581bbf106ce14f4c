// Package retry is the one way to wait before another attempt: how long the
// pauses are, and that a stop ends them. What is tried again, and for how long, is
// decided by the caller, which knows the errors.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is how long to pause after each failure in a row: Least, then twice
// as long each time, at most Most. The zero value of the unexported part is the
// state before the first failure; make a new Backoff for each series of
// attempts. One goroutine owns it.
type Backoff struct {
	Least, Most time.Duration
	// Spread draws each pause between half and all of its length, so that
	// callers who failed together do not come back together.
	Spread bool

	last time.Duration
}

// Next is the pause after another failure.
func (b *Backoff) Next() time.Duration {
	switch {
	case b.last == 0:
		b.last = min(b.Least, b.Most)
	case b.last > b.Most/2: // and no overflow, whatever Most is
		b.last = b.Most
	default:
		b.last *= 2
	}
	if !b.Spread {
		return b.last
	}
	return b.last - rand.N(b.last/2+1)
}

// Pause waits for d, or until ctx ends; then it returns the cause of that.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
