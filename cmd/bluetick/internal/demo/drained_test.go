package demo

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink"
)

// told is a line and a warehouse that answer what a test case gives them.
type told struct {
	status  map[string][]task.Status
	ends    map[string]map[int32]int64
	arrived map[position]int64
	err     error
}

func (w *told) Status(stage string) []task.Status { return w.status[stage] }

func (w *told) Epoch() uint32 { return 1 }

func (w *told) Ends(_ context.Context, topic string) (map[int32]int64, error) {
	return w.ends[topic], w.err
}

func (w *told) reached(context.Context) (map[position]int64, error) { return w.arrived, nil }

// allThrough is a line in which everything of two partitions has come through.
func allThrough(stopped time.Time) *told {
	closed := schemas.InstantOf(stopped.Add(-ripe))
	w := &told{
		status: map[string][]task.Status{
			schemas.StageRollup: {{Partition: 0, CompleteTo: closed}, {Partition: 1, CompleteTo: closed + 1}},
			schemas.StageAlert:  {{Partition: 0, NextOffset: 500, EndOffset: 500}, {Partition: 1, NextOffset: 70, EndOffset: 60}},
		},
		ends: map[string]map[int32]int64{
			schemas.TopicEvents: {0: 10, 1: 0},
			schemas.TopicRates:  {0: 500, 1: 70 + restless},
		},
		arrived: map[position]int64{},
	}
	for _, stage := range []string{schemas.StageMessage, sink.Stage + "/" + schemas.TopicEvents} {
		w.arrived[position{stage, 0}] = 10
	}
	return w
}

// TestDrained: everything that is not through yet is waited for.
func TestDrained(t *testing.T) {
	stopped := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, c := range map[string]struct {
		change  func(*told)
		through bool
		mistake string
	}{
		"all through":                 {func(*told) {}, true, ""},
		"an event is not counted":     {func(w *told) { w.arrived[position{schemas.StageMessage, 0}]-- }, false, ""},
		"an event is not in the rows": {func(w *told) { w.arrived[position{sink.Stage + "/" + schemas.TopicEvents, 0}]-- }, false, ""},
		"nothing arrived":             {func(w *told) { w.arrived = nil }, false, ""},
		"another partition of events": {func(w *told) { w.ends[schemas.TopicEvents][1] = 1 }, false, ""},
		"a minute is not closed":      {func(w *told) { w.status[schemas.StageRollup][0].CompleteTo-- }, false, ""},
		"no minute is closed":         {func(w *told) { w.status[schemas.StageRollup][1].CompleteTo = 0 }, false, ""},
		"a rate is not judged":        {func(w *told) { w.ends[schemas.TopicRates][1]++ }, false, ""},
		"many are not judged": {func(w *told) {
			w.status[schemas.StageAlert][0].EndOffset += restless + 1
		}, false, ""},
		"no alert stage":   {func(w *told) { delete(w.status, schemas.StageAlert) }, false, "does not say how far"},
		"no roll-up":       {func(w *told) { delete(w.status, schemas.StageRollup) }, false, "does not say how far"},
		"kafka is away":    {func(w *told) { w.err = errors.New("kafka is away") }, false, "kafka is away"},
		"nothing was sent": {func(w *told) { w.ends[schemas.TopicEvents] = nil }, true, ""},
	} {
		w := allThrough(stopped)
		c.change(w)
		got, err := (&through{line: w, warehouse: w, stopped: stopped}).all(t.Context())
		if got != c.through {
			t.Errorf("%s: through is %v", name, got)
		}
		if (err == nil) != (c.mistake == "") || err != nil && !strings.Contains(err.Error(), c.mistake) {
			t.Errorf("%s: %v, want %q", name, err, c.mistake)
		}
	}
}
