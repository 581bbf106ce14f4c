// Package clock is the demo's time: it starts in the past, runs fast until it
// meets the wall clock, and goes on with it.
package clock

import (
	"sync"
	"time"
)

// Virtual is a clock that starts in the past and runs Speed times as fast as
// the wall clock until it meets it; from then on it is the wall clock.
//
// While it catches up it never passes the ceiling set by Allow: whoever feeds
// the pipeline raises it as its deliveries are acknowledged, so that however
// slow the machine, no webhook is later than the settling time expects.
//
// Now never goes back. All methods may be called from any goroutine.
type Virtual struct {
	wall func() time.Time // immutable; the wall clock

	mu struct {
		sync.Mutex
		speed    float64
		wallAt   time.Time // wall time of the last reading
		at       time.Time // virtual time of the last reading
		ceiling  time.Time
		caughtAt time.Time // wall time; zero while catching up
	}
}

// calm is how long after catching up the settling time stays that of the fast
// clock: what was on its way then must not count as late.
const calm = 2 * time.Second

// New returns a clock that reads start now. ceiling is the first value of Allow.
func New(wall func() time.Time, start, ceiling time.Time, speed float64) *Virtual {
	v := &Virtual{wall: wall}
	v.mu.speed, v.mu.wallAt, v.mu.at, v.mu.ceiling = speed, wall(), start, ceiling
	return v
}

// Now is the virtual time.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	wall := v.wall()
	if !v.mu.caughtAt.IsZero() {
		return wall
	}
	elapsed := wall.Sub(v.mu.wallAt)
	at := v.mu.at.Add(time.Duration(float64(elapsed) * v.mu.speed))
	if at.After(v.mu.ceiling) {
		at = v.mu.ceiling
	}
	if at.Before(v.mu.at) {
		at = v.mu.at
	}
	v.mu.wallAt, v.mu.at = wall, at
	if !at.Before(wall) {
		v.mu.caughtAt = wall
		return wall
	}
	return at
}

// Allow raises the ceiling to t; a lower value is ignored.
func (v *Virtual) Allow(t time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t.After(v.mu.ceiling) {
		v.mu.ceiling = t
	}
}

// Speed is how fast the clock runs at present: the configured speed, or 1 once
// it has caught up.
func (v *Virtual) Speed() float64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.mu.caughtAt.IsZero() {
		return 1
	}
	return v.mu.speed
}

// Settling is how long a webhook may travel, in the clock's own time: 10 s, or
// a second of wall time where that is more.
func (v *Virtual) Settling() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.mu.caughtAt.IsZero() && v.wall().Sub(v.mu.caughtAt) > calm {
		return Settling(1)
	}
	return Settling(v.mu.speed)
}

// Settling is max(10 s, 1 s × speed).
func Settling(speed float64) time.Duration {
	return max(10*time.Second, time.Duration(speed*float64(time.Second)))
}
