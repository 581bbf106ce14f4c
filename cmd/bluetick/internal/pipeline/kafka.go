package pipeline

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/kafkalog"
)

// Kafka says where Kafka is: embedded on Listen, or the given brokers. It is the
// section `kafka` of the operator's file.
type Kafka struct {
	Listen  string   `yaml:"listen"`
	Brokers []string `yaml:"brokers"`
	// Partitions and ReplicationFactor are used when topics are created; 0 copies
	// means 3, or as many as there are brokers.
	Partitions        int32 `yaml:"partitions"`
	ReplicationFactor int16 `yaml:"replication_factor"`
}

func defaultKafka() Kafka { return Kafka{Listen: "127.0.0.1:9092", Partitions: 4} }

// Embedded reports whether Kafka runs inside the process.
func (k *Kafka) Embedded() bool { return len(k.Brokers) == 0 }

func (k *Kafka) validate() error {
	err := validateListen(k.Listen)
	if k.Partitions < 1 || k.Partitions > 1024 {
		err = errors.Join(err, fmt.Errorf("partitions: %d is outside 1 to 1024", k.Partitions))
	}
	return err
}

// reach are the options that every Kafka client of the process is made with:
// where the brokers are and how to get to them. Nothing else in the program
// names a broker, so what a connection needs besides, such as TLS, is added here
// and reaches every stage.
func reach(brokers []string) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(brokers...)}
}

// named adds to reach the client's name and a log of what troubles it.
func (p *Process) named(component string) []kgo.Opt {
	return append(reach(p.brokers),
		kgo.ClientID("bluetick-"+component),
		kgo.WithLogger(kafkalog.New(p.log.With("component", component), Wall)))
}

// metadataMinAge is how soon the admin client asks Kafka anew about topics.
const metadataMinAge = 100 * time.Millisecond

// kafkaAdmin connects to the brokers; the caller closes it. It does not log: what
// goes wrong is in the errors of its calls.
func kafkaAdmin(brokers []string) (*kadm.Client, error) {
	client, err := kgo.NewClient(append(reach(brokers), kgo.ClientID("bluetick-admin"),
		// Else it answers for 5 s that a topic made a moment ago is not there.
		kgo.MetadataMinAge(metadataMinAge))...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return kadm.NewClient(client), nil
}
