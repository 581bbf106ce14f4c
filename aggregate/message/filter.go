package message

import (
	"encoding/binary"
	"math/bits"

	"github.com/bluetick/bluetick/schemas"
)

// filter answers "may this key be among those added?": its no is always right,
// its yes wrong about once in a thousand. It is a Bloom filter whose eight bits
// per key lie in one cache line, in segments that grow with the number of keys.
type filter struct{ segments []segment }

// segment is a filter of fixed capacity.
type segment struct {
	blocks []block
	free   int // keys it still takes at its error rate
}

// block is one cache line; a key sets one bit in each word.
type block [8]uint64

const (
	// blockKeys is 16 bits per key: a block with 32 keys answers yes wrongly
	// with probability (1 − (63/64)³²)⁸ = 0.06 %.
	blockKeys = 32
	// firstKeys is the least capacity of the first segment, 8 KiB.
	firstKeys = 4096
	// segmentGrowth: a day with n times the keys it expected has log₄ n segments
	// to ask, and the last one wastes at most three quarters of the whole.
	segmentGrowth = 4
)

// digest mixes a message key, which need not be uniform, into 64 bits.
func digest(k *schemas.Key) uint64 {
	h := binary.LittleEndian.Uint64(k[:8]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(k[8:])*0x9e3779b97f4a7c15, 31)
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func newSegment(keys int) segment {
	n := (keys + blockKeys - 1) / blockKeys
	return segment{blocks: make([]block, n), free: n * blockKeys}
}

// newFilter is an empty filter for the expected number of keys and some more.
func newFilter(keys int) filter {
	return filter{segments: []segment{newSegment(max(firstKeys, keys+keys/4))}}
}

// filterOf holds the digests of a whole day.
func filterOf(digests []uint64) filter {
	f := newFilter(len(digests))
	for _, h := range digests {
		f.add(h)
	}
	return f
}

func (f *filter) add(h uint64) {
	if last := &f.segments[len(f.segments)-1]; last.free == 0 {
		f.segments = append(f.segments, newSegment(segmentGrowth*len(last.blocks)*blockKeys))
	}
	s := &f.segments[len(f.segments)-1]
	s.free--
	b := s.block(h)
	for i, m := 0, bitsOf(h); i < len(b); i, m = i+1, m>>6 {
		b[i] |= 1 << (m & 63)
	}
}

func (f *filter) has(h uint64) bool {
	for i := range f.segments {
		if f.segments[i].has(h) {
			return true
		}
	}
	return false
}

func (s *segment) has(h uint64) bool {
	b := s.block(h)
	for i, m := 0, bitsOf(h); i < len(b); i, m = i+1, m>>6 {
		if b[i]&(1<<(m&63)) == 0 {
			return false
		}
	}
	return true
}

// block is chosen by the upper half of the digest.
func (s *segment) block(h uint64) *block {
	return &s.blocks[h>>32*uint64(len(s.blocks))>>32]
}

// bitsOf returns the positions of the key's bits, six bits for each word. The
// digest is mixed once more, so that keys of one block do not share them.
func bitsOf(h uint64) uint64 { return h * 0xd6e8feb86659fd93 >> 12 }
