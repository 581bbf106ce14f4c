package pipeline

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/aggregate/message"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
)

// measured is the message fold with its numbers in the process's metrics, by
// partition.
func measured(registry prometheus.Registerer) task.NewFold {
	return func(src task.Source, st store.State) (task.Fold, error) {
		fold, err := message.NewFold(src, st)
		if err != nil {
			return nil, err
		}
		if f, ok := fold.(interface{ Stats() message.Stats }); ok {
			err = registerStats(registry, src.Partition, f.Stats)
		}
		return fold, err
	}
}

func registerStats(registry prometheus.Registerer, partition int32, stats func() message.Stats) error {
	for _, m := range []struct {
		name, help string
		value      func(message.Stats) int64
	}{
		{"messages", "Messages remembered, orphans included.", func(s message.Stats) int64 { return s.Live }},
		{"orphans", "Messages of which nothing yet says that they were sent: in no pane.", func(s message.Stats) int64 { return s.Orphans }},
		{"tuples", "Tuples of dimensions in use.", func(s message.Stats) int64 { return s.Tuples }},
		{"forgotten", "Messages forgotten by age since the start.", func(s message.Stats) int64 { return s.Forgotten }},
		{"late", "Outcomes beyond the horizon since the start, which count nowhere else.", func(s message.Stats) int64 { return s.Late }},
		{"moves", "Messages that went to another pane since the start.", func(s message.Stats) int64 { return s.Moves }},
		{"repeats", "Events that said nothing new since the start.", func(s message.Stats) int64 { return s.Repeats }},
	} {
		gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "bluetick", Subsystem: "message", Name: m.name, Help: m.help,
			ConstLabels: prometheus.Labels{"partition": strconv.Itoa(int(partition))},
		}, func() float64 { return float64(m.value(stats())) })
		if err := registry.Register(gauge); err != nil {
			return err
		}
	}
	return nil
}
