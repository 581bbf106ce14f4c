package recorded

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/alert"
)

// TestNothingFalseAfterAGap: whatever keeps reports from us, a healthy campaign
// raises no alarm, and a real collapse is found. The minutes say when, counted from
// the launch; a launch without any gap is judged 32 minutes after it.
func TestNothingFalseAfterAGap(t *testing.T) {
	after := func(minutes int) []span { return []span{{launchAt + 2, launchAt + 2 + minutes}} }
	var restarts []span
	for d := range 7 {
		restarts = append(restarts, span{d*1440 + launchAt + 2, d*1440 + launchAt + 3})
	}
	for _, c := range []struct {
		name string
		gap  gap
		// collapse is when the alarm of a collapse comes, in minutes after the launch.
		collapse int
	}{
		{"no gap", gap{}, 31},
		{"off for 20 min, tried again every minute", gap{shut: after(20), again: 1}, 82},
		{"off for 20 min, tried again every 20 min", gap{shut: after(20), again: 20}, 82},
		{"off for 35 min, tried again every minute", gap{shut: after(35), again: 1}, 97},
		{"off for 35 min, tried again every 20 min", gap{shut: after(35), again: 20}, 97},
		{"off for 90 min, tried again every minute", gap{shut: after(90), again: 1}, 152},
		{"off for 90 min, tried again every 20 min", gap{shut: after(90), again: 20}, 152},
		{"off for 150 min, tried again every minute", gap{shut: after(150), again: 1}, 212},
		{"off for 150 min, tried again every 20 min", gap{shut: after(150), again: 20}, 212},
		{"the provider is late by 45 min, the door open", gap{late: span{launchAt + 2, launchAt + 90}, lateBy: 45}, 167},
		{"a proxy answers 502 for an hour, tried again every minute", gap{refused: after(60), again: 1}, 95},
		{"a proxy answers 502 for an hour, tried again every 20 min", gap{refused: after(60), again: 20}, 113},
		{"a restart at launch hour for a week", gap{days: 7, shut: restarts, again: 1}, 63},
		{"an account that is always two hours late", gap{days: 2, late: span{0, 1 << 20}, lateBy: 120}, 391},
		{"an account that sends nothing but the launch", gap{alone: true}, 31},
		{"the same, and off for 35 min", gap{alone: true, shut: after(35), again: 1}, 391},
		{"a quiet account that sends nothing", gap{silent: true}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			healthy := newGapLine(t)
			healthy.play(&c.gap)
			if len(healthy.told.all) > 0 {
				t.Errorf("false alarms:\n%s", strings.Join(healthy.told.all, "\n"))
			}
			if c.gap.silent {
				return
			}
			if want := 5 * max(c.gap.days, 1); len(healthy.judgedAt) < want {
				t.Errorf("%d minutes of launches judged, want %d", len(healthy.judgedAt), want)
			}
			bad := c.gap
			bad.collapses = true
			line := newGapLine(t)
			line.play(&bad)
			got := -1
			for _, told := range line.told.all {
				var at int
				var rule, grouping string
				if _, err := fmt.Sscan(told, &at, &rule, &grouping); err != nil || rule != alert.RuleDelivery {
					t.Errorf("alarm %q", told)
				}
				if got < 0 {
					got = at - launchAt
				}
			}
			if got != c.collapse {
				t.Errorf("the alarm of a collapse came %d minutes after the launch, want %d\n%s", got, c.collapse, strings.Join(line.told.all, "\n"))
			}
		})
	}
}

// TestGapsWouldAlarm: the stories above are not harmless. Alerts that take every row
// for heard page for a healthy campaign.
func TestGapsWouldAlarm(t *testing.T) {
	for name, g := range map[string]gap{
		"off for 35 min":       {shut: []span{{launchAt + 2, launchAt + 37}}, again: 1},
		"off for 150 min":      {shut: []span{{launchAt + 2, launchAt + 152}}, again: 20},
		"the provider is late": {late: span{launchAt + 2, launchAt + 90}, lateBy: 45},
		"a proxy answers 502":  {refused: []span{{launchAt + 2, launchAt + 62}}, again: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := newGapLine(t)
			line.gullible = true
			line.play(&g)
			if len(line.told.all) == 0 {
				t.Error("no false alarm: the story tells nothing")
			}
		})
	}
}
