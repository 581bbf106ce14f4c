package receiver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// double is a receiver that does what a test says.
type double struct {
	name string
	send func(ctx context.Context, attempt int) error
	// made counts the attempts; one goroutine at a time makes them.
	made int
}

func (d *double) Name() string { return d.name }

func (d *double) Send(ctx context.Context, _ Notification) error {
	d.made++
	return d.send(ctx, d.made)
}

func takes() *double {
	return &double{name: "takes", send: func(context.Context, int) error { return nil }}
}

// dead answers nothing until its time is over.
func dead() *double {
	return &double{name: "dead", send: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}}
}

func fails(err error) *double {
	return &double{name: "fails", send: func(context.Context, int) error { return err }}
}

// A dead receiver holds up none of the others, and all of them together take no
// longer than Total.
func TestSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := DefaultLimits()
		began := time.Now()
		var toldAfter time.Duration
		living := &double{name: "living", send: func(context.Context, int) error {
			toldAfter = time.Since(began)
			return nil
		}}
		out := Tell(t.Context(), []Receiver{dead(), living, dead(), fails(errors.New("status 503"))}, sample(), l)
		if took := time.Since(began); took != l.Total {
			t.Errorf("it took %s, want the whole time of %s", took, l.Total)
		}
		if out[1] != nil || toldAfter != 0 {
			t.Errorf("the living one was told after %s, error %v", toldAfter, out[1])
		}
		for i, attempts := range map[int]int{0: 2, 2: 2, 3: l.Attempts} {
			var e *Error
			if !errors.As(out[i], &e) || e.Reason != ReasonUnreachable || e.Attempts != attempts {
				t.Errorf("receiver %d: %v, want unreachable after %d attempts", i, out[i], attempts)
			}
		}
	})
}

func TestTellOutcomes(t *testing.T) {
	later := errors.New("status 503")
	for _, c := range []struct {
		name     string
		send     func(ctx context.Context, attempt int) error
		reason   Reason
		attempts int
		took     func(time.Duration) bool
	}{
		{"taken at once", func(context.Context, int) error { return nil }, "", 1, func(d time.Duration) bool { return d == 0 }},
		{"taken at last", func(_ context.Context, n int) error {
			if n < 4 {
				return later
			}
			return nil
		}, "", 4, func(d time.Duration) bool { return d >= 1750*time.Millisecond && d <= 3500*time.Millisecond }},
		{
			"refused", func(context.Context, int) error { return &Error{Reason: ReasonRefused, Err: later} },
			ReasonRefused, 1, func(d time.Duration) bool { return d == 0 },
		},
		{
			"never", func(context.Context, int) error { return later },
			ReasonUnreachable, 4, func(d time.Duration) bool { return d >= 1750*time.Millisecond && d <= 3500*time.Millisecond },
		},
		{"busy for a while", func(_ context.Context, n int) error {
			if n == 1 {
				return &Busy{4 * time.Second, later}
			}
			return nil
		}, "", 2, func(d time.Duration) bool { return d == 4*time.Second }},
		{
			"busy for too long", func(context.Context, int) error { return &Busy{time.Hour, later} },
			ReasonUnreachable, 1, func(d time.Duration) bool { return d == 0 },
		},
		{
			"busy beyond the time for all", func(context.Context, int) error { return &Busy{4 * time.Second, later} },
			ReasonUnreachable, 3, func(d time.Duration) bool { return d == 10*time.Second },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &double{name: "d", send: c.send}
				began := time.Now()
				err := tell(t.Context(), d, DefaultLimits())
				if took := time.Since(began); !c.took(took) || d.made != c.attempts {
					t.Errorf("%d attempts in %s, want %d", d.made, took, c.attempts)
				}
				var e *Error
				switch {
				case c.reason == "" && err != nil:
					t.Errorf("error %v", err)
				case c.reason != "" && (!errors.As(err, &e) || e.Reason != c.reason || e.Attempts != c.attempts):
					t.Errorf("error %v, want %s after %d attempts", err, c.reason, c.attempts)
				}
			})
		})
	}
}

// A stop ends every attempt and pause at once, and no receiver counts as given up
// because of it; those that had taken the notification by then count as told.
func TestTellStops(t *testing.T) {
	stop := errors.New("stop")
	for _, cause := range []error{stop, context.DeadlineExceeded} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			pausing := fails(&Busy{3 * time.Second, errors.New("status 429")})
			began := time.Now()
			out := Tell(ctx, []Receiver{dead(), takes(), pausing}, sample(), DefaultLimits())
			if took := time.Since(began); took != time.Second {
				t.Errorf("the stop took %s", took-time.Second)
			}
			if out[1] != nil {
				t.Errorf("what was taken is told as %v", out[1])
			}
			for _, i := range []int{0, 2} {
				var e *Error
				if !errors.Is(out[i], cause) || errors.As(out[i], &e) {
					t.Errorf("receiver %d: %v, want the cause of the stop", i, out[i])
				}
			}
		})
	}
}

// The limits leave a stop of 30 s its time: no telling begins after one Total.
func TestLimitsFitAStop(t *testing.T) {
	const stopLimit = 30 * time.Second
	if l := DefaultLimits(); 2*l.Total > stopLimit*3/4 {
		t.Errorf("two tellings of %s leave a stop of %s too little", l.Total, stopLimit)
	}
}
