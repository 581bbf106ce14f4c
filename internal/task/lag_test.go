package task

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// TestLogThatEndsTooSoon: a log that ends before what is folded shows a lag below
// 0 and is logged, again only after a while; one that goes on is not.
func TestLogThatEndsTooSoon(t *testing.T) {
	task := burstTask(t, &burst{}, DefaultPolicy())
	var log bytes.Buffer
	task.log = slog.New(slog.NewTextHandler(&log, nil))
	now := time.Unix(1_790_000_000, 0)
	task.wall = func() time.Time { return now }
	if err := task.apply(t.Context(), fetched(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	next := task.machine.Next()
	for _, c := range []struct {
		what  string
		end   int64
		later time.Duration
		lag   float64
		told  int
	}{
		{"behind", next + 5, 0, 5, 0},
		{"at the end", next, 0, 0, 0},
		{"the log lost one", next - 1, 0, -1, 1},
		{"and is looked at again at once", next - 1, time.Second, -1, 1},
		{"and later", next - 1, warnEvery, -1, 2},
		{"it has grown past it", next + 2, time.Second, 2, 2},
	} {
		now = now.Add(c.later)
		task.measure(c.end)
		var m dto.Metric
		if err := task.gauges.lagOffsets.Write(&m); err != nil {
			t.Fatal(err)
		}
		if got, told := m.GetGauge().GetValue(), strings.Count(log.String(), "level=ERROR"); got != c.lag || told != c.told {
			t.Errorf("%s: lag %v, told %d times; want %v, %d", c.what, got, told, c.lag, c.told)
		}
	}
}
