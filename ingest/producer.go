package ingest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/topics"
	"github.com/bluetick/bluetick/schemas"
)

// minProduceTimeout is the least ProduceTimeout: below it a healthy broker
// would be given up.
const minProduceTimeout = 100 * time.Millisecond

const (
	// linger lets requests that arrive together share a batch. It is part of
	// every answer's time.
	linger = 2 * time.Millisecond
	// maxBufferedRecords and maxBufferedBytes bound what waits for Kafka, over all
	// requests. Once either is full, new requests are refused at once.
	maxBufferedRecords = 100_000
	maxBufferedBytes   = 256 << 20
	// maxBodyRecord is max.message.bytes of the topics that take whole bodies.
	maxBodyRecord = 5 << 20
	// maxEventBatch is Kafka's default max.message.bytes, less a little.
	maxEventBatch = 1_000_012
	// metadataMinAge is how soon a lost leader is asked for again. kgo's 5 s would
	// be the whole ProduceTimeout.
	metadataMinAge = 500 * time.Millisecond
)

// Record is one record for Kafka.
type Record struct {
	Topic  string
	Schema string
	// Key decides the partition; without one the record goes to Partition.
	Key       []byte
	Partition int32
	Value     []byte
	// Provider, if not empty, is written as a header.
	Provider string
	At       time.Time
}

// Kafka is the Producer for a Kafka cluster. It is idempotent and waits for all
// in-sync replicas. Safe for concurrent use.
type Kafka struct {
	client  *kgo.Client
	timeout time.Duration
}

// NewKafka connects with opts, which hold where Kafka is and how to log; how to
// produce is decided here. timeout is Config.ProduceTimeout.
//
// A record that is not acknowledged within timeout is given up even if it may
// have been written (AllowIdempotentProduceCancellation). Otherwise records of
// an outage would stay in memory until Kafka is back, whatever was answered
// meanwhile. The price is that the provider's retry can be a second record of
// the same event, which a crash can make too. The limit is the records' context
// and not RecordDeliveryTimeout, which compares the wall clock with the record's
// time, and that may be a virtual one.
func NewKafka(timeout time.Duration, opts ...kgo.Opt) (*Kafka, error) {
	client, err := kgo.NewClient(append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(topics.Partitioner()),
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
		kgo.ProducerLinger(linger),
		kgo.MaxBufferedRecords(maxBufferedRecords),
		kgo.MaxBufferedBytes(maxBufferedBytes),
		kgo.ProducerBatchMaxBytesFn(batchMaxBytes),
		kgo.AllowIdempotentProduceCancellation(),
		// A broker that hangs is left after this and the overhead.
		kgo.ProduceRequestTimeout(timeout),
		kgo.RequestTimeoutOverhead(timeout),
		kgo.MetadataMinAge(metadataMinAge),
	)...)
	if err != nil {
		return nil, fmt.Errorf("connect to kafka: %w", err)
	}
	return &Kafka{client: client, timeout: timeout}, nil
}

func batchMaxBytes(topic string) int32 {
	if topic == schemas.TopicRaw || topic == schemas.TopicDeadLetters {
		return maxBodyRecord
	}
	return maxEventBatch
}

// Close ends the connections; what is not acknowledged by then is given up.
func (k *Kafka) Close() { k.client.Close() }

// Produce writes all records. It returns nil once every one is acknowledged,
// the first error as soon as there is one, and ctx's when ctx ends: kgo does
// not give up a request in flight by itself. After an error the other records
// may still be written.
func (k *Kafka) Produce(ctx context.Context, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	// Not ctx, and not cancelled when this returns early: when the context of the
	// first record that waits for a partition ends, kgo gives up all that wait for
	// it, other requests' records too.
	recordsCtx, release := context.WithTimeout(context.Background(), k.timeout)
	var unanswered, failed atomic.Int64
	unanswered.Store(int64(len(records)))
	// One slot: the first error or the last acknowledgement, whichever comes first.
	// Nothing is sent after it.
	done := make(chan error, 1)
	promise := func(r *kgo.Record, err error) {
		if err != nil && failed.Add(1) == 1 {
			done <- fmt.Errorf("produce to %s: %w", r.Topic, err)
		}
		if unanswered.Add(-1) == 0 {
			release()
			if failed.Load() == 0 {
				done <- nil
			}
		}
	}
	for i := range records {
		k.client.TryProduce(recordsCtx, records[i].kgo(), promise)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for acknowledgements: %w", context.Cause(ctx))
	}
}

func (r *Record) kgo() *kgo.Record {
	headers := []kgo.RecordHeader{{Key: schemas.HeaderSchema, Value: []byte(r.Schema)}}
	if r.Provider != "" {
		headers = append(headers, kgo.RecordHeader{Key: "provider", Value: []byte(r.Provider)})
	}
	return &kgo.Record{Topic: r.Topic, Key: r.Key, Partition: r.Partition, Value: r.Value, Headers: headers, Timestamp: r.At}
}
