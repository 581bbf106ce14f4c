package schemas

import (
	"encoding/binary"
	"fmt"
)

// PartitionOf is the one of `partitions` in which a record with this key belongs:
// murmur2 over its bytes, as in every Kafka client. Our producers follow it, so a
// record found elsewhere is not theirs.
func PartitionOf(key []byte, partitions int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % partitions
}

// Misplaced tells that a record is where none of our producers puts it.
type Misplaced struct {
	// Reason is ReasonKey or ReasonPartition.
	Reason string
	// Text is what was found and what to look at.
	Text string
}

// Error returns the sentence.
func (m *Misplaced) Error() string { return m.Text }

// Misplacement returns why a record cannot be where it is: it has another key
// than its value prescribes (ownKey is false), or its key belongs in another of
// the partitions. nil means that it can. A record without a key, a Progress,
// belongs in every partition. The answer depends on nothing but the record and
// the number of partitions; 0 means that the number is not known.
func Misplacement(key []byte, ownKey bool, partition, partitions int32) *Misplaced {
	if !ownKey {
		return &Misplaced{ReasonKey, "the record's key is not the one its value prescribes: " +
			"some other producer wrote it; see who may write to the topic (docs/runbook.md)"}
	}
	if len(key) == 0 || partitions == 0 {
		return nil
	}
	if p := PartitionOf(key, partitions); p != partition {
		return &Misplaced{ReasonPartition, fmt.Sprintf("the record's key belongs in partition %d of %d: "+
			"some other producer wrote it, or the topic had another number of partitions (docs/runbook.md)", p, partitions)}
	}
	return nil
}

// murmur2 is Austin Appleby's hash of 32 bits under the seed that Kafka chose.
func murmur2(b []byte) uint32 {
	const (
		seed = 0x9747b28c
		mix  = 0x5bd1e995
	)
	h := seed ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * mix
		h = h*mix ^ (k^k>>24)*mix
	}
	if len(b) > 0 {
		for i, c := range b {
			h ^= uint32(c) << (8 * i)
		}
		h *= mix
	}
	h ^= h >> 13
	h *= mix
	return h ^ h>>15
}
