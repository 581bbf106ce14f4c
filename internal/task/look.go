package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// view is what Kafka reports about a stage's topics when it starts.
type view struct {
	belongs          store.Meta // all but Partition, NextOffset and DClock
	chosen           []int32
	logs             map[int32]bounds
	outputPartitions int32
}

// look asks Kafka about the topics of a stage.
func look(ctx context.Context, admin *kadm.Client, cfg StageConfig) (view, error) {
	names := []string{cfg.Input, schemas.TopicDeadLetters}
	if cfg.Output != "" {
		names = append(names, cfg.Output)
	}
	meta, err := admin.Metadata(ctx, names...)
	if err != nil {
		return view{}, fmt.Errorf("ask Kafka about the topics: %w", err)
	}
	for _, name := range names {
		if err := topicError(name, meta.Topics[name]); err != nil {
			return view{}, err
		}
	}
	in := meta.Topics[cfg.Input]
	v := view{
		belongs: store.Meta{
			Epoch: cfg.Epoch, Topic: cfg.Input, TopicID: in.ID, ClusterID: meta.Cluster,
			LogicVersion: cfg.Logic, Partitions: int32(len(in.Partitions)),
		},
		outputPartitions: int32(len(meta.Topics[cfg.Output].Partitions)),
	}
	if cfg.Embedded {
		v.belongs.ClusterID = "" // kfake's is the same everywhere
	}
	if v.chosen, err = choose(cfg, v.belongs.Partitions); err != nil {
		return view{}, err
	}
	v.logs, err = logBounds(ctx, admin, cfg.Input, v.chosen)
	return v, err
}

func topicError(name string, d kadm.TopicDetail) error {
	switch {
	case errors.Is(d.Err, kerr.UnknownTopicOrPartition) || d.Err == nil && len(d.Partitions) == 0:
		return &Refusal{Reason: RefuseNoTopic, Text: fmt.Sprintf("topic %s does not exist; make it with `bluetick topics`", name)}
	case d.Err != nil:
		return fmt.Errorf("ask Kafka about topic %s: %w", name, d.Err)
	}
	return nil
}

// choose lists the partitions to run.
func choose(cfg StageConfig, partitions int32) ([]int32, error) {
	if cfg.Partitions == nil {
		all := make([]int32, partitions)
		for i := range all {
			all[i] = int32(i)
		}
		return all, nil
	}
	for _, p := range cfg.Partitions {
		if p < 0 || p >= partitions {
			return nil, fmt.Errorf("partition %d is not one of the %d of %s", p, partitions, cfg.Input)
		}
	}
	return cfg.Partitions, nil
}

func logBounds(ctx context.Context, admin *kadm.Client, topic string, chosen []int32) (map[int32]bounds, error) {
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("ask where %s begins: %w", topic, err)
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("ask where %s ends: %w", topic, err)
	}
	logs := map[int32]bounds{}
	for _, p := range chosen {
		from, ok1 := starts.Lookup(topic, p)
		to, ok2 := ends.Lookup(topic, p)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("ask where %s[%d] begins and ends: the answer does not name it", topic, p)
		}
		if err := errors.Join(from.Err, to.Err); err != nil {
			return nil, fmt.Errorf("ask where %s[%d] begins and ends: %w", topic, p, err)
		}
		logs[p] = bounds{from.Offset, to.Offset}
	}
	return logs, nil
}
