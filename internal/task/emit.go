package task

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/kafkaerr"
	"github.com/bluetick/bluetick/internal/retry"
	"github.com/bluetick/bluetick/internal/topics"
	"github.com/bluetick/bluetick/schemas"
)

// producerOpts of a stage's one producer. Idempotent with acks from all in-sync
// replicas is kgo's default, but set here all the same, because I3 needs it.
func producerOpts() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(topics.Partitioner()),
		// A flush waits for its last record, so a long linger only adds to it.
		kgo.ProducerLinger(2 * time.Millisecond),
	}
}

// kafkaEmitter is the Emitter of all tasks of a stage.
type kafkaEmitter struct {
	client *kgo.Client
	now    func() time.Time
	// output is the topic of Progress with its number of partitions; "" if the
	// stage has none.
	output     string
	partitions int32
	// epoch of the rows, see schemas.TopicIn.
	epoch uint32
	log   *slog.Logger
}

func record(topic, schema string, key, value []byte, at time.Time) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Key: key, Value: value, Timestamp: at,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderSchema, Value: []byte(schema)}},
	}
}

// Emit implements Emitter.
func (e *kafkaEmitter) Emit(ctx context.Context, rows []Row) error {
	now := e.now()
	for _, r := range rows {
		if r.Key == nil {
			return fmt.Errorf("BUG: row of %s without a key", r.Topic)
		}
	}
	return e.send(ctx, len(rows), func(yield func(*kgo.Record) bool) {
		for _, r := range rows {
			if !yield(record(schemas.TopicIn(r.Topic, e.epoch), r.Schema, r.Key, r.Value, now)) {
				return
			}
		}
	})
}

// Progress implements Emitter.
func (e *kafkaEmitter) Progress(ctx context.Context, p schemas.Progress) error {
	if e.output == "" {
		return nil
	}
	now, value := e.now(), schemas.EncodeProgress(&p)
	return e.send(ctx, int(e.partitions), func(yield func(*kgo.Record) bool) {
		for i := range e.partitions {
			r := record(e.output, schemas.SchemaProgress, nil, value, now)
			r.Partition = i
			if !yield(r) {
				return
			}
		}
	})
}

// send produces n records until each is acknowledged, Kafka refuses one for good, or
// ctx ends. What failed goes out again: a row is absolute and versioned, so one that
// arrives twice, or after others, is still true for its offset (I2), and Progress is
// sent only once all rows before it are there (I3).
func (e *kafkaEmitter) send(ctx context.Context, n int, records iter.Seq[*kgo.Record]) error {
	pause := retry.Backoff{Least: 100 * time.Millisecond, Most: 10 * time.Second, Spread: true}
	for tries := 1; ; tries++ {
		a := newAcks(n)
		for r := range records {
			e.client.Produce(ctx, r, a.done) // blocks while kgo's buffer is full, which bounds memory
		}
		failed, err := a.wait(ctx)
		if err == nil || ctx.Err() != nil || refusedForGood(err) {
			return err
		}
		after, level := pause.Next(), slog.LevelWarn
		if tries >= loudAfter {
			level = slog.LevelError
		}
		e.log.Log(ctx, level, "will try again", "what", "emit rows", "rows", len(failed), "tries", tries, "after", after, "err", err)
		if cause := retry.Pause(ctx, after); cause != nil {
			return fmt.Errorf("%w: %w", cause, err)
		}
		n, records = len(failed), slices.Values(failed)
	}
}

// loudAfter is how many failures in a row are still a restart or a short want.
const loudAfter = 10

// refusedForGood says whether a record that Kafka did not take will never be taken. kgo
// has asked for a topic that it does not find several times.
func refusedForGood(err error) bool {
	return kafkaerr.Permanent(err) || errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}

// acks collects the answers to a number of records.
type acks struct {
	all chan struct{} // closed by the last answer
	mu  struct {
		sync.Mutex
		left   int
		first  error
		failed []*kgo.Record
	}
}

func newAcks(n int) *acks {
	a := &acks{all: make(chan struct{})}
	a.mu.left = n
	if n == 0 {
		close(a.all)
	}
	return a
}

func (a *acks) done(r *kgo.Record, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.mu.failed = append(a.mu.failed, r)
		if a.mu.first == nil {
			a.mu.first = fmt.Errorf("produce to %s: %w", r.Topic, err)
		}
	}
	if a.mu.left--; a.mu.left == 0 {
		close(a.all)
	}
}

// wait returns the records that were not taken and the first error. It watches ctx itself because kgo's idempotent
// producer never gives up a record it has sent once, even when the record's
// context has ended; a record that arrives after all is true for its offset (I2).
func (a *acks) wait(ctx context.Context) (failed []*kgo.Record, err error) {
	select {
	case <-a.all:
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.mu.failed, a.mu.first
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for acknowledgements: %w", context.Cause(ctx))
	}
}
