package schemas

import "encoding/binary"

// PartitionOf is the partition, of so many, in which a record with this key
// stands: murmur2 over its bytes, as every Kafka client has it. It is what our
// producers do, so a record that stands elsewhere is not theirs.
func PartitionOf(key []byte, partitions int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % partitions
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
