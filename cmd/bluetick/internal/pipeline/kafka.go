package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/kafkalog"
)

// Kafka is where Kafka is: embedded, or the given brokers. It is the section
// `kafka` of the operator's file.
type Kafka struct {
	// Listen is where the embedded one serves other programs; empty means nowhere.
	Listen  string   `yaml:"listen"`
	Brokers []string `yaml:"brokers"`
	// AcceptLoss starts on a damaged embedded log without the records that cannot
	// be read; without it the process does not start and says what is damaged.
	AcceptLoss bool `yaml:"accept_loss"`
	// Partitions and ReplicationFactor are used when topics are created; 0 copies
	// means 3, or as many as there are brokers.
	Partitions        int32 `yaml:"partitions"`
	ReplicationFactor int16 `yaml:"replication_factor"`
	// SASL and TLS are how clients log in to the brokers, and encrypt.
	SASL SASL `yaml:"sasl"`
	TLS  TLS  `yaml:"tls"`
}

func defaultKafka() Kafka { return Kafka{Partitions: 4, SASL: SASL{Mechanism: mechanismPlain}} }

// Embedded reports whether Kafka runs inside the process.
func (k *Kafka) Embedded() bool { return len(k.Brokers) == 0 }

func (k *Kafka) validate() error {
	var err error
	if k.Listen != "" {
		err = validateListen(k.Listen)
	}
	if k.Partitions < 1 || k.Partitions > 1024 {
		err = errors.Join(err, fmt.Errorf("partitions: %d is outside 1 to 1024", k.Partitions))
	}
	return errors.Join(err, k.validateAuth())
}

// reach are the options with which a Kafka client reaches servers. The process
// makes all its clients with these, or with those of the embedded broker, see
// Process.reach. Nothing else in the program names a broker or logs in.
func reach(k *Kafka) ([]kgo.Opt, error) {
	auth, err := k.auth()
	return append(auth, kgo.SeedBrokers(k.Brokers...)), err
}

// named adds to reach the client's name and a log of what troubles it.
func (p *Process) named(component string) []kgo.Opt {
	return slices.Concat(p.reach, []kgo.Opt{
		kgo.ClientID("bluetick-" + component),
		kgo.WithLogger(kafkalog.New(p.log.With("component", component), Wall)),
	})
}

// metadataMinAge is how soon the admin client asks Kafka anew about topics.
const metadataMinAge = 100 * time.Millisecond

// kafkaAdmin connects to Kafka; the caller closes it. It does not log: what goes
// wrong is in the errors of its calls.
func kafkaAdmin(reach []kgo.Opt) (*kadm.Client, error) {
	client, err := kgo.NewClient(slices.Concat(reach, []kgo.Opt{
		kgo.ClientID("bluetick-admin"),
		// Otherwise it answers for 5 s that a topic made a moment ago is not there.
		kgo.MetadataMinAge(metadataMinAge),
	})...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return kadm.NewClient(client), nil
}
