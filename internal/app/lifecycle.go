// Package app is the life of a process: what it started is stopped in reverse
// order, within one time limit and with the name of each step in the log; the
// first failure of a part ends the whole with that error.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// ErrStop is the cause of a context that ended because the process was asked to
// stop, as opposed to a failure.
var ErrStop = errors.New("stop requested")

// Lifecycle collects what a process has started. Use it from one goroutine;
// the parts it runs may fail from theirs.
type Lifecycle struct {
	log    *slog.Logger
	failed chan error // capacity 1: the first failure; later ones are logged
	steps  []step
}

type step struct {
	name string
	stop func(context.Context) error
}

// New returns an empty Lifecycle.
func New(log *slog.Logger) *Lifecycle {
	return &Lifecycle{log: log, failed: make(chan error, 1)}
}

// OnStop registers how to stop what was just started. Register at once, so
// that a later step that fails does not leak it.
func (l *Lifecycle) OnStop(name string, stop func(context.Context) error) {
	l.steps = append(l.steps, step{name, stop})
}

// Go runs a part until it returns. Its context is cancelled with ErrStop when
// its turn to stop comes, and Stop waits for it. A part that returns before
// that, or with an error that is not its own cancellation, fails the process.
func (l *Lifecycle) Go(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	var stopping sync.Once
	asked := make(chan struct{})
	go func() {
		err := run(ctx)
		if errors.Is(err, context.Canceled) || errors.Is(err, ErrStop) {
			err = nil
		}
		select {
		case <-asked:
		default:
			if err == nil {
				err = errors.New("ended by itself")
			}
			l.Fail(fmt.Errorf("%s: %w", name, err))
			err = nil // once in the error is enough
		}
		done <- err
	}()
	l.OnStop(name, func(stopCtx context.Context) error {
		stopping.Do(func() { close(asked) })
		cancel(ErrStop)
		select {
		case err := <-done:
			return err
		case <-stopCtx.Done():
			return fmt.Errorf("still running: %w", context.Cause(stopCtx))
		}
	})
}

// Fail ends the process with err. Only the first failure counts.
func (l *Lifecycle) Fail(err error) {
	select {
	case l.failed <- err:
	default:
		l.log.Error("another part failed", "err", err)
	}
}

// Wait blocks until ctx is done (nil) or a part has failed (its error).
func (l *Lifecycle) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-l.failed:
		return err
	}
}

// Failed is the channel of the first failure, for callers with more to wait for.
func (l *Lifecycle) Failed() <-chan error { return l.failed }

// Stop stops everything in reverse order. limit bounds all of it together; a
// step that does not finish is named in the error and the rest still gets its
// turn. A failure that neither Wait nor Failed has returned is in the error too.
// Stop may be called again: nothing is left to do then.
func (l *Lifecycle) Stop(limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("not stopped within %s", limit))
	defer cancel()
	var errs []error
	for len(l.steps) > 0 {
		s := l.steps[len(l.steps)-1]
		l.steps = l.steps[:len(l.steps)-1]
		l.log.Debug("stopping", "part", s.name)
		if err := s.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	select {
	case err := <-l.failed:
		errs = append(errs, err)
	default:
	}
	return errors.Join(errs...)
}
