package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bluetick/bluetick/internal/kafkaerr"
	"github.com/bluetick/bluetick/schemas"
)

// maxPoll bounds the records applied between two looks at the policy: some
// 50 ms of work.
const maxPoll = 10_000

const (
	// askTimeout bounds a question to Kafka in the task's loop.
	askTimeout = 2 * time.Second
	// retryPause keeps a fetch that fails at once from making a busy loop;
	// warnEvery keeps the log short.
	retryPause = 250 * time.Millisecond
	warnEvery  = 10 * time.Second
)

// consumerOpts of one task's own client: one partition from one offset, and an
// error, never a jump, where the offset is not in the log.
func consumerOpts(topic string, partition int32, next int64) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(next)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	}
}

// toRecord views r as the fold's Record. prev is the schema of the record
// before, nearly always the same, which spares an allocation.
func toRecord(r *kgo.Record, prev string) Record {
	out := Record{Offset: r.Offset, Timestamp: schemas.InstantOf(r.Timestamp), Key: r.Key, Value: r.Value}
	for i := range r.Headers {
		if r.Headers[i].Key != schemas.HeaderSchema {
			continue
		}
		if out.Schema = prev; string(r.Headers[i].Value) != prev {
			out.Schema = string(r.Headers[i].Value)
		}
		break
	}
	return out
}

// fetchError sorts an error of a poll: fatal stops the task; retry is one that
// kgo is trying again by itself; both nil is the poll's own end.
func fetchError(err error, where string, next int64) (fatal, retry error) {
	var loss *kgo.ErrDataLoss
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil, nil
	case errors.Is(err, kerr.OffsetOutOfRange), errors.As(err, &loss):
		return &Refusal{Reason: RefuseLogTruncated, Text: fmt.Sprintf(
			"%s: the log no longer holds offset %d (%v): retention overtook the task, or the brokers lost records; put back a newer state folder from a backup, or rebuild (docs/runbook.md)", where, next, err)}, nil
	}
	err = fmt.Errorf("fetch %s at %d: %w", where, next, err)
	if kafkaerr.Permanent(err) {
		return err, nil
	}
	return nil, err
}

// topicMayBeGone reports whether a retryable fetch error can mean that the topic
// was deleted, or deleted and made again. It can also come from a broker that does
// not know the topic yet, so Kafka is asked.
func topicMayBeGone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.InconsistentTopicID) ||
		errors.Is(err, kerr.UnknownTopicOrPartition)
}

// sameTopic returns a Refusal if topic is not the one with this id any more.
// No answer is not a refusal: the fetch is tried again.
func sameTopic(ctx context.Context, client *kgo.Client, topic string, id [16]byte, where string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	meta, err := kadm.NewClient(client).Metadata(ctx, topic)
	if err != nil {
		return nil
	}
	got := meta.Topics[topic]
	if err := topicError(topic, got); err != nil {
		return err
	}
	if got.ID != id {
		return &Refusal{Reason: RefuseOtherTopic, Text: where + ": the topic was deleted and made again while the task ran, so its offsets name other records; move its state folder away and rebuild (docs/runbook.md)"}
	}
	return nil
}

// endOffset asks the partition's leader for the offset after its last record.
func endOffset(ctx context.Context, client *kgo.Client, topic string, partition int32) (int64, error) {
	const latest = -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, latest
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.Topics = -1, append(req.Topics, t)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return 0, fmt.Errorf("ask for the end of %s[%d]: %w", topic, partition, err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, fmt.Errorf("ask for the end of %s[%d]: the answer does not name it", topic, partition)
	}
	got := resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return 0, fmt.Errorf("ask for the end of %s[%d]: %w", topic, partition, err)
	}
	return got.Offset, nil
}
