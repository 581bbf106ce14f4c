package task_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refuseProduce answers the next n requests to produce to the output topic with this
// error; what it returns counts them.
func (b *bench) refuseProduce(n int32, answer *kerr.Error) *atomic.Int32 {
	var asked atomic.Int32
	b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if asked.Add(1) > n {
			return nil, nil, false
		}
		in := req.(*kmsg.ProduceRequest)
		out := in.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range in.Topics {
			t := kmsg.NewProduceResponseTopic()
			t.Topic, t.TopicID = topic.Topic, topic.TopicID
			for _, partition := range topic.Partitions {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition, p.ErrorCode = partition.Partition, answer.Code
				t.Partitions = append(t.Partitions, p)
			}
			out.Topics = append(out.Topics, t)
		}
		return out, nil, true
	})
	return &asked
}

// TestBrokerInTrouble: a broker that cannot say what it is short of is asked again; the
// stage goes on, and its rows are there.
func TestBrokerInTrouble(t *testing.T) {
	for _, answer := range []*kerr.Error{kerr.UnknownServerError, kerr.KafkaStorageError, {Message: "OF_TOMORROW", Code: 999}} {
		t.Run(answer.Message, func(t *testing.T) {
			b := setUp(t, 1)
			b.produce(0, "a=1", "a=2", "b=3")
			asked := b.refuseProduce(4, answer)
			stop, _ := b.start(b.config(), b.deps())
			b.waitCounts(map[string]string{"a": "2", "b": "1"})
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if asked.Load() <= 4 {
				t.Errorf("only %d requests", asked.Load())
			}
		})
	}
}

// TestBrokerRefusesForGood: what repetition does not mend ends the stage, with the
// answer in the error.
func TestBrokerRefusesForGood(t *testing.T) {
	b := setUp(t, 1)
	b.produce(0, "a=1")
	b.refuseProduce(1<<30, kerr.TopicAuthorizationFailed)
	stop, ended := b.start(b.config(), b.deps())
	<-ended
	if err := stop(); err == nil || !strings.Contains(err.Error(), kerr.TopicAuthorizationFailed.Message) {
		t.Errorf("got %v", err)
	}
}

// TestStopWhileBrokerInTrouble: a stop does not wait for a broker to recover.
func TestStopWhileBrokerInTrouble(t *testing.T) {
	b := setUp(t, 1)
	b.produce(0, "a=1")
	asked := b.refuseProduce(1<<30, kerr.UnknownServerError)
	cfg := b.config()
	cfg.StopTimeout = 1
	stop, ended := b.start(cfg, b.deps())
	for asked.Load() < 3 {
		select {
		case <-ended:
			t.Fatal(stop())
		default:
		}
	}
	_ = stop() // it may say that rows were not emitted; the next run folds them again
}
