package ingest

import (
	"testing"
	"time"
)

// TestClockWatch plays what the clocks and the providers say, in minutes.
func TestClockWatch(t *testing.T) {
	const none = 1 << 20 // no body
	type word struct {
		boot, wall float64 // both 0 at first
		newest     float64 // of a body
		want       ClockDoubt
	}
	steady := func(from, to, ahead float64, want ClockDoubt) (words []word) {
		for m := from; m <= to; m++ {
			words = append(words, word{m, m + ahead, none, want})
		}
		return words
	}
	for _, c := range []struct {
		name  string
		words [][]word
	}{
		{"steady", [][]word{steady(0, 30, 0, "")}},
		{"slewed by NTP", [][]word{{{0, 0, none, ""}, {10, 11, none, ""}, {20, 22, none, ""}, {60, 66, none, ""}, {100, 110, none, ""}}}},
		{"a small step", [][]word{steady(0, 3, 0, ""), steady(4, 9, 5, "")}},
		{"a day ahead for a moment", [][]word{steady(0, 3, 0, ""), steady(4, 5, 1440, ClockJumped), steady(6, 10, 0, ClockJumped), steady(11, 12, 0, "")}},
		{"back and forth", [][]word{steady(0, 3, 0, ""), steady(4, 5, 60, ClockJumped), steady(6, 9, 0, ClockJumped), steady(10, 11, -60, ClockJumped), steady(12, 16, 0, ClockJumped), steady(17, 18, 0, "")}},
		{"it stays a day ahead", [][]word{steady(0, 3, 0, ""), steady(4, 60, 1440, ClockJumped)}},
		{"it was wrong before, as bodies say", [][]word{steady(0, 3, 0, ""), {
			{4, 64, 64, ClockJumped}, {6, 66, 65, ClockJumped}, {8, 68, 62, ClockJumped}, {8.9, 68.9, 68, ClockJumped}, {9, 69, 68, ""}, {10, 70, none, ""},
		}}},
		{"bodies that say otherwise", [][]word{steady(0, 3, 0, ""), {
			{4, 64, 4, ClockJumped}, {6, 66, 6, ClockJumped}, {8, 68, 8, ClockJumped}, {10, 70, 10, ClockJumped}, {20, 80, 20, ClockJumped},
		}}},
		{"two jumps: bodies vouch for the last alone", [][]word{steady(0, 3, 0, ""), {
			{4, 64, 64, ClockJumped}, {6, 66, 66, ClockJumped}, {7, 37, 37, ClockJumped}, {9, 39, 39, ClockJumped}, {11, 41, 41, ClockJumped}, {12, 42, 42, ""},
		}}},
		{"one body ahead", [][]word{{{0, 0, 60, ""}, {1, 1, 1, ""}, {2, 2, 60, ""}, {3, 3, 3, ""}}}},
		{"all bodies ahead", [][]word{{{0, 0, 60, ""}, {0.5, 0.5, 60, ""}, {0.9, 0.9, 61, ""}, {1, 1, 61, ClockBehind}, {2, 2, 62, ClockBehind}}}},
		{"a few at once", [][]word{{{0, 0, 60, ""}, {0, 0, 60, ""}, {0, 0, 60, ""}, {0.1, 0.1, 60, ""}}}},
		{"and then an old one, tried again", [][]word{{{0, 0, 60, ""}, {0.5, 0.5, 60, ""}, {1, 1, 61, ClockBehind}, {2, 2, 1, ClockBehind}, {5.9, 5.9, 5, ClockBehind}, {6, 6, 6, ""}}}},
		{"behind, and set right", [][]word{{{0, 0, 60, ""}, {0.5, 0.5, 60, ""}, {1, 1, 61, ClockBehind}, {2, 62, 62, ClockJumped}, {4, 64, 64, ClockJumped}, {7, 67, 67, ""}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := testNow()
			at := func(minutes float64) time.Duration { return time.Duration(minutes * float64(time.Minute)) }
			var w clockWatch
			for _, words := range c.words {
				for _, v := range words {
					wall, boot := began.Add(at(v.wall)), 77*time.Hour+at(v.boot)
					var got ClockDoubt
					if v.newest == none {
						got = w.look(wall, boot)
					} else {
						got = w.body(began.Add(at(v.newest)), wall, boot)
					}
					if got != v.want {
						t.Fatalf("minute %v: %q, want %q", v.boot, got, v.want)
					}
				}
			}
		})
	}
}
