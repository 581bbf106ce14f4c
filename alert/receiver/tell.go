package receiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bluetick/bluetick/internal/retry"
)

// Limits bound the telling of one notification. A partition stands still
// meanwhile, so they are well below what a stop may take.
type Limits struct {
	// Attempt bounds one attempt, Attempts their number.
	Attempt  time.Duration
	Attempts int
	// Backoff is the longest first pause between two attempts; it doubles up to
	// MaxPause. A receiver that asks for a longer pause than that is given up.
	Backoff  time.Duration
	MaxPause time.Duration
	// Total bounds all of it, for all receivers together.
	Total time.Duration
}

// DefaultLimits: four quick failures are over after 3.5 s of pauses at most; a
// receiver that does not answer has two attempts. A stage has 30 s to stop, and
// two notifications may begin within one Total.
func DefaultLimits() Limits {
	return Limits{
		Attempt: 5 * time.Second, Attempts: 4,
		Backoff: 500 * time.Millisecond, MaxPause: 5 * time.Second,
		Total: 10 * time.Second,
	}
}

// errTime ends the attempts at the end of Limits.Total; any other end of their
// context is a stop.
var errTime = errors.New("the time to tell a notification is over")

// Tell shows n to all receivers side by side and waits for each, so that a dead
// one holds up none of the others. The result at a receiver's index is nil where
// it took n, an *Error where it was given up. If ctx ends first it is neither, as
// nobody knows whether the receiver took n: the error wraps the cause of ctx.
func Tell(ctx context.Context, receivers []Receiver, n Notification, l Limits) []error {
	within, cancel := context.WithTimeoutCause(ctx, l.Total, errTime)
	defer cancel()
	outcomes := make([]error, len(receivers))
	var wg sync.WaitGroup
	for i, r := range receivers {
		wg.Go(func() {
			err := insist(within, r, n, l)
			if given := (*Error)(nil); err != nil && ctx.Err() != nil && !errors.As(err, &given) {
				err = fmt.Errorf("notify %s: %w", r.Name(), context.Cause(ctx))
			}
			outcomes[i] = err
		})
	}
	wg.Wait()
	return outcomes
}

// insist attempts until n is taken, given up, or ctx ends. At the end of the
// time for all attempts it gives up; the caller tells that from a stop.
func insist(ctx context.Context, r Receiver, n Notification, l Limits) error {
	pauses := retry.Backoff{Least: l.Backoff, Most: l.MaxPause, Spread: true}
	for attempt := 1; ; attempt++ {
		err := once(ctx, r, n, l.Attempt)
		if err == nil {
			return nil
		}
		if given := (*Error)(nil); errors.As(err, &given) {
			given.Attempts = max(given.Attempts, attempt)
			return given
		}
		pause := pauses.Next()
		if busy := (*Busy)(nil); errors.As(err, &busy) {
			pause = max(pause, busy.After)
		}
		switch {
		case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTime):
			return err
		case attempt == l.Attempts || pause > l.MaxPause || ctx.Err() != nil:
			return &Error{ReasonUnreachable, attempt, err}
		}
		if why := retry.Pause(ctx, pause); errors.Is(why, errTime) {
			return &Error{ReasonUnreachable, attempt, err}
		} else if why != nil {
			return err
		}
	}
}

func once(ctx context.Context, r Receiver, n Notification, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return r.Send(ctx, n)
}
