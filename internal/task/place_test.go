package task

import (
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/schemas"
)

// TestPartitionOf: our own murmur2 puts every key where the producers' client does.
func TestPartitionOf(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	theirs := partitioner{murmur2: kgo.StickyKeyPartitioner(nil)}.ForTopic("any")
	for range 20_000 {
		key := make([]byte, 1+r.IntN(40))
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		n := 1 + r.IntN(300)
		if got, want := schemas.PartitionOf(key, int32(n)), theirs.Partition(&kgo.Record{Key: key}, n); int(got) != want {
			t.Fatalf("seed %d: key %x of %d partitions: %d, Kafka says %d", seed, key, n, got, want)
		}
	}
}
