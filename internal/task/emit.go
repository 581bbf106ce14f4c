package task

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

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
	a := newAcks(len(rows))
	for _, r := range rows {
		if r.Key == nil {
			return fmt.Errorf("BUG: row of %s without a key", r.Topic)
		}
		// Blocks while kgo's buffer is full, which bounds memory.
		e.client.Produce(ctx, record(schemas.TopicIn(r.Topic, e.epoch), r.Schema, r.Key, r.Value, now), a.done)
	}
	return a.wait(ctx)
}

// Progress implements Emitter.
func (e *kafkaEmitter) Progress(ctx context.Context, p schemas.Progress) error {
	if e.output == "" {
		return nil
	}
	now, value := e.now(), schemas.EncodeProgress(&p)
	a := newAcks(int(e.partitions))
	for i := range e.partitions {
		r := record(e.output, schemas.SchemaProgress, nil, value, now)
		r.Partition = i
		e.client.Produce(ctx, r, a.done)
	}
	return a.wait(ctx)
}

// acks collects the answers to a number of records.
type acks struct {
	all chan struct{} // closed by the last answer
	mu  struct {
		sync.Mutex
		left  int
		first error
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
	if err != nil && a.mu.first == nil {
		a.mu.first = fmt.Errorf("produce to %s: %w", r.Topic, err)
	}
	if a.mu.left--; a.mu.left == 0 {
		close(a.all)
	}
}

// wait returns the first error. It watches ctx itself because kgo's idempotent
// producer never gives up a record it has sent once, even when the record's
// context has ended; a record that arrives after all is true for its offset (I2).
func (a *acks) wait(ctx context.Context) error {
	select {
	case <-a.all:
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.mu.first
	case <-ctx.Done():
		return fmt.Errorf("wait for acknowledgements: %w", context.Cause(ctx))
	}
}
