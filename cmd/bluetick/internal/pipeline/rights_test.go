package pipeline

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// rightsTable is the table of docs/runbook.md.
func rightsTable() string {
	var out strings.Builder
	for _, w := range works() {
		cell := func(of func(Right) bool) string {
			var names []string
			for _, r := range Rights() {
				if r.Role == w.role && of(r) {
					names = append(names, "`"+r.Name+"`")
				}
			}
			return strings.Join(names, ", ")
		}
		topic := func(op string) string {
			return cell(func(r Right) bool { return r.Resource == "topic" && slices.Contains(r.Operations, op) })
		}
		all := "all topics"
		if w.role == "topics" {
			all = "all topics, which it creates (Create)"
		}
		out.WriteString("| `" + w.role + "` | " + all + " | " + topic(opRead) + " | " + topic(opWrite) + " | " +
			cell(func(r Right) bool { return r.Resource == "group" }) + " |\n")
	}
	return out.String()
}

// TestRightsInTheRunbook: the table says what the command prints.
func TestRightsInTheRunbook(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	if table := rightsTable(); !strings.Contains(string(text), table) {
		t.Errorf("docs/runbook.md has not the table\n%s", table)
	}
}

// TestEveryTopicHasOneWriter: what is believed is written by one role alone; only
// dead letters are everybody's.
func TestEveryTopicHasOneWriter(t *testing.T) {
	writers := map[string][]string{}
	for _, r := range Rights() {
		if r.Resource == "topic" && slices.Contains(r.Operations, opWrite) {
			writers[r.Name] = append(writers[r.Name], r.Role)
		}
	}
	for _, topic := range schemas.Topics(1) {
		want := 1
		if topic.Name == schemas.TopicDeadLetters {
			want = 3
		}
		if got := writers[topic.Name]; len(got) != want {
			t.Errorf("%s is written by %v", topic.Name, got)
		}
	}
}

func TestWriteACLs(t *testing.T) {
	var out strings.Builder
	if err := WriteACLs(&out, "k1:9092,k2:9092", "User:CN={role},O=acme"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# bluetick ingest\n",
		"kafka-acls.sh --bootstrap-server k1:9092,k2:9092 --add --force --allow-principal 'User:CN=ingest,O=acme' --operation Describe --operation DescribeConfigs --operation Read --operation Write --topic 'bluetick.events'\n",
		"--allow-principal 'User:CN=alert,O=acme' --operation Describe --operation Read --group 'bluetick-alert-1'\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestKafkaAuth(t *testing.T) {
	brokers := []string{"k:9092"}
	for _, c := range []struct {
		name string
		k    Kafka
		want string // in the error; "" for none
		opts int
	}{
		{"nothing", Kafka{Brokers: brokers}, "", 0},
		{"plain", Kafka{Brokers: brokers, SASL: SASL{User: "u", Password: "p"}}, "", 1},
		{"scram", Kafka{Brokers: brokers, SASL: SASL{Mechanism: "scram-sha-512", User: "u", Password: "p"}}, "", 1},
		{"another mechanism", Kafka{Brokers: brokers, SASL: SASL{Mechanism: "gssapi"}}, "sasl.mechanism", 0},
		{"no password", Kafka{Brokers: brokers, SASL: SASL{User: "u"}}, "together", 0},
		{"the embedded one", Kafka{SASL: SASL{User: "u", Password: "p"}}, "run.json", 0},
		{"tls", Kafka{Brokers: brokers, TLS: TLS{Enabled: true}}, "", 1},
		{"tls, not enabled", Kafka{Brokers: brokers, TLS: TLS{CA: "ca.pem"}}, "enabled", 0},
		{"a certificate without its key", Kafka{Brokers: brokers, TLS: TLS{Enabled: true, Cert: "c.pem"}}, "together", 0},
	} {
		if c.k.SASL.Mechanism == "" {
			c.k.SASL.Mechanism = mechanismPlain
		}
		err := c.k.validateAuth()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil {
			continue
		}
		if opts, err := c.k.auth(); err != nil || len(opts) != c.opts {
			t.Errorf("%s: %d options, %v", c.name, len(opts), err)
		}
	}
	k := Kafka{TLS: TLS{Enabled: true, CA: t.TempDir() + "/none.pem"}}
	if _, err := k.auth(); err == nil || !strings.Contains(err.Error(), "kafka.tls: ca") {
		t.Errorf("a missing file: %v", err)
	}
}
