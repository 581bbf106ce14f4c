package topics

import "github.com/twmb/franz-go/pkg/kgo"

// Partitioner sends a record with a key where every Kafka client would (murmur2),
// and one without to the partition that it names. Every producer of ours uses it.
func Partitioner() kgo.Partitioner {
	return partitioner{murmur2: kgo.StickyKeyPartitioner(nil)}
}

type partitioner struct{ murmur2 kgo.Partitioner }

// ForTopic implements kgo.Partitioner.
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.murmur2.ForTopic(topic)}
}

type topicPartitioner struct{ murmur2 kgo.TopicPartitioner }

// RequiresConsistency implements kgo.TopicPartitioner: a partition that is away
// is waited for, never replaced by another.
func (topicPartitioner) RequiresConsistency(*kgo.Record) bool { return true }

// Partition implements kgo.TopicPartitioner.
func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Key == nil {
		return int(r.Partition)
	}
	return p.murmur2.Partition(r, n)
}
