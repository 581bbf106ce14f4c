package ingest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/ingest/provider/meta"
	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testSecret = "an app secret of the tests"
	testPhone  = "447700900123"
	testWamid  = "wamid.SU5WRU5URUQtTUVTU0FHRS0wMDAx"
	testText   = "a text only its writer should see"
)

// testNow is the clock of the tests: not the wall clock, as in a demo.
func testNow() time.Time { return time.Unix(1790000400, 0) }

func testConfig() Config {
	c := Default()
	c.Listen = "127.0.0.1:0"
	c.Pepper = "a pepper only the tests know"
	c.Sources = []Source{{
		Name: "main", Provider: "meta", Secrets: []string{"the old secret", testSecret},
		VerifyToken: "a verify token", MaxEventAge: DefaultMaxEventAge,
	}}
	return c
}

// testProviders are Meta and one that has little in common with it.
func testProviders() provider.Registry { return provider.NewRegistry(meta.New(), newPostal()) }

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// door is a started Server with what a test looks at.
type door struct {
	*Server
	log      *syncBuffer
	registry *prometheus.Registry
	client   *http.Client
}

func open(t testing.TB, c Config, p Producer) *door {
	t.Helper()
	return openAt(t, c, p, testNow)
}

func openAt(t testing.TB, c Config, p Producer, now func() time.Time) *door {
	t.Helper()
	d := &door{log: &syncBuffer{}, registry: prometheus.NewRegistry(), client: &http.Client{
		Transport: &http.Transport{},
		// A redirect is an answer to look at.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	s, err := New(c, Deps{
		Log: slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now: now, Producer: p, Providers: testProviders(), Registerer: d.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	d.Server = s
	t.Cleanup(func() {
		d.client.CloseIdleConnections()
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return d
}

func (d *door) url(path string) string { return "http://" + d.Addr() + path }

type response struct {
	status int
	text   string
	header http.Header
}

func (d *door) do(t testing.TB, method, path string, body []byte, header http.Header) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url(path), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := d.client.Do(req)
	if err != nil {
		t.Error(err)
		return response{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return response{resp.StatusCode, string(text), resp.Header}
}

func signature(secret string, body []byte) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}}
}

// post sends an authentic body.
func (d *door) post(t testing.TB, body []byte) response {
	t.Helper()
	return d.do(t, http.MethodPost, "/v1/webhooks/meta/main", body, signature(testSecret, body))
}

// statuses is a body with n statuses of different messages.
func statuses(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"object":"whatsapp_business_account","entry":[{"id":"900000000000101","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"800000000000201"},"statuses":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"wamid.SU5WRU5URUQ%016d","status":"sent","timestamp":"1790000000","recipient_id":"493023125%03d","biz_opaque_callback_data":"{\"campaign\":\"autumn-26\"}"}`, i, i%1000)
	}
	b.WriteString(`]}}]}]}`)
	return b.Bytes()
}

// fakeProducer answers as the test says.
type fakeProducer struct {
	calls  chan []Record // what Produce was called with
	answer chan error    // what it returns, once each
}

func newFakeProducer() *fakeProducer {
	return &fakeProducer{calls: make(chan []Record, 64), answer: make(chan error, 64)}
}

func (f *fakeProducer) Produce(ctx context.Context, records []Record) error {
	f.calls <- records
	select {
	case err := <-f.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// accepting is a Producer that takes everything at once.
type accepting struct{}

func (accepting) Produce(context.Context, []Record) error { return nil }

// cluster is a fake Kafka that can be made to fail, with bluetick's topics.
func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	kafkatest.Topics(t, c.ListenAddrs(), 4)
	return c
}

func producer(t testing.TB, timeout time.Duration, brokers []string) *Kafka {
	t.Helper()
	k, err := NewKafka(timeout, kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// consume reads n records of a topic from its start.
func consume(t testing.TB, brokers []string, topic string, n int) []*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d records of %s: %v", len(all), n, topic, err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

func schemaOf(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == schemas.HeaderSchema {
			return string(h.Value)
		}
	}
	return ""
}
