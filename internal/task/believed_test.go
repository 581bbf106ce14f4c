package task

import (
	"math/rand/v2"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

func TestBelieved(t *testing.T) {
	const (
		minute = schemas.Instant(60_000)
		hour   = 60 * minute
		day    = 24 * hour
		noon   = schemas.Instant(1_790_000_000_000)
	)
	for _, c := range []struct {
		name string
		at   []schemas.Instant
		want schemas.Instant
	}{
		{"none", nil, 0},
		{"the first", []schemas.Instant{noon}, noon},
		{"it rises", []schemas.Instant{noon, noon + hour, noon + minute}, noon + hour},
		{"by a day", []schemas.Instant{noon, noon + day}, noon + day},
		{"by more than a day", []schemas.Instant{noon, noon + day + 1}, noon},
		{"52 days, once, among others", []schemas.Instant{noon, noon + 52*day, noon + minute, noon + 52*day + hour, noon + 2*minute}, noon + 2*minute},
		{"for nearly an hour", []schemas.Instant{noon, noon + 2*day, noon + 2*day + hour - 1}, noon},
		{"for an hour", []schemas.Instant{noon, noon + 2*day, noon + 2*day + hour}, noon + 2*day + hour},
		{"for an hour, the least not first", []schemas.Instant{noon, noon + 2*day + hour, noon + 2*day}, noon + 2*day},
		{"for an hour, one before it in between", []schemas.Instant{noon, noon + 2*day, noon + day, noon + 2*day + hour}, noon + day},
		{"two voices, a year apart", []schemas.Instant{noon, noon + 2*day, noon + 365*day}, noon + 2*day},
		{"on and on, a day at a time", []schemas.Instant{noon, noon + day, noon + 2*day, noon + 3*day}, noon + 3*day},
	} {
		var b Believed
		for _, at := range c.at {
			was := b.Clock
			if moved := b.Advance(at); moved != (b.Clock != was) || b.Clock < was {
				t.Errorf("%s: moved %t from %d to %d", c.name, moved, was, b.Clock)
			}
			if b.Doubts() != (b.From > 0) || b.From > b.To {
				t.Errorf("%s: in doubt from %d to %d", c.name, b.From, b.To)
			}
		}
		if b.Clock != c.want {
			t.Errorf("%s: %d, want %d", c.name, (b.Clock-noon)/minute, (c.want-noon)/minute)
		}
	}
}

// TestBelievedIsBounded: among records of which at least one in ten is right, wrong
// ones never move the clock past the right time by more than a day.
func TestBelievedIsBounded(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const day = 24 * 3600_000
	now := schemas.Instant(1_790_000_000_000)
	var b Believed
	b.Advance(now)
	wrong := 0
	for range 100_000 {
		now += schemas.Instant(rng.Int64N(2000))
		at := now
		if rng.IntN(3) == 0 && wrong < 9 {
			wrong++
			at += 2*day + schemas.Instant(rng.Int64N(1_000_000))
		} else {
			wrong = 0
		}
		if b.Advance(at); b.Clock > now+day {
			t.Fatalf("%d ms ahead", b.Clock-now)
		}
	}
	if b.Clock < now-20_000 {
		t.Errorf("%d ms behind", now-b.Clock)
	}
}
