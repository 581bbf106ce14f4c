package kafkatest_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestIsolated leaves records and a group behind and must not find them again.
func TestIsolated(t *testing.T) {
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			brokers := kafkatest.Brokers(t)
			kafkatest.Topics(t, brokers, 2)
			if groups := groups(t, brokers); len(groups) != 0 {
				t.Errorf("groups are there: %v", groups)
			}
			cl, err := kgo.NewClient(
				kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(100*time.Millisecond), kgo.DefaultProduceTopic(schemas.TopicEvents),
				kgo.ConsumeTopics(schemas.TopicEvents), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			adm := kadm.NewClient(cl)
			ends, err := adm.ListEndOffsets(t.Context(), schemas.TopicEvents)
			if err != nil {
				t.Fatal(err)
			}
			partitions := 0
			ends.Each(func(o kadm.ListedOffset) {
				partitions++
				if o.Err != nil || o.Offset != 0 {
					t.Errorf("partition %d ends at %d, %v; want an empty one", o.Partition, o.Offset, o.Err)
				}
			})
			if partitions != 2 {
				t.Errorf("%d partitions, want 2", partitions)
			}
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x"), Timestamp: time.Now()}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if fs := cl.PollFetches(t.Context()); fs.NumRecords() != 1 || fs.Err() != nil {
				t.Fatalf("read %d records, %v", fs.NumRecords(), fs.Err())
			}
			if err := cl.CommitUncommittedOffsets(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// groups lists the groups with a client that joins none.
func groups(t *testing.T, brokers []string) []string {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return listed.Groups()
}
