package ingest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAnswers(t *testing.T) {
	c := testConfig()
	c.MaxBodyBytes = 4 << 10
	d := open(t, c, accepting{})
	body, large := statuses(1), statuses(100)
	const path = "/v1/webhooks/meta/main"
	with := func(h http.Header, k, v string) http.Header { h.Set(k, v); return h }
	for _, c := range []struct {
		name, method, path string
		body               []byte
		header             http.Header
		want               Reason
	}{
		{"authentic", "POST", path, body, signature(testSecret, body), Accepted},
		{"older secret", "POST", path, body, signature("the old secret", body), Accepted},
		{"unknown fields", "POST", path, []byte(`{"entry":[{"id":"1","changes":[{"field":"x","value":3}]}]}`), signature(testSecret, []byte(`{"entry":[{"id":"1","changes":[{"field":"x","value":3}]}]}`)), Accepted},
		{"no events", "POST", path, []byte(`{"entry":[]}`), signature(testSecret, []byte(`{"entry":[]}`)), Accepted},
		{"empty", "POST", path, nil, signature(testSecret, nil), Accepted},
		{"no JSON", "POST", path, []byte(`not json`), signature(testSecret, []byte(`not json`)), Accepted},
		{"identity encoding", "POST", path, body, with(signature(testSecret, body), "Content-Encoding", "identity"), Accepted},
		{"unsigned", "POST", path, body, http.Header{}, SignatureMissing},
		{"signed by another", "POST", path, body, signature("another secret", body), SignatureWrong},
		{"other bytes", "POST", path, append(bytes.Clone(body), ' '), signature(testSecret, body), SignatureWrong},
		{"too large", "POST", path, large, signature(testSecret, large), BodyTooLarge},
		{"compressed", "POST", path, body, with(signature(testSecret, body), "Content-Encoding", "gzip"), EncodingUnknown},
		{"unknown source", "POST", "/v1/webhooks/meta/other", body, signature(testSecret, body), UnknownSource},
		{"unknown provider", "POST", "/v1/webhooks/other/main", body, signature(testSecret, body), UnknownSource},
		{"unknown path", "POST", "/v2", body, nil, UnknownPath},
		{"root", "GET", "/", nil, nil, UnknownPath},
		{"put", "PUT", path, body, signature(testSecret, body), MethodNotAllowed},
		{"delete", "DELETE", path, nil, nil, MethodNotAllowed},
		{"get without handshake", "GET", path, nil, nil, BadHandshake},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := d.do(t, c.method, c.path, c.body, c.header)
			if got.status != c.want.Status() || got.text != c.want.String()+"\n" {
				t.Errorf("got %d %q, want %d %q", got.status, got.text, c.want.Status(), c.want)
			}
			if c.want == MethodNotAllowed && got.header.Get("Allow") != "GET, POST" {
				t.Errorf("Allow: %q", got.header.Get("Allow"))
			}
		})
	}
}

// TestChunkedTooLarge: a body of undeclared length is cut off at the limit.
func TestChunkedTooLarge(t *testing.T) {
	c := testConfig()
	c.MaxBodyBytes = 4 << 10
	d := open(t, c, accepting{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url("/v1/webhooks/meta/main"), io.LimitReader(neverEnding('x'), 64<<10))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = signature(testSecret, nil)
	resp, err := d.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d", resp.StatusCode)
	}
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func TestHandshake(t *testing.T) {
	c := testConfig()
	silent := c.Sources[0]
	silent.Name, silent.VerifyToken = "silent", ""
	c.Sources = append(c.Sources, silent)
	d := open(t, c, accepting{})
	for _, c := range []struct {
		name, source, query string
		status              int
		text                string
	}{
		{"right", "main", "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=a+verify+token", 200, "1158201444"},
		{"wrong token", "main", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=b", 403, "token_wrong\n"},
		{"no token", "main", "hub.mode=subscribe&hub.challenge=1", 403, "token_wrong\n"},
		{"source without a token", "silent", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=", 403, "token_wrong\n"},
		{"other mode", "main", "hub.mode=x&hub.challenge=1&hub.verify_token=a+verify+token", 400, "bad_handshake\n"},
		{"no challenge", "main", "hub.mode=subscribe&hub.verify_token=a+verify+token", 400, "bad_handshake\n"},
		{"huge challenge", "main", "hub.mode=subscribe&hub.verify_token=a+verify+token&hub.challenge=" + strings.Repeat("1", 300), 400, "bad_handshake\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := d.do(t, http.MethodGet, "/v1/webhooks/meta/"+c.source+"?"+c.query, nil, nil)
			if got.status != c.status || got.text != c.text {
				t.Errorf("got %d %q", got.status, got.text)
			}
			if got.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
				t.Errorf("the echo could be taken for a page: %v", got.header)
			}
		})
	}
}

// TestNothingParsedUnsigned (G1): a body that is not authentic reaches neither
// the decoder nor Kafka.
func TestNothingParsedUnsigned(t *testing.T) {
	p := newFakeProducer()
	d := open(t, testConfig(), p)
	d.do(t, http.MethodPost, "/v1/webhooks/meta/main", []byte("not json"), signature("another", []byte("not json")))
	select {
	case records := <-p.calls:
		t.Errorf("%d records of a forged body", len(records))
	default:
	}
}

// TestAckBeforeAnswer (G2): the answer waits for the last acknowledgement.
func TestAckBeforeAnswer(t *testing.T) {
	p := newFakeProducer()
	d := open(t, testConfig(), p)
	answered := make(chan response, 1)
	go func() { answered <- d.post(t, statuses(3)) }()
	if records := <-p.calls; len(records) != 3 {
		t.Errorf("%d records", len(records))
	}
	select {
	case got := <-answered:
		t.Fatalf("answered %d before the acknowledgement", got.status)
	default:
	}
	p.answer <- nil
	if got := <-answered; got.status != http.StatusOK {
		t.Errorf("got %d", got.status)
	}
}

// TestOverload: beyond MaxConcurrent the answer is 503 at once, and a free slot
// serves again.
func TestOverload(t *testing.T) {
	c := testConfig()
	c.MaxConcurrent = 2
	p := newFakeProducer()
	d := open(t, c, p)
	answered := make(chan response, 2)
	for range 2 {
		go func() { answered <- d.post(t, statuses(1)) }()
		<-p.calls
	}
	if got := d.post(t, statuses(1)); got.status != 503 || got.text != "overloaded\n" || got.header.Get("Retry-After") != "1" {
		t.Errorf("got %d %q, Retry-After %q", got.status, got.text, got.header.Get("Retry-After"))
	}
	p.answer <- nil
	p.answer <- nil
	for range 2 {
		if got := <-answered; got.status != 200 {
			t.Errorf("got %d", got.status)
		}
	}
	p.answer <- nil
	if got := d.post(t, statuses(1)); got.status != 200 {
		t.Errorf("got %d after the overload", got.status)
	}
}

// TestSlowBody: a client that stops in the middle of a body is told so and
// disconnected.
func TestSlowBody(t *testing.T) {
	c := testConfig()
	c.ReadTimeout = 200 * time.Millisecond
	d := open(t, c, accepting{})
	conn, err := net.Dial("tcp", d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	header := "POST /v1/webhooks/meta/main HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nX-Hub-Signature-256: " + signature(testSecret, nil).Get("X-Hub-Signature-256")
	if _, err := io.WriteString(conn, header+"\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(got), "408") || !strings.Contains(string(got), "body_timeout") {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestClientGone: what a client has sent is kept even if the client leaves.
func TestClientGone(t *testing.T) {
	p := newFakeProducer()
	d := open(t, testConfig(), p)
	ctx, cancel := context.WithCancel(t.Context())
	body := statuses(1)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url("/v1/webhooks/meta/main"), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = signature(testSecret, body)
	left := make(chan struct{})
	go func() {
		defer close(left)
		if resp, err := d.client.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	<-p.calls
	cancel()
	<-left
	p.answer <- nil
	// Stopping waits for the handler, which then has counted the event.
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The metrics are unregistered with the door; their values can still be read.
	counted := prometheus.NewRegistry()
	counted.MustRegister(d.metrics.events)
	if n := counter(t, counted, "bluetick_ingest_events_total"); n != 1 {
		t.Errorf("%v events counted, want 1", n)
	}
	if left, err := d.registry.Gather(); err != nil || len(left) != 0 {
		t.Errorf("after the stop there is %v, %v", left, err)
	}
	again, err := New(testConfig(), Deps{Log: quiet(), Now: testNow, Producer: p, Providers: testProviders(), Registerer: d.registry})
	if err != nil {
		t.Fatalf("the door opens again: %v", err)
	}
	if there, err := d.registry.Gather(); err != nil || len(there) == 0 {
		t.Errorf("opened again it has the metrics %v, %v", there, err)
	}
	if err := again.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestStopDrains: requests in flight end as usual, new ones are refused.
func TestStopDrains(t *testing.T) {
	p := newFakeProducer()
	d := open(t, testConfig(), p)
	addr := d.Addr()
	answered := make(chan response, 1)
	go func() { answered <- d.post(t, statuses(1)) }()
	<-p.calls
	stopped := make(chan error, 1)
	go func() { stopped <- d.Stop(context.Background()) }()
	for {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			break // the listener is closed: stopping has begun
		}
		conn.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped (%v) with a request in flight", err)
	default:
	}
	p.answer <- nil
	if got := <-answered; got.status != 200 {
		t.Errorf("got %d", got.status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestStopGivesUp: what does not end in time is cut off.
func TestStopGivesUp(t *testing.T) {
	p := newFakeProducer()
	c := testConfig()
	d := open(t, c, p)
	body := statuses(1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url("/v1/webhooks/meta/main"), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = signature(testSecret, body)
	failed := make(chan error, 1)
	go func() {
		resp, err := d.client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	<-p.calls
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Stop(ctx); err == nil {
		t.Error("stopped without complaint")
	}
	if err := <-failed; err == nil {
		t.Error("the client was answered")
	}
	p.answer <- nil // lets the handler end
}

func TestStartStop(t *testing.T) {
	for range 30 {
		c := testConfig()
		s, err := New(c, Deps{Log: quiet(), Now: testNow, Producer: accepting{}, Providers: testProviders(), Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		d := &door{Server: s, client: &http.Client{Transport: &http.Transport{}}}
		if got := d.post(t, statuses(1)); got.status != 200 {
			t.Errorf("got %d", got.status)
		}
		d.client.CloseIdleConnections()
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStopWithoutStart(t *testing.T) {
	s, err := New(testConfig(), Deps{Log: quiet(), Now: testNow, Producer: accepting{}, Providers: testProviders(), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestReasons: every reason has a name of its own and a status.
func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := range reasons {
		if r.String() == "" || seen[r.String()] {
			t.Errorf("reason %d: name %q", r, r)
		}
		seen[r.String()] = true
		if (r.Status() == 503) != (r.RetryAfter() != "") {
			t.Errorf("%s: %d with Retry-After %q", r, r.Status(), r.RetryAfter())
		}
	}
	if Reason(200).String() != "invalid" {
		t.Error("a reason that is none has a name")
	}
}
