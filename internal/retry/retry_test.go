package retry

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPausesDoubleUpToTheLongest(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for _, c := range []struct {
		name string
		b    Backoff
		want []time.Duration
	}{
		{"a power of two apart", Backoff{Least: s, Most: 8 * s}, []time.Duration{s, 2 * s, 4 * s, 8 * s, 8 * s}},
		{"the last step is shorter", Backoff{Least: 250 * ms, Most: 900 * ms}, []time.Duration{250 * ms, 500 * ms, 900 * ms, 900 * ms}},
		{"always the same", Backoff{Least: s, Most: s}, []time.Duration{s, s, s}},
		{"the longest is below the first", Backoff{Least: s, Most: ms}, []time.Duration{ms, ms}},
		{"no overflow", Backoff{Least: math.MaxInt64/2 + 1, Most: math.MaxInt64}, []time.Duration{math.MaxInt64/2 + 1, math.MaxInt64, math.MaxInt64}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []time.Duration
			for range c.want {
				got = append(got, c.b.Next())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("pauses %v, want %v", got, c.want)
			}
		})
	}
}

// A spread pause is between half and all of the plain one, and not always the
// same.
func TestSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		b := Backoff{Least: time.Second, Most: 5 * time.Second, Spread: true}
		plain := Backoff{Least: time.Second, Most: 5 * time.Second}
		for i := range 6 {
			p, most := b.Next(), plain.Next()
			if p < most/2 || p > most {
				t.Fatalf("pause %d is %s, want %s to %s", i+1, p, most/2, most)
			}
			seen[p] = true
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d different pauses of 600: they are not spread", len(seen))
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := Pause(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("error %v after %s, want none after 1m", err, time.Since(began))
		}
		why := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		began = time.Now()
		if err := Pause(ctx, time.Hour); !errors.Is(err, why) || time.Since(began) != time.Second {
			t.Errorf("error %v after %s, want the cause after 1s", err, time.Since(began))
		}
	})
}
