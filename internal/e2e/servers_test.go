package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/kafkatest/apache"
	"github.com/bluetick/bluetick/schemas"
)

// The tests of this file run against an Apache Kafka and a ClickHouse server.

// pepper is the secret of the ingesters.
const pepper = "an invented pepper of 32 letters"

// startKafka runs an Apache Kafka until the test ends.
func startKafka(t testing.TB) *apache.Broker {
	t.Helper()
	return startKafkaWith(t, nil)
}

// startKafkaWith runs one at which these users log in, everybody if there are none.
func startKafkaWith(t testing.TB, users map[string]string) *apache.Broker {
	t.Helper()
	if os.Getenv("BLUETICK_TEST_KAFKA") != "apache" {
		t.Skip("not asked for an Apache Kafka and a ClickHouse server, which take a minute: BLUETICK_TEST_KAFKA=apache asks (needs java 17, mvn and libchdb)")
	}
	jars, err := apache.Jars(t.Context())
	var broker *apache.Broker
	if err == nil {
		broker, err = apache.Start(t.Context(), apache.Config{Jars: jars, Dir: t.TempDir(), Users: users})
	}
	if errors.Is(err, apache.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Kill)
	return broker
}

// answer is the result of a query as text, columns by tab, rows by line.
func answer(t testing.TB, conn driver.Conn, query string) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		cells := make([]any, len(rows.ColumnTypes()))
		for i, c := range rows.ColumnTypes() {
			cells[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := rows.Scan(cells...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		words := make([]string, len(cells))
		for i, c := range cells {
			words[i] = fmt.Sprint(reflect.ValueOf(c).Elem())
		}
		lines = append(lines, strings.Join(words, "\t"))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(lines, "\n")
}

// awaitAnswer asks until the answer is want.
func awaitAnswer(t testing.TB, conn driver.Conn, query, want string, logs func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := answer(t, conn, query)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s:\n%s\nwant\n%s\n%s", query, got, want, logs())
		}
		<-time.After(50 * time.Millisecond)
	}
}

// TestServersRun is TestKillAndRestart against servers, and then again from the
// same Kafka into another database, over HTTP.
func TestServersRun(t *testing.T) {
	const n, step = 3000, 50
	broker := startKafka(t)
	ch := startClickHouse(t)
	bin, data := binary(t), filepath.Join(t.TempDir(), "data")
	at := time.Now().Add(-2 * time.Hour).Unix()
	dsn := ch.dsn("first") // nobody has created it
	flags := []string{"--kafka-brokers", broker.Addr(), "--clickhouse-dsn", dsn}

	s := start(t, bin, data, flags...)
	for from := 0; from < n/2; from += step {
		if status := s.post(body(from, from+step, at)); status != http.StatusOK {
			t.Fatalf("status %d\n%s", status, s.log)
		}
	}
	s.kill() // rows are on their way through every stage

	s = start(t, bin, data, flags...)
	for from := n / 4; from < n; from += step {
		if status := s.post(body(from, from+step, at)); status != http.StatusOK {
			t.Fatalf("status %d\n%s", status, s.log)
		}
	}
	awaitAnswer(t, connect(t, dsn), countsQuery, counts(n), s.log.String)
	checkAudit(t, bin, dsn)
	out, err := command(t, bin, "sql", "--clickhouse-dsn", dsn, "--format", "tsv", countsQuery)
	if err != nil || !strings.HasSuffix(out, counts(n)) {
		t.Errorf("sql through the DSN: %q, %v", out, err)
	}
	if out, err := command(t, bin, "sql", "--data", data, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "--clickhouse-dsn") {
		t.Errorf("sql without the DSN: %q, %v", out, err)
	}
	s.stop()
	checkLog(t, s.log.String())

	if out, err := command(t, bin, append([]string{"rebuild", "--again", "--data", data}, flags...)...); err != nil || !strings.Contains(out, "epoch 2 counts now") {
		t.Fatalf("rebuild: %s, %v", out, err)
	}
	s = start(t, bin, data, flags...)
	for from := n; from < n+5*step; from += step {
		if status := s.post(body(from, from+step, at)); status != http.StatusOK {
			t.Fatalf("status %d\n%s", status, s.log)
		}
	}
	awaitAnswer(t, connect(t, dsn), countsQuery, counts(n+5*step), s.log.String)
	checkAudit(t, bin, dsn)
	s.stop()
	if out, err := command(t, bin, append([]string{"rebuild", "--drop-old", "--data", data}, flags...)...); err != nil || !strings.Contains(out, "epoch 1: 3 topics") {
		t.Errorf("drop: %s, %v", out, err)
	}

	// Another database has no positions, so the sink fills it from Kafka.
	dsn = ch.httpDSN("second")
	s = start(t, bin, data, "--kafka-brokers", broker.Addr(), "--clickhouse-dsn", dsn)
	awaitAnswer(t, connect(t, dsn), countsQuery, counts(n+5*step), s.log.String)
	checkAudit(t, bin, dsn)
	s.stop()
	checkLog(t, s.log.String())
}

// checkAudit expects no difference, and after a while nothing on its way.
func checkAudit(t testing.TB, bin, dsn string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		out, err := command(t, bin, "audit", "--clickhouse-dsn", dsn)
		if err != nil || !strings.Contains(out, "audit: 0 differences") {
			t.Fatalf("audit: %s, %v", out, err)
		}
		if strings.Contains(out, "left out: 0 ") {
			t.Log(out)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("audit: %s", out)
		}
	}
}

// checkLog expects nothing secret or personal.
func checkLog(t testing.TB, log string) {
	t.Helper()
	for _, s := range []string{appSecret, verifyToken, pepper, chPassword, "wamid", "3168000"} {
		if strings.Contains(log, s) {
			t.Errorf("the log holds %q:\n%s", s, log)
		}
	}
}

// TestServersTopicsAndMigrate prepares servers by hand, twice, and then tries one
// that does not fit and some that are away.
func TestServersTopicsAndMigrate(t *testing.T) {
	broker := startKafka(t)
	ch := startClickHouse(t)
	bin := binary(t)
	kafka, dsn := []string{"--kafka-brokers", broker.Addr()}, ch.dsn("prepared")
	topics := append([]string{"topics"}, kafka...)

	for i, state := range []string{"created", "there"} {
		out, err := command(t, bin, topics...)
		if err != nil || strings.Count(out, state) != len(schemas.Topics(1)) {
			t.Errorf("topics, time %d: %s, %v", i+1, out, err)
		}
	}
	for i, word := range []string{"applied 0001", "nothing to do"} {
		out, err := command(t, bin, "migrate", "--clickhouse-dsn", dsn)
		if err != nil || !strings.HasPrefix(out, word) {
			t.Errorf("migrate, time %d: %s, %v", i+1, out, err)
		}
	}

	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	compact := "compact"
	results, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(),
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &compact}}, schemas.TopicPanes)
	if err = errors.Join(err, results[0].Err); err != nil {
		t.Fatal(err)
	}
	fold := []string{"aggregate", "--data", filepath.Join(t.TempDir(), "data"), "--metrics-listen", "127.0.0.1:0"}
	for _, args := range [][]string{topics, append(fold, kafka...)} {
		out, err := command(t, bin, args...)
		for _, want := range []string{"exit status 1", schemas.TopicPanes, "compacted", "delete the topic"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s with a compacted topic: %s, %v, want %q", args[0], out, err, want)
			}
		}
	}

	nobody := freeAddr(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"topics, Kafka away":       {[]string{"topics", "--kafka-brokers", nobody}, "Kafka at " + nobody + " did not answer within 1s"},
		"migrate, ClickHouse away": {[]string{"migrate", "--clickhouse-dsn", "clickhouse://u:p@" + nobody}, "ClickHouse at " + nobody + " did not answer within 1s"},
		"migrate, HTTP away":       {[]string{"migrate", "--clickhouse-dsn", "http://u:p@" + nobody}, "ClickHouse at " + nobody + " did not answer within 1s"},
		"migrate, wrong password":  {[]string{"migrate", "--clickhouse-dsn", "http://" + chUser + ":wrong@" + ch.http}, "Authentication failed"},
		"sql, ClickHouse away":     {[]string{"sql", "--clickhouse-dsn", "clickhouse://u:p@" + nobody, "SELECT 1"}, "connection refused"},
	} {
		limit := "1s"
		if !strings.Contains(c.want, limit) {
			limit = "1m" // a running server answers at once, but on a busy machine even that takes time
		}
		out, err := command(t, bin, append(c.args, "--start-timeout", limit)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%s: %s, %v, want %q", name, out, err, c.want)
		}
	}
}

// TestServersComeLate starts a role before its Kafka.
func TestServersComeLate(t *testing.T) {
	broker := startKafka(t)
	bin, data := binary(t), filepath.Join(t.TempDir(), "data")
	broker.Kill()
	s := spawn(t, bin, "alert", "--data", data, "--metrics-listen", "127.0.0.1:0", "--kafka-brokers", broker.Addr())
	if err := broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.ready(data)
	s.stop()
	if !strings.Contains(s.log.String(), "waiting for Kafka at "+broker.Addr()) {
		t.Errorf("it did not say what it waits for:\n%s", s.log)
	}
}
