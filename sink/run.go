package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/kafkaerr"
	"github.com/bluetick/bluetick/internal/meter"
	"github.com/bluetick/bluetick/internal/retry"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

// topics are the topics of an epoch that the sink reads, a goroutine each.
func topics(epoch uint32) []string {
	all := []string{schemas.TopicEvents, schemas.TopicPanes, schemas.TopicRates, schemas.TopicAlerts, schemas.TopicDeadLetters}
	for i := range all {
		all[i] = schemas.TopicIn(all[i], epoch)
	}
	return all
}

// Run carries every topic into ClickHouse until ctx ends or there is an error
// that trying again cannot cure. At the end it inserts what it holds, for at most
// StopTimeout. It returns nil if ctx ended it.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	scope := meter.NewScope(deps.Registerer)
	defer scope.Close()
	m, err := newMetrics(scope)
	if err != nil {
		return fmt.Errorf("start sink: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	names := topics(deps.Epoch)
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, topic := range names {
		wg.Go(func() {
			w := &writer{topic: topic, cfg: cfg, deps: deps, log: deps.Log.With("component", "sink", "topic", topic), metrics: m}
			if err := w.run(ctx); err != nil {
				errs[i] = fmt.Errorf("sink %s: %w", topic, err)
				cancel(errs[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// open finds out where to start and starts to consume there. It is repeated
// while Kafka or ClickHouse is away.
func (w *writer) open(ctx context.Context) error {
	return w.retry(ctx, "find position", func(ctx context.Context) error {
		starts, err := w.find(ctx)
		if err != nil {
			return err
		}
		offsets := make(map[int32]kgo.Offset, len(starts))
		for p, at := range starts {
			offsets[p] = kgo.NewOffset().At(at)
		}
		w.client, err = kgo.NewClient(append(slices.Clone(w.deps.Kafka),
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{w.topic: offsets}),
			kgo.ConsumeResetOffset(kgo.NoResetOffset()),
			// What piles up, per broker, while an insert is stalled.
			kgo.FetchMaxBytes(8<<20), kgo.FetchMaxPartitionBytes(2<<20),
			kgo.FetchMaxWait(500*time.Millisecond),
		)...)
		return err
	})
}

// find fills w.partitions and returns the offset to start at in each.
func (w *writer) find(ctx context.Context) (map[int32]int64, error) {
	logs, err := w.logs(ctx)
	if err != nil {
		return nil, err
	}
	positions, err := w.deps.Store.Positions(ctx, w.stage())
	if err != nil {
		return nil, err
	}
	starts := make(map[int32]int64, len(logs))
	w.partitions = make(map[int32]*partition, len(logs))
	for _, log := range logs {
		at, known := positions[log.partition]
		offset, warning, err := resume(at, known, log, w.cfg.AcceptGap)
		if err != nil {
			return nil, &clickhouse.Refusal{Err: err}
		}
		if warning != "" {
			w.log.Warn("records are missing", "partition", log.partition, "next_offset", offset, "why", warning)
		}
		starts[log.partition] = offset
		w.topicID = log.topicID
		w.partitions[log.partition] = &partition{next: offset, fetched: offset, end: log.end}
	}
	return starts, nil
}

// logs asks Kafka for the topic's identity and the ends of its partitions.
func (w *writer) logs(ctx context.Context) ([]partitionLog, error) {
	cl, err := kgo.NewClient(w.deps.Kafka...)
	if err != nil {
		return nil, &clickhouse.Refusal{Err: err}
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	details, err := adm.ListTopics(ctx, w.topic)
	if err != nil {
		return nil, fmt.Errorf("describe topic: %w", err)
	}
	d := details[w.topic]
	if d.Err != nil {
		return nil, fmt.Errorf("describe topic: %w (bluetick topics creates it)", d.Err)
	}
	starts, err := adm.ListStartOffsets(ctx, w.topic)
	if err != nil {
		return nil, fmt.Errorf("list start offsets: %w", err)
	}
	ends, err := adm.ListEndOffsets(ctx, w.topic)
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	if err := errors.Join(starts.Error(), ends.Error()); err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	var logs []partitionLog
	for p := range d.Partitions {
		start, _ := starts.Lookup(w.topic, p)
		end, ok := ends.Lookup(w.topic, p)
		if !ok {
			return nil, fmt.Errorf("list offsets: no answer for partition %d", p)
		}
		logs = append(logs, partitionLog{w.topic, d.ID.String(), p, start.Offset, end.Offset})
	}
	return logs, nil
}

// retry repeats do until it succeeds, ctx ends, or the error is permanent. It
// doubles the pause from 100 ms to 10 s: quick over a restart, no storm over an
// outage.
func (w *writer) retry(ctx context.Context, what string, do func(context.Context) error) error {
	inARow := 0
	pauses := retry.Backoff{Least: 100 * time.Millisecond, Most: 10 * time.Second}
	for {
		attempt, cancel := context.WithTimeout(ctx, w.cfg.InsertTimeout)
		err := do(attempt)
		cancel()
		if err == nil {
			w.metrics.inARow.WithLabelValues(w.topic, callRetry).Set(0)
			return nil
		}
		class := classify(err)
		if ctx.Err() != nil {
			w.metrics.errors.WithLabelValues(w.topic, string(class)).Inc()
			return fmt.Errorf("%s: %w", what, errors.Join(err, context.Cause(ctx)))
		}
		if class == clickhouse.ClassPermanent {
			w.metrics.errors.WithLabelValues(w.topic, string(class)).Inc()
			return fmt.Errorf("%s: %w", what, err)
		}
		inARow++
		pause := pauses.Next()
		w.trouble(callRetry, inARow, "will try again", err, "what", what, "after", pause)
		if stopped := retry.Pause(ctx, pause); stopped != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(err, stopped))
		}
	}
}

// classify says whether trying again can cure err. What it cannot cure is on a
// list, of Kafka (kafkaerr) or of ClickHouse (clickhouse.Classify).
func classify(err error) clickhouse.Class {
	switch {
	case kafkaerr.Permanent(err):
		return clickhouse.ClassPermanent
	case kerr.IsRetriable(err):
		return clickhouse.ClassRetryable
	case errors.Is(err, context.DeadlineExceeded):
		return clickhouse.ClassAmbiguous
	default:
		return clickhouse.Classify(err)
	}
}
