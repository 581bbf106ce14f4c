package topics

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// Kafka's names of the settings that bluetick writes or checks.
const (
	cleanupPolicy   = "cleanup.policy"
	compressionType = "compression.type"
	maxMessageBytes = "max.message.bytes"
	minInsync       = "min.insync.replicas"
	retentionBytes  = "retention.bytes"
	retentionMs     = "retention.ms"
	timestampType   = "message.timestamp.type"
	uncleanElection = "unclean.leader.election.enable"
)

const (
	// defaultMessageBytes is Kafka's own limit of a batch and what producers
	// assume.
	defaultMessageBytes = 1_048_588
	// bodyMessageBytes fits a body of the greatest size that ingest accepts, 4 MiB,
	// with its headers and the batch around it.
	bodyMessageBytes = 5 << 20
)

// Settings are the settings of an existing topic as Kafka reports them.
type Settings struct {
	// Replicas is the smallest number of replicas that one of its partitions has.
	Replicas int
	// Values are the settings by Kafka's name; what is absent has Kafka's default.
	Values map[string]string
}

// Finding is one thing wrong with a topic.
type Finding struct {
	// Topic is the name of the topic.
	Topic string
	// Problem states what is set, what it should be, and what goes wrong otherwise.
	Problem string
	// Remedy is what to do.
	Remedy string
}

// Error returns the finding as one line.
func (f Finding) Error() string {
	return fmt.Sprintf("topic %s: %s; %s", f.Topic, f.Problem, f.Remedy)
}

// Check returns everything in have that would make results wrong for want, in a
// fixed order.
func Check(want schemas.Topic, have Settings) []Finding {
	c := checker{topic: want.Name, values: have.Values}
	for policy := range strings.SplitSeq(c.value(cleanupPolicy, "delete"), ",") {
		if strings.TrimSpace(policy) == "compact" {
			c.add("it is compacted, which can drop rows and keep a stale owner's: its results cannot be trusted",
				"delete the topic, let `bluetick topics` create it, and replay into it")
		}
	}
	if strings.EqualFold(c.value(uncleanElection, "false"), "true") {
		c.set(uncleanElection, "false", "a leader that missed records may take over, and acknowledged records are lost")
	}
	keep := c.integer(retentionMs, (7 * 24 * time.Hour).Milliseconds())
	if least := want.Retention.Milliseconds(); keep >= 0 && keep < least {
		c.set(retentionMs, strconv.FormatInt(least, 10),
			fmt.Sprintf("records are deleted after %s, state needs them for %s", days(keep), days(least)))
	}
	if c.integer(retentionBytes, -1) >= 0 {
		c.set(retentionBytes, "-1", "records are deleted by size, before their time")
	}
	if least := messageBytes(want.Name); c.integer(maxMessageBytes, defaultMessageBytes) < int64(least) {
		c.set(maxMessageBytes, strconv.Itoa(least), "records that bluetick writes are refused")
	}
	if have.Replicas >= 3 && c.integer(minInsync, 1) < 2 {
		c.set(minInsync, "2", "a record acknowledged by one replica is lost with it")
	}
	return c.findings
}

// checker collects the findings of one topic.
type checker struct {
	topic    string
	values   map[string]string
	findings []Finding
}

func (c *checker) add(problem, remedy string) {
	c.findings = append(c.findings, Finding{Topic: c.topic, Problem: problem, Remedy: remedy})
}

// set adds a finding that is resolved by setting one value.
func (c *checker) set(name, value, why string) {
	have, ok := c.values[name]
	if !ok {
		have = "not set"
	}
	c.add(fmt.Sprintf("%s is %s: %s", name, have, why),
		fmt.Sprintf("run kafka-configs.sh --bootstrap-server BROKER --alter --topic %s --add-config %s=%s", c.topic, name, value))
}

func (c *checker) value(name, byDefault string) string {
	if v, ok := c.values[name]; ok {
		return v
	}
	return byDefault
}

// integer returns a numeric setting. What is not a number counts as the default:
// Kafka itself takes nothing else.
func (c *checker) integer(name string, byDefault int64) int64 {
	n, err := strconv.ParseInt(c.values[name], 10, 64)
	if err != nil {
		return byDefault
	}
	return n
}

// messageBytes returns the least max.message.bytes of a topic.
func messageBytes(topic string) int {
	switch topic {
	case schemas.TopicRaw, schemas.TopicDeadLetters: // whole bodies
		return bodyMessageBytes
	default:
		return defaultMessageBytes
	}
}

// wanted returns the settings a new topic gets.
func wanted(t schemas.Topic, replicas int16) map[string]*string {
	configs := map[string]string{
		cleanupPolicy:   "delete",
		compressionType: t.Compression,
		maxMessageBytes: strconv.Itoa(messageBytes(t.Name)),
		minInsync:       "1",
		retentionBytes:  "-1",
		retentionMs:     strconv.FormatInt(t.Retention.Milliseconds(), 10),
		timestampType:   "CreateTime",
		uncleanElection: "false",
	}
	if replicas >= 3 {
		configs[minInsync] = "2"
	}
	out := make(map[string]*string, len(configs))
	for name, value := range configs {
		out[name] = &value
	}
	return out
}

func days(ms int64) string {
	return strconv.FormatFloat(float64(ms)/float64((24*time.Hour).Milliseconds()), 'g', 3, 64) + " days"
}
