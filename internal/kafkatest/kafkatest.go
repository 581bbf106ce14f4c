package kafkatest

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/embedded/kafka"
	"github.com/bluetick/bluetick/internal/kafkatest/apache"
	"github.com/bluetick/bluetick/internal/topics"
	"github.com/bluetick/bluetick/schemas"
)

const (
	kindEnv    = "BLUETICK_TEST_KAFKA"
	brokersEnv = "BLUETICK_TEST_BROKERS"
)

// Cluster is a Kafka that nobody else uses as long as the test runs.
type Cluster struct {
	// Brokers are the host:port addresses to bootstrap from.
	Brokers []string
}

// Isolated returns an empty Kafka that lives as long as the test. Calls in one
// test give different clusters, except with BLUETICK_TEST_BROKERS, where a
// second call would wait for the end of the first.
func Isolated(t testing.TB) *Cluster {
	t.Helper()
	if given := os.Getenv(brokersEnv); given != "" {
		return &Cluster{Brokers: borrow(t, strings.Split(given, ","))}
	}
	switch kind := os.Getenv(kindEnv); kind {
	case "":
		return byDefault(t)
	case "embedded":
		return embedded(t)
	case "apache":
		return fromJars(t)
	default:
		t.Fatalf("%s=%s: say embedded or apache", kindEnv, kind)
		return nil
	}
}

// Brokers returns the addresses of a Kafka as Isolated does.
func Brokers(t testing.TB) []string {
	t.Helper()
	return Isolated(t).Brokers
}

// Topics creates all of bluetick's topics with the given number of partitions
// and their usual settings, but a retention that outlasts any clock.
func Topics(t testing.TB, brokers []string, partitions int32) {
	t.Helper()
	adm := admin(t, brokers)
	defer adm.Close()
	want := schemas.Topics(partitions)
	for i := range want {
		// Tests stamp records with clocks of their own, and a real broker deletes
		// what is too old within a second.
		want[i].Retention = 100 * 365 * 24 * time.Hour
	}
	if _, err := topics.Ensure(t.Context(), adm, want, topics.Options{Create: true, ReplicationFactor: 1}); err != nil {
		t.Fatalf("create topics: %v", err)
	}
}

func embedded(t testing.TB) *Cluster {
	t.Helper()
	b, err := kafka.Open(kafka.Config{
		Dir:  filepath.Join(t.TempDir(), "kafka"),
		Addr: "127.0.0.1:0", NoPassword: true,
		Now: time.Now,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Cluster{Brokers: []string{b.Addr()}}
}

func fromJars(t testing.TB) *Cluster {
	t.Helper()
	jars, err := apache.Jars(t.Context())
	if err == nil {
		var b *apache.Broker
		if b, err = apache.Start(t.Context(), apache.Config{Jars: jars, Dir: t.TempDir()}); err == nil {
			t.Cleanup(b.Kill)
			return &Cluster{Brokers: []string{b.Addr()}}
		}
	}
	if errors.Is(err, apache.ErrMissing) {
		t.Skip(err)
	}
	t.Fatal(err)
	return nil
}

func admin(t testing.TB, brokers []string) *kadm.Client {
	t.Helper()
	// Otherwise the client answers for five seconds from what it knew of the topics.
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(emptyPoll))
	if err != nil {
		t.Fatal(err)
	}
	return kadm.NewClient(cl)
}
