package rollup

import (
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

func TestDefaultIsValid(t *testing.T) {
	t.Parallel()
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Reach() != 48*time.Hour || c.Keep() != 72*time.Hour {
		t.Errorf("reach %s, keep %s", c.Reach(), c.Keep())
	}
	if spans := len(newPlan(c).spans); spans != 14 {
		t.Errorf("%d pairs of window and age, want 4 + 5 + 5", spans)
	}
	for _, topic := range schemas.Topics(4) {
		if topic.Name == schemas.TopicPanes && topic.Retention < c.Keep() {
			t.Errorf("panes are retained for %s, the roll-up needs %s", topic.Retention, c.Keep())
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	window := func(length, every time.Duration, ages ...time.Duration) Config {
		c := Default()
		c.Windows = []Window{{length, every, ages}}
		return c
	}
	with := func(change func(*Config)) Config {
		c := Default()
		change(&c)
		return c
	}
	tenAges := []time.Duration{
		0, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
		4 * time.Hour, 8 * time.Hour, 24 * time.Hour,
	}
	for _, c := range []struct {
		name string
		cfg  Config
		want string // a part of the error; empty: valid
	}{
		{"no windows", with(func(c *Config) { c.Windows = nil }), "windows: none"},
		{"no ages", window(time.Hour, time.Minute), "no ages"},
		{"length not whole minutes", window(90*time.Second, time.Minute, 0), "length 1m30s"},
		{"length zero", window(0, time.Minute, 0), "length 0s"},
		{"length negative", window(-time.Hour, time.Minute, 0), "length -1h"},
		{"every does not divide a day", window(time.Hour, 7*time.Minute, 0), "every 7m"},
		{"every zero", window(time.Hour, 0, 0), "every 0s"},
		{"every below a minute", window(time.Hour, 30*time.Second, 0), "every 30s"},
		{"age between edges", window(time.Hour, time.Minute, 10*time.Minute), "age 10m0s"},
		{"age with a fraction of a second", window(time.Hour, time.Minute, time.Minute+time.Millisecond), "age 1m0.001s"},
		{"age negative", window(time.Hour, time.Minute, -time.Minute), "age -1m0s"},
		{"age twice", window(time.Hour, time.Minute, 0, 0), "age 0s is given twice"},
		{"length twice", with(func(c *Config) { c.Windows = append(c.Windows, c.Windows[0]) }), "length 1m0s is given twice"},
		{"reaches too far", window(30*24*time.Hour, time.Hour, 30*24*time.Hour), "together"},
		{"too many spans", with(func(c *Config) {
			c.Windows = nil
			for i := range 7 {
				c.Windows = append(c.Windows, Window{time.Duration(i+1) * time.Minute, time.Minute, tenAges})
			}
		}), "70 pairs"},
		{"no groupings", with(func(c *Config) { c.Groupings = nil }), "groupings: none"},
		{"unknown grouping", with(func(c *Config) { c.Groupings = []schemas.Grouping{"planet"} }), `unknown "planet"`},
		{"grouping twice", with(func(c *Config) { c.Groupings = append(c.Groupings, schemas.GroupAccount) }), "twice"},
		{"no rows", with(func(c *Config) { c.MaxRowsPerProgress = 0 }), "max rows"},
		{"one window, one age", window(7*24*time.Hour, 24*time.Hour, 7*24*time.Hour), ""},
	} {
		err := c.cfg.Validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	both := window(90*time.Second, 7*time.Minute, 0)
	if err := both.Validate(); err == nil || strings.Count(err.Error(), "windows[0]") != 2 {
		t.Errorf("two mistakes give %v", err)
	}
	if _, err := NewFold(both)(task.Source{}, newMemory()); err == nil {
		t.Error("a fold opens with an invalid config")
	}
}

// TestRowsADay is the number of docs/metrics.md and decision 0059.
func TestRowsADay(t *testing.T) {
	rows := 0
	for _, w := range Default().Windows {
		rows += len(w.Ages) * int(24*time.Hour/w.Every)
	}
	if rows != 7680 {
		t.Errorf("an always active series writes %d rows a day, the docs say 7,680", rows)
	}
}
