package clock

import (
	"testing"
	"time"
)

func TestVirtual(t *testing.T) {
	real := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	wall := real
	start := real.Add(-time.Hour)
	v := New(func() time.Time { return wall }, start, start.Add(40*time.Minute), 60)

	step := func(name string, d time.Duration, want time.Duration, speed float64) {
		t.Helper()
		wall = wall.Add(d)
		if got := v.Now().Sub(start); got != want {
			t.Errorf("%s: %s after the start, want %s", name, got, want)
		}
		if got := v.Speed(); got != speed {
			t.Errorf("%s: speed %v, want %v", name, got, speed)
		}
	}
	step("at once", 0, 0, 60)
	step("ten seconds", 10*time.Second, 10*time.Minute, 60)
	step("held by the ceiling", 60*time.Second, 40*time.Minute, 60)
	v.Allow(start.Add(20 * time.Minute))
	step("a lower ceiling is ignored", time.Second, 40*time.Minute, 60)
	v.Allow(start.Add(24 * time.Hour))
	step("goes on from where it was held", 10*time.Second, 50*time.Minute, 60)
	wall = wall.Add(time.Minute)
	if got := v.Now(); !got.Equal(wall) {
		t.Errorf("caught up: %s, want the wall clock %s", got, wall)
	}
	if v.Speed() != 1 || v.Settling() != time.Minute {
		t.Errorf("caught up: speed %v, settling %s, want that of the fast clock for a moment", v.Speed(), v.Settling())
	}
	wall = wall.Add(3 * time.Second)
	if v.Settling() != 10*time.Second {
		t.Errorf("a while after: settling %s", v.Settling())
	}
}

func TestVirtualNeverGoesBack(t *testing.T) {
	wall := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := New(func() time.Time { return wall }, wall.Add(-time.Hour), wall, 100)
	wall = wall.Add(10 * time.Second)
	before := v.Now()
	wall = wall.Add(-5 * time.Second) // the wall clock is set back
	if after := v.Now(); after.Before(before) {
		t.Errorf("went back from %s to %s", before, after)
	}
}

func TestSettling(t *testing.T) {
	for speed, want := range map[float64]time.Duration{1: 10 * time.Second, 10: 10 * time.Second, 2000: 2000 * time.Second} {
		if got := Settling(speed); got != want {
			t.Errorf("Settling(%v) = %s, want %s", speed, got, want)
		}
	}
}
