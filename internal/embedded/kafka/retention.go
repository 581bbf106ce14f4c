package kafka

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	// sweepEvery is how often old records are deleted. Retention is counted in
	// days, so a minute is precise enough for the disk.
	sweepEvery = time.Minute
	// sweepTimeout bounds one sweep, which talks to this process only.
	sweepTimeout = 30 * time.Second
)

// sweepLoop deletes old records and packs the rest until ctx ends.
func (b *Broker) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sctx, cancel := context.WithTimeout(ctx, sweepTimeout)
		err := b.sweep(sctx)
		cancel()
		if err != nil && ctx.Err() == nil {
			b.log.Warn("retention sweep incomplete, the next one tries again", "err", err, "every", sweepEvery)
		}
		if err := b.pack(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("old records are not packed and their batches stay in memory, the next attempt follows", "err", err, "every", sweepEvery)
		}
		b.weigh()
	}
}

// sweep deletes in every partition the records in front of the first one that
// is younger than the topic's retention.ms, except the last record (K2).
func (b *Broker) sweep(ctx context.Context) error {
	topics, err := b.adm.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	configs, err := b.adm.DescribeTopicConfigs(ctx, topics.Names()...)
	if err != nil {
		return fmt.Errorf("read retention: %w", err)
	}
	now := b.now()
	for _, rc := range configs {
		keep, ok := retention(rc)
		if !ok {
			continue
		}
		if err := b.sweepTopic(ctx, rc.Name, now.Add(-keep)); err != nil {
			return fmt.Errorf("delete old records of %s: %w", rc.Name, err)
		}
	}
	return nil
}

// sweepTopic deletes the records of a topic that come before the first one stamped
// at or after cutoff.
func (b *Broker) sweepTopic(ctx context.Context, topic string, cutoff time.Time) error {
	starts, err := b.adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return err
	}
	ends, err := b.adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	young, err := b.adm.ListOffsetsAfterMilli(ctx, cutoff.UnixMilli(), topic)
	if err != nil {
		return err
	}
	var del kadm.Offsets
	young.Each(func(o kadm.ListedOffset) {
		start, okStart := starts.Lookup(topic, o.Partition)
		end, okEnd := ends.Lookup(topic, o.Partition)
		if !okStart || !okEnd || o.Err != nil || start.Err != nil || end.Err != nil {
			return // deleted meanwhile
		}
		to := b.packs.floor(place{topic, o.Partition}, min(o.Offset, end.Offset-1))
		if to > start.Offset {
			del.Add(kadm.Offset{Topic: topic, Partition: o.Partition, At: to})
		}
	})
	if len(del) == 0 {
		return nil
	}
	res, err := b.adm.DeleteRecords(ctx, del)
	if err != nil {
		return err
	}
	return res.Error()
}

// retention returns how long a topic keeps its records; ok is false when it
// keeps them for ever or has no such setting.
func retention(rc kadm.ResourceConfig) (keep time.Duration, ok bool) {
	for _, c := range rc.Configs {
		if c.Key != "retention.ms" || c.Value == nil {
			continue
		}
		ms, err := strconv.ParseInt(*c.Value, 10, 64)
		if err != nil || ms < 0 || ms > int64(maxRetention/time.Millisecond) {
			return 0, false
		}
		return time.Duration(ms) * time.Millisecond, true
	}
	return 0, false
}

// maxRetention is the longest time that fits a time.Duration with room for the
// subtraction; whatever is above it means for ever.
const maxRetention = 100 * 365 * 24 * time.Hour
