package task

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/schemas"
)

// TestPartitionOf: our own murmur2 puts every key where the producers' client does.
func TestPartitionOf(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic("any")
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

// TestPlace: a record is in the partition of its key, under the key that its value
// prescribes; a Progress has no key and may be in any.
func TestPlace(t *testing.T) {
	const partitions = 4
	key := []byte("acme")
	home := schemas.PartitionOf(key, partitions)
	for name, c := range map[string]struct {
		src    Source
		key    []byte
		own    bool
		reason string
	}{
		"at home":                    {Source{Partition: home, Partitions: partitions}, key, true, ""},
		"next door":                  {Source{Partition: (home + 1) % partitions, Partitions: partitions}, key, true, schemas.ReasonPartition},
		"another key, at home":       {Source{Partition: home, Partitions: partitions}, key, false, schemas.ReasonKey},
		"another key, next door":     {Source{Partition: (home + 1) % partitions, Partitions: partitions}, key, false, schemas.ReasonKey},
		"no key, as it should be":    {Source{Partition: 3, Partitions: partitions}, nil, true, ""},
		"no key where one should be": {Source{Partition: 3, Partitions: partitions}, nil, false, schemas.ReasonKey},
		"one partition has all keys": {Source{Partitions: 1}, key, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.src.Place(&Record{Key: c.key}, c.own)
			if c.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if reject, ok := errors.AsType[*Reject](err); !ok || reject.Reason != c.reason {
				t.Errorf("got %v, want a rejection for %s", err, c.reason)
			}
		})
	}
}

// TestOurs: a record of another epoch is counted and never ours.
func TestOurs(t *testing.T) {
	others := 0
	src := Source{Epoch: 7, OtherEpoch: func() { others++ }}
	if !src.Ours(7) || src.Ours(6) || src.Ours(8) || others != 2 {
		t.Errorf("%d records of another epoch, want 2", others)
	}
}
