package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/bluetick/bluetick/internal/kafkatest/apache"
	"github.com/bluetick/bluetick/schemas"
)

// passwordOf is the invented password of a Kafka user.
func passwordOf(user string) string { return user + "-password" }

// kafkaAs is a client logged in as a user.
func kafkaAs(t *testing.T, broker *apache.Broker, user string) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.SASL(plain.Auth{User: user, Pass: passwordOf(user)}.AsMechanism()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// right is one line of `bluetick topics --acls`.
type right struct {
	user, kind, name string
	operations       []string
}

// rightsOf reads the printed commands.
func rightsOf(t *testing.T, printed string) (rights []right) {
	t.Helper()
	for line := range strings.Lines(printed) {
		words := strings.Fields(strings.ReplaceAll(line, "'", ""))
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		var r right
		for i, w := range words {
			switch w {
			case "--allow-principal":
				r.user = words[i+1]
			case "--operation":
				r.operations = append(r.operations, words[i+1])
			case "--topic", "--group":
				r.kind, r.name = w, words[i+1]
			}
		}
		rights = append(rights, r)
	}
	return rights
}

// allow gives the rights.
func allow(t *testing.T, admin *kadm.Client, rights []right) {
	t.Helper()
	for _, r := range rights {
		b := kadm.NewACLs().Allow(r.user).AllowHosts("*").ResourcePatternType(kadm.ACLPatternLiteral)
		if r.kind == "--topic" {
			b.Topics(r.name)
		} else {
			b.Groups(r.name)
		}
		for _, name := range r.operations {
			op, err := kmsg.ParseACLOperation(name)
			if err != nil {
				t.Fatal(err)
			}
			b.Operations(op)
			results, err := admin.CreateACLs(t.Context(), b)
			for _, result := range results {
				err = errors.Join(err, result.Err)
			}
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
	}
}

// TestServersRights gives each role the rights that `bluetick topics --acls` prints,
// on a Kafka where everybody logs in: the line works, and no role can write what
// another one writes.
func TestServersRights(t *testing.T) {
	roles := []string{"ingest", "aggregate", "sink", "alert", "topics"}
	users := map[string]string{"admin": passwordOf("admin")}
	for _, r := range roles {
		users["bluetick-"+r] = passwordOf("bluetick-" + r)
	}
	broker := startKafkaWith(t, users)
	ch, bin, dir := startClickHouse(t), binary(t), t.TempDir()
	dsn := ch.dsn("bluetick")
	configOf := func(role string) string {
		path, user := filepath.Join(dir, role+".yaml"), "bluetick-"+role
		text := fmt.Sprintf("pepper: %s\nkafka:\n  brokers: [%s]\n  sasl: {user: %s, password: %s}\n", pepper, broker.Addr(), user, passwordOf(user))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	admin := kadm.NewClient(kafkaAs(t, broker, "admin"))
	printed, err := command(t, bin, "topics", "--acls", "--kafka-brokers", broker.Addr())
	if err != nil {
		t.Fatal(printed, err)
	}
	rights := rightsOf(t, printed)
	if out, err := command(t, bin, "topics", "--config", configOf("topics"), "--start-timeout", "5s"); err == nil || !strings.Contains(err.Error(), "AUTHORIZATION_FAILED") {
		t.Errorf("topics without rights: %s, %v", out, err)
	}
	allow(t, admin, rights)
	if out, err := command(t, bin, "topics", "--config", configOf("topics")); err != nil {
		t.Fatalf("topics: %s, %v", out, err)
	}
	if out, err := command(t, bin, "migrate", "--clickhouse-dsn", dsn); err != nil {
		t.Fatalf("migrate: %s, %v", out, err)
	}
	door := freeAddr(t)
	l := &line{
		poster: &poster{t: t, url: "http://" + door + "/v1/webhooks/meta/main", began: time.Now().Add(-2 * time.Hour)},
		ingest: startRole(t, bin, "ingest", "--config", configOf("ingest"), "--ingest-listen", door,
			"--meta-app-secret", appSecret, "--meta-verify-token", verifyToken),
		aggregate: startRole(t, bin, "aggregate", "--config", configOf("aggregate")),
		sink:      startRole(t, bin, "sink", "--config", configOf("sink"), "--clickhouse-dsn", dsn),
		alert:     startRole(t, bin, "alert", "--config", configOf("alert")),
	}
	l.mu.answers = map[int]int{}
	const n = 200
	for range l.deliver(0, n, 20) {
	}
	awaitAnswer(t, connect(t, dsn), countsQuery, counts(n), l.logs)
	checkAudit(t, bin, dsn)
	if got := l.heard(http.StatusOK); got == 0 {
		t.Errorf("answers %s", l.summary())
	}
	for _, r := range l.roles() {
		r.stop()
	}
	checkLog(t, l.logs())
	for line := range strings.Lines(l.logs()) {
		if strings.Contains(line, "AUTHORIZATION") || strings.Contains(line, "level=ERROR") || strings.Contains(line, "lag is not shown") {
			t.Errorf("a role lacks something: %s", line)
		}
	}
	nobodyForges(t, broker, rights)
}

// nobodyForges tries to write every topic as every role.
func nobodyForges(t *testing.T, broker *apache.Broker, rights []right) {
	may := map[string]bool{}
	users := map[string]bool{}
	for _, r := range rights {
		user := strings.TrimPrefix(r.user, "User:")
		users[user] = true
		for _, op := range r.operations {
			may[user+" "+op+" "+r.name] = true
		}
	}
	refused := 0
	for user := range users {
		client := kafkaAs(t, broker, user)
		for _, topic := range schemas.Topics(1) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err := client.ProduceSync(ctx, &kgo.Record{Topic: topic.Name, Value: []byte("forged")}).FirstErr()
			cancel()
			switch allowed := may[user+" Write "+topic.Name]; {
			case allowed && err != nil:
				t.Errorf("%s cannot write %s: %v", user, topic.Name, err)
			// Who may write no topic at all is not even given a producer id.
			case !allowed && !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.ClusterAuthorizationFailed):
				t.Errorf("%s wrote %s: %v", user, topic.Name, err)
			case !allowed:
				refused++
			}
		}
	}
	if refused < 15 {
		t.Errorf("only %d attempts were refused", refused)
	}
}
