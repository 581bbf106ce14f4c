package rollup

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// Limits of a Config, with their reasons.
const (
	// maxReach bounds longest window + longest age, because the state keeps
	// every pane that long: with the slack day it is twice the horizon.
	maxReach = (2*schemas.HorizonDays - 1) * 24 * time.Hour
	// maxSpans bounds the (window, age) pairs: each costs a running sum per
	// series and a row per series and at.
	maxSpans = 64
	// slack is how much longer than any window needs it a pane is kept, so that
	// a watermark held back for up to a day loses nothing.
	slack = 24 * time.Hour
	// defaultMaxRows bounds what one Progress record may close after an outage.
	// Rows wait encoded, about 300 bytes each, until the next flush: 60 MB.
	defaultMaxRows = 200_000
)

// Window is one rolling window with the ages at which it is judged.
type Window struct {
	// Length is a whole number of minutes.
	Length time.Duration
	// Every is the distance between two `at`: whole minutes that divide a day,
	// counted from midnight UTC.
	Every time.Duration
	// Ages are 0 ("so far") or edges of the delay histogram, schemas.Edges.
	Ages []time.Duration
}

// Config defines which rates exist. It is data; a change takes effect from the
// next `at` on and needs no rebuild.
type Config struct {
	Windows   []Window
	Groupings []schemas.Grouping
	// MaxRowsPerProgress bounds the rows that one Progress record may close;
	// what is left is closed by the next ones. At least one `at` always closes.
	MaxRowsPerProgress int
}

// Default returns the windows, ages and groupings of docs/metrics.md.
func Default() Config {
	ages := []time.Duration{0, 30 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour}
	return Config{
		Windows: []Window{
			// What alerts consume: every cohort once, at every age a rule judges. A
			// minute's cohort "so far" would be one that nobody has had time to open: it
			// has no age 0.
			{Length: time.Minute, Every: time.Minute, Ages: ages[1:]},
			// Two of these in a row share all but the edges: every five minutes is what a
			// chart shows, and a fifth of the rows. The same at any minute: v_rolling.
			{Length: time.Hour, Every: 5 * time.Minute, Ages: ages},
			{Length: 24 * time.Hour, Every: 15 * time.Minute, Ages: ages},
		},
		Groupings:          schemas.Groupings(),
		MaxRowsPerProgress: defaultMaxRows,
	}
}

// Reach is how far before its `at` the earliest minute of any rate lies:
// longest window + age.
func (c Config) Reach() time.Duration {
	var reach time.Duration
	for _, w := range c.Windows {
		for _, a := range w.Ages {
			reach = max(reach, w.Length+a)
		}
	}
	return reach
}

// Keep is how long, by the D-clock, a pane is remembered; the topic `panes`
// must retain at least as much.
func (c Config) Keep() time.Duration { return c.Reach() + slack }

// Validate reports every mistake at once.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Windows) == 0 {
		bad("windows: none given")
	}
	spans := 0
	lengths := map[time.Duration]bool{}
	for i, w := range c.Windows {
		spans += len(w.Ages)
		if lengths[w.Length] {
			bad("windows[%d]: length %s is given twice", i, w.Length)
		}
		lengths[w.Length] = true
		errs = append(errs, w.validate(i)...)
	}
	if spans > maxSpans {
		bad("windows: %d pairs of window and age, at most %d", spans, maxSpans)
	}
	if c.Reach() > maxReach {
		bad("windows: longest window and age together are %s, at most %s", c.Reach(), maxReach)
	}
	if len(c.Groupings) == 0 {
		bad("groupings: none given")
	}
	for i, g := range c.Groupings {
		if !g.Valid() {
			bad("groupings[%d]: unknown %q", i, g)
		}
		if slices.Contains(c.Groupings[:i], g) {
			bad("groupings[%d]: %q is given twice", i, g)
		}
	}
	if c.MaxRowsPerProgress < 1 {
		bad("max rows per progress: %d, at least 1", c.MaxRowsPerProgress)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("roll-up config: %w", err)
	}
	return nil
}

func (w Window) validate(i int) []error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("windows[%d]: "+format, append([]any{i}, args...)...))
	}
	if w.Length < time.Minute || w.Length%time.Minute != 0 || w.Length > maxReach {
		bad("length %s is not a whole number of minutes from 1m to %s", w.Length, maxReach)
	}
	if w.Every < time.Minute || w.Every%time.Minute != 0 || (24*time.Hour)%w.Every != 0 {
		bad("every %s is not whole minutes that divide a day", w.Every)
	}
	if len(w.Ages) == 0 {
		bad("no ages")
	}
	for j, a := range w.Ages {
		if !knownAge(a) {
			bad("age %s is neither 0 nor an edge of the delay histogram", a)
		}
		if slices.Contains(w.Ages[:j], a) {
			bad("age %s is given twice", a)
		}
	}
	return errs
}

func knownAge(a time.Duration) bool {
	edges := schemas.Edges()
	return a == 0 || a%time.Second == 0 && slices.Contains(edges[:], int64(a/time.Second))
}
