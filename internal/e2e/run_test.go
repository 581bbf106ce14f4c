package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"

	"github.com/bluetick/bluetick/internal/dataroot"
	"github.com/bluetick/bluetick/internal/simulate"
	"github.com/bluetick/bluetick/schemas"
)

// TestKillAndRestart posts half, kills -9 in the middle of the work, starts
// again, posts the rest and a part of the first half once more, and finds
// exactly the known counts, by plain HTTP, by clickhouse-go and by the audit.
func TestKillAndRestart(t *testing.T) {
	const n, step = 3000, 50
	bin, data := binary(t), filepath.Join(t.TempDir(), "data")
	at := time.Now().Add(-2 * time.Hour).Unix()

	s := start(t, bin, data)
	for from := 0; from < n/2; from += step {
		if status := s.post(body(from, from+step, at)); status != http.StatusOK {
			t.Fatalf("status %d\n%s", status, s.log)
		}
	}
	s.kill() // rows are on their way through every stage

	s = start(t, bin, data)
	for from := n / 4; from < n; from += step {
		if status := s.post(body(from, from+step, at)); status != http.StatusOK {
			t.Fatalf("status %d\n%s", status, s.log)
		}
	}
	s.await(countsQuery, counts(n))
	askWithDriver(t, s, n)
	if out, err := command(t, bin, "audit", "--data", data); err != nil || !strings.Contains(out, "audit: 0 differences") {
		t.Errorf("audit beside the running process: %s, %v", out, err)
	}
	if out, err := command(t, bin, "sql", "--data", data, "--format", "tsv", "SELECT sum(sent) FROM v_campaigns"); err != nil || !strings.HasSuffix(out, "\n3000") {
		t.Errorf("sql beside the running process: %q, %v", out, err)
	}
	s.stop()

	if out, err := command(t, bin, "sql", "--data", data, "--format", "tsv", countsQuery); err != nil || !strings.HasSuffix(out, counts(n)) {
		t.Errorf("sql without a process: %q, %v", out, err)
	}
	s = start(t, bin, data)
	s.await(countsQuery, counts(n))
	if out, err := command(t, bin, "audit", "--data", data); err != nil || !strings.Contains(out, "audit: 0 differences") || !strings.Contains(out, "left out: 0 ") {
		t.Errorf("audit after a second start: %s, %v", out, err)
	}
	s.stop()
	var exit *exec.ExitError
	out, err := command(t, bin, "audit", "--data", filepath.Join(t.TempDir(), "none"))
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("audit of an empty folder: %s, %v, want exit code 2", out, err)
	}
}

// askWithDriver reads as anybody may, with the driver, over the port.
func askWithDriver(t *testing.T, s *server, n int) {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{s.run.ClickHouse}, Auth: clickhouse.Auth{Database: "bluetick", Username: "default"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var sent, left int64
	if err := conn.QueryRow(t.Context(), "SELECT sum(sent), sum(opted_out) FROM v_campaigns").Scan(&sent, &left); err != nil {
		t.Fatal(err)
	}
	if sent != int64(n) || left != int64(n/10) {
		t.Errorf("with the driver: sent %d, opted out %d", sent, left)
	}
	if err := conn.Exec(t.Context(), "DROP TABLE events"); err == nil {
		t.Error("a reader could drop a table")
	}
}

// TestDoor checks the answers at the door and that nothing personal is kept.
func TestDoor(t *testing.T) {
	bin, data := binary(t), filepath.Join(t.TempDir(), "data")
	s := start(t, bin, data)
	good := body(0, 10, time.Now().Add(-time.Hour).Unix())
	for name, c := range map[string]struct {
		body      []byte
		signature string
		want      int
	}{
		"signed":          {good, simulate.Sign(appSecret, good), http.StatusOK},
		"wrong secret":    {good, simulate.Sign("another", good), http.StatusUnauthorized},
		"no signature":    {good, "", http.StatusUnauthorized},
		"signed nonsense": {[]byte("{"), simulate.Sign(appSecret, []byte("{")), http.StatusOK},
		"malformed":       {good, "sha256=00", http.StatusUnauthorized},
		"too large":       {make([]byte, 5<<20), simulate.Sign("another", nil), http.StatusRequestEntityTooLarge},
	} {
		if got := s.postSigned(c.body, c.signature); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
	resp, err := http.Get("http://" + s.run.Ingest + "/v1/webhooks/meta/main?hub.mode=subscribe&hub.challenge=4711&hub.verify_token=" + strings.ReplaceAll(verifyToken, " ", "+"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "4711" {
		t.Errorf("handshake: %q, %v", b, err)
	}
	s.await("SELECT count() FROM dead_letters FINAL", "1")
	s.await("SELECT sum(sent) FROM v_campaigns", "10")
	if got := s.metric("bluetick_message_messages"); got != 10 {
		t.Errorf("bluetick_message_messages over all partitions is %v, want 10", got)
	}
	for _, table := range strings.Fields(s.sql("SELECT name FROM system.tables WHERE database = 'bluetick' AND engine LIKE '%MergeTree'")) {
		dump := s.sql("SELECT * FROM " + table + " FORMAT JSONEachRow")
		if strings.Contains(dump, "wamid") || strings.Contains(dump, "3168000000") {
			t.Errorf("table %s holds a phone number or a message id", table)
		}
	}
	if log := s.log.String(); strings.Contains(log, "wamid") || strings.Contains(log, "3168000000") || strings.Contains(log, appSecret) {
		t.Errorf("the log holds a phone number, a message id or a secret:\n%s", log)
	}
	second := launch(t, bin, data)
	if err := second.end(); err == nil || !strings.Contains(second.log.String(), "in use by process") {
		t.Errorf("a second process on the folder: %v\n%s", err, second.log)
	}
	busy := launch(t, bin, filepath.Join(t.TempDir(), "other"), "--ingest-listen", s.run.Ingest)
	if err := busy.end(); err == nil || !strings.Contains(busy.log.String(), "ingest") {
		t.Errorf("a busy port: %v\n%s", err, busy.log)
	}
	s.stop()
}

// TestOtherClientsReadTheTopics reads what bluetick wrote to Kafka with an
// independent client and decodes it by schemas alone.
func TestOtherClientsReadTheTopics(t *testing.T) {
	const n = 200
	bin, data := binary(t), filepath.Join(t.TempDir(), "data")
	s := start(t, bin, data)
	if status := s.post(body(0, n, time.Now().Add(-3*time.Hour).Unix())); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	s.await(countsQuery, counts(n))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	sent, beats := map[schemas.Key]bool{}, 0
	read(ctx, t, s.run, schemas.TopicEvents, func(m kafkago.Message) {
		if header(m) == schemas.SchemaHeartbeat {
			if _, err := schemas.DecodeHeartbeat(m.Value); err != nil || len(m.Key) > 0 {
				t.Errorf("heartbeat with key %x: %v", m.Key, err)
			}
			beats++
			return
		}
		e, err := schemas.DecodeEvent(m.Value)
		if err != nil {
			t.Fatal(err)
		}
		if header(m) != schemas.SchemaEvent || string(m.Key) != string(schemas.EventKey(&e)) || schemas.EventID(&e) != e.ID {
			t.Errorf("event %s: header %q, key %x", e.ID, header(m), m.Key)
		}
		if e.Type == schemas.TypeSent {
			sent[e.MessageKey] = true
		}
	})
	if len(sent) != n || beats == 0 {
		t.Errorf("%d messages and %d heartbeats in events, want %d and some", len(sent), beats, n)
	}

	newest := map[string]schemas.Pane{}
	read(ctx, t, s.run, schemas.TopicPanes, func(m kafkago.Message) {
		if header(m) != schemas.SchemaPane {
			return
		}
		p, err := schemas.DecodePane(m.Value)
		if err != nil {
			t.Fatal(err)
		}
		key := string(schemas.EncodePane(&schemas.Pane{Source: p.Source, Minute: p.Minute, Tuple: p.Tuple}))
		if old, ok := newest[key]; !ok || p.Version >= old.Version {
			newest[key] = p
		}
	})
	var total int64
	for _, p := range newest {
		total += p.Counts.Sent
	}
	if total != n {
		t.Errorf("panes of greatest version sum to %d sent, want %d", total, n)
	}
	s.stop()
}

func header(m kafkago.Message) string {
	for _, h := range m.Headers {
		if h.Key == schemas.HeaderSchema {
			return string(h.Value)
		}
	}
	return ""
}

// read visits every record that is in a topic now.
func read(ctx context.Context, t *testing.T, run dataroot.Run, topic string, visit func(kafkago.Message)) {
	t.Helper()
	broker := run.Kafka
	dialer := &kafkago.Dialer{SASLMechanism: plain.Mechanism{Username: run.KafkaUser, Password: run.KafkaPassword}}
	conn, err := dialer.DialContext(ctx, "tcp", broker)
	if err != nil {
		t.Fatal(err)
	}
	partitions, err := conn.ReadPartitions(topic)
	conn.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range partitions {
		leader, err := dialer.DialLeader(ctx, "tcp", broker, topic, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		end, err := leader.ReadLastOffset()
		leader.Close()
		if err != nil {
			t.Fatal(err)
		}
		reader := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{broker}, Dialer: dialer, Topic: topic, Partition: p.ID, MaxWait: 100 * time.Millisecond})
		for next := int64(0); next < end; {
			m, err := reader.ReadMessage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			visit(m)
			next = m.Offset + 1
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
}
