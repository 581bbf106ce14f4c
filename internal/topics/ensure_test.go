package topics_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/internal/topics"
	"github.com/bluetick/bluetick/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func admin(t *testing.T, brokers []string) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

func TestEnsureCreatesChecksAndLeavesAlone(t *testing.T) {
	adm := admin(t, kafkatest.Brokers(t))
	want := schemas.Topics(3)

	r, err := topics.Ensure(t.Context(), adm, want, topics.Options{})
	if len(r.Findings) != len(want) || len(r.Topics) != 0 {
		t.Errorf("without leave to create: %d findings, want each of %d topics missing", len(r.Findings), len(want))
	}
	if f, ok := errors.AsType[topics.Finding](err); !ok || f.Topic != want[0].Name {
		t.Errorf("error %v does not carry the findings", err)
	}

	r, err = topics.Ensure(t.Context(), adm, want, topics.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range r.Topics {
		if s != (topics.State{Name: want[i].Name, Partitions: 3, Replicas: 1, Created: true}) {
			t.Errorf("topic %d: %+v", i, s)
		}
	}
	checkSettings(t, adm, schemas.TopicRaw, map[string]string{
		"retention.ms": "259200000", "retention.bytes": "-1", "cleanup.policy": "delete", "compression.type": "zstd",
		"max.message.bytes": "5242880", "message.timestamp.type": "CreateTime", "min.insync.replicas": "1",
		"unclean.leader.election.enable": "false",
	})

	more := schemas.Topics(9) // an existing topic keeps its partitions
	for _, create := range []bool{true, false} {
		r, err = topics.Ensure(t.Context(), adm, more, topics.Options{Create: create})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Topics {
			if s.Created || s.Partitions != 3 {
				t.Errorf("create=%v: %+v", create, s)
			}
		}
	}

	for name, value := range map[string]string{"cleanup.policy": "compact", "retention.ms": "1000"} {
		res, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, schemas.TopicPanes)
		if err := errors.Join(err, res[0].Err); err != nil {
			t.Fatal(err)
		}
	}
	r, err = topics.Ensure(t.Context(), adm, want, topics.Options{Create: true})
	if len(r.Findings) != 2 || len(r.Topics) != len(want) || err == nil {
		t.Errorf("spoiled topic: findings %v, error %v; want two", r.Findings, err)
	}
}

// checkSettings compares what Kafka reports of a topic.
func checkSettings(t *testing.T, adm *kadm.Client, topic string, want map[string]string) {
	t.Helper()
	configs, err := adm.DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range configs[0].Configs {
		if c.Value != nil {
			got[c.Key] = *c.Value
		}
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s of %s is %q, want %q", name, topic, got[name], value)
		}
	}
}

// Several processes start at once and all make sure of the topics.
func TestEnsureTogether(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	const processes = 4
	var wg sync.WaitGroup
	made := make(chan string, processes*len(schemas.Topics(1)))
	for range processes {
		adm := admin(t, brokers)
		wg.Go(func() {
			r, err := topics.Ensure(t.Context(), adm, schemas.Topics(2), topics.Options{Create: true})
			if err != nil {
				t.Error(err)
			}
			for _, s := range r.Topics {
				if s.Created {
					made <- s.Name
				}
			}
		})
	}
	wg.Wait()
	close(made)
	by := map[string]int{}
	for name := range made {
		by[name]++
	}
	for _, topic := range schemas.Topics(1) {
		if by[topic.Name] != 1 {
			t.Errorf("%s was created by %d processes, want one", topic.Name, by[topic.Name])
		}
	}
}

func TestEnsureSaysWhatItCouldNotDo(t *testing.T) {
	adm := admin(t, kafkatest.Brokers(t))
	if r, err := topics.Ensure(t.Context(), adm, nil, topics.Options{Create: true}); err != nil || len(r.Topics) != 0 {
		t.Errorf("nothing wanted: %+v, %v", r, err)
	}
	_, err := topics.Ensure(t.Context(), adm, schemas.Topics(1), topics.Options{Create: true, ReplicationFactor: 3})
	if !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("three replicas on one broker: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	nobody := admin(t, []string{"127.0.0.1:1"})
	if _, err := topics.Ensure(ctx, nobody, schemas.Topics(1), topics.Options{}); err == nil || !strings.Contains(err.Error(), "list topics") {
		t.Errorf("no broker: %v", err)
	}
}
