package ingest

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/schemas"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("provider/meta/testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRecords: what a body becomes in Kafka, to the header.
func TestRecords(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	kafkatest.Topics(t, brokers, 4)
	c := testConfig()
	c.KeepRaw = true
	d := open(t, c, producer(t, c.ProduceTimeout, brokers))
	body := fixture(t, "mixed")
	if got := d.post(t, body); got.status != 200 {
		t.Fatalf("got %d %q", got.status, got.text)
	}
	at := testNow().UTC()
	types := map[schemas.EventType]int{}
	for _, r := range consume(t, brokers, schemas.TopicEvents, 6) {
		e, err := schemas.DecodeEvent(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		types[e.Type]++
		if !bytes.Equal(r.Key, schemas.EventKey(&e)) || schemaOf(r) != schemas.SchemaEvent || !r.Timestamp.Equal(at) || e.ReceivedAt.Time() != at {
			t.Errorf("record of %s: key %x, schema %q, time %s", e.Type, r.Key, schemaOf(r), r.Timestamp)
		}
		for _, secret := range []string{testPhone, testWamid} {
			if bytes.Contains(r.Value, []byte(secret)) {
				t.Errorf("%s holds %s", e.Type, secret)
			}
		}
	}
	if types[schemas.TypeOptedOut] != 2 || types[schemas.TypeSent] != 1 || types[schemas.TypeDelivered] != 1 || types[schemas.TypeRead] != 1 || types[schemas.TypeQuality] != 1 {
		t.Errorf("types %v", types)
	}
	for _, r := range consume(t, brokers, schemas.TopicDeadLetters, 3) {
		l, err := schemas.DecodeDeadLetter(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Key) != "main" || schemaOf(r) != schemas.SchemaDeadLetter || l.Source != "main" || l.Stage != "ingest" || l.Where == "" {
			t.Errorf("dead letter %+v under %q", l, r.Key)
		}
	}
	raw := consume(t, brokers, schemas.TopicRaw, 1)[0]
	if !bytes.Equal(raw.Value, body) || string(raw.Key) != "main" || schemaOf(raw) != "Raw/1" {
		t.Errorf("raw: %d bytes under %q, schema %q", len(raw.Value), raw.Key, schemaOf(raw))
	}
}

// TestLargestBodies: a thousand updates, and the largest body there can be,
// raw and as a dead letter.
func TestLargestBodies(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	kafkatest.Topics(t, brokers, 4)
	c := testConfig()
	c.KeepRaw = true
	d := open(t, c, producer(t, c.ProduceTimeout, brokers))
	if got := d.post(t, statuses(1000)); got.status != 200 {
		t.Fatalf("got %d %q", got.status, got.text)
	}
	seen := map[schemas.Key]bool{}
	for _, r := range consume(t, brokers, schemas.TopicEvents, 1000) {
		e, err := schemas.DecodeEvent(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		seen[e.ID] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different events", len(seen))
	}
	// Noise, so that compression does not make it small.
	noise := make([]byte, c.MaxBodyBytes)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	if got := d.post(t, noise); got.status != 200 {
		t.Fatalf("got %d %q\n%s", got.status, got.text, d.log)
	}
	consume(t, brokers, schemas.TopicDeadLetters, 1)
}

// TestKafkaRefuses: an error of the broker is 503 at once, and the next body is
// taken without a restart.
func TestKafkaRefuses(t *testing.T) {
	for _, refusal := range []*kerr.Error{kerr.UnknownServerError, kerr.TopicAuthorizationFailed, kerr.InvalidRecord} {
		t.Run(refusal.Message, func(t *testing.T) {
			k := cluster(t)
			d := open(t, testConfig(), producer(t, 5*time.Second, k.ListenAddrs()))
			if got := d.post(t, statuses(1)); got.status != 200 {
				t.Fatalf("before: %d %q", got.status, got.text)
			}
			for range 3 {
				k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.TopicEvents, Err: refusal})
				began := time.Now()
				got := d.post(t, statuses(1))
				if got.status != 503 || got.text != "kafka_unavailable\n" || got.header.Get("Retry-After") == "" {
					t.Errorf("refused: %d %q", got.status, got.text)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("refused after %s", took)
				}
				if got := d.post(t, statuses(20)); got.status != 200 {
					t.Errorf("after: %d %q\n%s", got.status, got.text, d.log)
				}
			}
			if n := strings.Count(d.log.String(), "kafka does not take events"); n != 3 {
				t.Errorf("%d warnings of 3 changes", n)
			}
			// All that was taken is there, and nothing that was refused.
			seen := map[schemas.Key]int{}
			for _, r := range consume(t, k.ListenAddrs(), schemas.TopicEvents, 1+3*20) {
				e, err := schemas.DecodeEvent(r.Value)
				if err != nil {
					t.Fatal(err)
				}
				seen[e.MessageKey]++
			}
			for key, n := range seen {
				if n != 3 && n != 4 { // the first message was in the first body too
					t.Errorf("message %s: %d times", key, n)
				}
			}
		})
	}
}

// TestKafkaHangs: while the broker does not answer, requests get 503 after the
// handler's own time and nothing stays in memory; service resumes without a
// restart.
func TestKafkaHangs(t *testing.T) {
	k := cluster(t)
	const timeout = 400 * time.Millisecond
	c := testConfig()
	c.ProduceTimeout = timeout
	p := producer(t, timeout, k.ListenAddrs())
	d := open(t, c, p)
	if got := d.post(t, statuses(1)); got.status != 200 {
		t.Fatalf("before: %d %q", got.status, got.text)
	}
	hang := make(chan struct{})
	k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case <-hang:
			k.DropControl()
			return nil, nil, false
		default:
			k.KeepControl()
			return nil, nil, true
		}
	})
	for range 3 {
		began := time.Now()
		got := d.post(t, statuses(10))
		if got.status != 503 || got.text != "kafka_unavailable\n" {
			t.Errorf("hanging: %d %q", got.status, got.text)
		}
		if took := time.Since(began); took > 4*timeout {
			t.Errorf("answered after %s", took)
		}
	}
	close(hang)
	resumed(t, d)
	if n := p.client.BufferedProduceRecords(); n != 0 {
		t.Errorf("%d records of the outage still wait", n)
	}
}

// resumed posts until a body is taken.
func resumed(t *testing.T, d *door) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := d.post(t, statuses(1))
		if got.status == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no service: %d %q\n%s", got.status, got.text, d.log)
		}
	}
}

// TestKafkaAway: without any broker the answer is 503 in time; when it is back
// on the same port, service resumes without a restart.
func TestKafkaAway(t *testing.T) {
	dir := t.TempDir()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	addrs := k.ListenAddrs()
	kafkatest.Topics(t, addrs, 4)
	const timeout = 400 * time.Millisecond
	c := testConfig()
	c.ProduceTimeout = timeout
	d := open(t, c, producer(t, timeout, addrs))
	if got := d.post(t, statuses(1)); got.status != 200 {
		t.Fatalf("before: %d %q", got.status, got.text)
	}
	k.Close()
	for range 2 {
		if got := d.post(t, statuses(1)); got.status != 503 {
			t.Errorf("away: %d %q", got.status, got.text)
		}
	}
	_, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	back, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir), kfake.Ports(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(back.Close)
	resumed(t, d)
}

// TestKafkaWithoutTopics: a missing topic is an outage, not a lost body.
func TestKafkaWithoutTopics(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	c := testConfig()
	c.ProduceTimeout = 2 * time.Second
	d := open(t, c, producer(t, c.ProduceTimeout, k.ListenAddrs()))
	if got := d.post(t, statuses(1)); got.status != 503 {
		t.Errorf("got %d %q", got.status, got.text)
	}
	kafkatest.Topics(t, k.ListenAddrs(), 4)
	resumed(t, d)
}

// TestConcurrentBodies: many clients at once, each body whole.
func TestConcurrentBodies(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	kafkatest.Topics(t, brokers, 4)
	d := open(t, testConfig(), producer(t, 5*time.Second, brokers))
	const clients, bodies, size = 8, 10, 25
	done := make(chan struct{})
	for range clients {
		go func() {
			defer func() { done <- struct{}{} }()
			for range bodies {
				if got := d.post(t, statuses(size)); got.status != 200 {
					t.Errorf("got %d %q", got.status, got.text)
				}
			}
		}()
	}
	for range clients {
		<-done
	}
	const all = clients * bodies * size
	if n := len(consume(t, brokers, schemas.TopicEvents, all)); n != all {
		t.Errorf("%d records, want %d", n, all)
	}
}
