package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/schemas"
)

// TestRolesNeed: everything that a role alone lacks is reported at once, before
// anything is opened.
func TestRolesNeed(t *testing.T) {
	for name, c := range map[string]struct {
		role Role
		want []string
		not  string
	}{
		"ingest":    {Ingest(), []string{"--kafka-brokers", "--pepper"}, "--clickhouse-dsn"},
		"aggregate": {Aggregate(), []string{"--kafka-brokers"}, "--pepper"},
		"sink":      {Sink(), []string{"--kafka-brokers", "--clickhouse-dsn"}, "--pepper"},
		"alert":     {Alert(), []string{"--kafka-brokers"}, "--clickhouse-dsn"},
	} {
		cfg := testConfig(t)
		err := c.role.Run(t.Context(), cfg)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), c.not) {
			t.Errorf("%s asks for %s: %v", name, c.not, err)
		}
	}
	if Line().needs != nil {
		t.Error("the whole line needs something that is not embedded")
	}
}

// TestRolesHaveEnough: with everything given a role asks for nothing.
func TestRolesHaveEnough(t *testing.T) {
	cfg := testConfig(t)
	cfg.Kafka.Brokers, cfg.ClickHouse.DSN, cfg.Pepper = []string{"k:9092"}, "clickhouse://h:9000", strings.Repeat("p", 32)
	for name, role := range map[string]Role{"ingest": Ingest(), "aggregate": Aggregate(), "sink": Sink(), "alert": Alert()} {
		if err := role.needs(&cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTopicsAreMadeOnce(t *testing.T) {
	cfg := testConfig(t)
	if _, err := Topics(t.Context(), &cfg); err == nil || !strings.Contains(err.Error(), "--kafka-brokers") {
		t.Errorf("embedded: %v", err)
	}
	cfg.Kafka.Brokers = kafkatest.Brokers(t)
	cfg.Kafka.Partitions, cfg.Kafka.ReplicationFactor = 3, 1
	report, err := Topics(t.Context(), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(schemas.Topics(3)); len(report.Topics) != want {
		t.Errorf("%d topics, want %d", len(report.Topics), want)
	}
	for _, topic := range report.Topics {
		if !topic.Created || topic.Replicas != 1 {
			t.Errorf("first: %+v", topic)
		}
	}
	report, err = Topics(t.Context(), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range report.Topics {
		if topic.Created {
			t.Errorf("second: %+v", topic)
		}
	}
}

// TestUnfitTopicIsNotWaitedFor: a setting that would make results wrong ends the
// start at once, with its remedy.
func TestUnfitTopicIsNotWaitedFor(t *testing.T) {
	cfg := testConfig(t)
	cfg.Kafka.Brokers, cfg.StartTimeout = kafkatest.Brokers(t), time.Hour
	if _, err := Topics(t.Context(), &cfg); err != nil {
		t.Fatal(err)
	}
	opts, err := reach(&cfg.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kafkaAdmin(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	short := "1000"
	if _, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "retention.ms", Value: &short}}, schemas.TopicEvents); err != nil {
		t.Fatal(err)
	}
	if _, err := Topics(t.Context(), &cfg); err == nil || !strings.Contains(err.Error(), schemas.TopicEvents) || !strings.Contains(err.Error(), "retention.ms") {
		t.Errorf("events are kept for a second: %v", err)
	}
}

func TestServersThatDoNotAnswer(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.Level = "error"
	cfg.StartTimeout = 200 * time.Millisecond
	if _, err := Migrate(t.Context(), &cfg); err == nil || !strings.Contains(err.Error(), "migrated at every start") {
		t.Errorf("embedded: %v", err)
	}
	cfg.ClickHouse.DSN = "http://127.0.0.1:1"
	if _, err := Migrate(t.Context(), &cfg); err == nil || !strings.Contains(err.Error(), "ClickHouse at 127.0.0.1:1 did not answer within 200ms") {
		t.Errorf("no server: %v", err)
	}
	cfg.Kafka.Brokers = []string{"127.0.0.1:1"}
	if _, err := Topics(t.Context(), &cfg); err == nil || !strings.Contains(err.Error(), "Kafka at 127.0.0.1:1 did not answer within 200ms") {
		t.Errorf("no brokers: %v", err)
	}
}
