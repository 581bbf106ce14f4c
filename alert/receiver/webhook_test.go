package receiver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func secret() string {
	return secretPrefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k9"), 16))
}

func sample() Notification {
	rate := 0.05
	return Notification{
		Key: "0123456789abcdef0123456789abcdef", Incident: "fedcba9876543210fedcba9876543210",
		Rule: "opt-out-swell", State: schemas.StateFiring, Severity: schemas.SeverityPage, Reason: "opened",
		Account: "acme", Grouping: schemas.GroupCampaign, Campaign: "spring", Title: "title", Text: "text",
		Metric: "opt_out_rate", N: 200, K: 10, Rate: &rate, Reference: 0.03,
		OpenedAt: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
	}
}

// seen is one request as a server saw it.
type seen struct {
	header http.Header
	body   []byte
}

// server answers with the codes in turn, the last for ever.
type server struct {
	*httptest.Server
	codes  []int
	header http.Header
	mu     struct {
		sync.Mutex
		got []seen
	}
}

func serve(t *testing.T, header http.Header, codes ...int) *server {
	s := &server{codes: codes, header: header}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read body: %v", err)
		}
		s.mu.Lock()
		code := s.codes[min(len(s.mu.got), len(s.codes)-1)]
		s.mu.got = append(s.mu.got, seen{r.Header.Clone(), body})
		s.mu.Unlock()
		for k, v := range s.header {
			w.Header()[k] = v
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.got
}

func hook(t *testing.T, url string) *Webhook {
	t.Helper()
	w, err := NewWebhook(WebhookConfig{Name: "hook", URL: url, Secret: secret()}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// quick are limits that cost a test no time.
func quick() Limits {
	l := DefaultLimits()
	l.Backoff = time.Millisecond
	return l
}

// tell is what becomes of the sample at one receiver.
func tell(ctx context.Context, r Receiver, l Limits) error {
	return Tell(ctx, []Receiver{r}, sample(), l)[0]
}

func TestWebhookIsAStandardWebhook(t *testing.T) {
	s := serve(t, nil, 500, 429, 204)
	if err := tell(t.Context(), hook(t, s.URL+"/alerts"), quick()); err != nil {
		t.Fatal(err)
	}
	verifier, err := standardwebhooks.NewWebhook(secret())
	if err != nil {
		t.Fatal(err)
	}
	got := s.requests()
	if len(got) != 3 {
		t.Fatalf("%d requests, want 3", len(got))
	}
	for i, r := range got {
		if err := verifier.Verify(r.body, r.header); err != nil {
			t.Errorf("request %d: %v", i+1, err)
		}
		if id := r.header.Get("webhook-id"); id != sample().Key {
			t.Errorf("request %d: webhook-id %q, want the notification's key", i+1, id)
		}
	}
	var back Notification
	if err := json.Unmarshal(got[0].body, &back); err != nil {
		t.Fatal(err)
	}
	if want := sample(); back.Key != want.Key || back.N != 200 || *back.Rate != 0.05 || !back.OpenedAt.Equal(want.OpenedAt) {
		t.Errorf("body %s", got[0].body)
	}
	tampered := bytes.Replace(got[0].body, []byte("spring"), []byte("summer"), 1)
	if err := verifier.Verify(tampered, got[0].header); err == nil {
		t.Error("a changed body verifies")
	}
}

func TestWebhookAnswers(t *testing.T) {
	cases := []struct {
		name     string
		codes    []int
		header   http.Header
		requests int
		reason   Reason
	}{
		{"200", []int{200}, nil, 1, ""},
		{"503 then 202", []int{503, 202}, nil, 2, ""},
		{"408 then 200", []int{408, 200}, nil, 2, ""},
		{"400", []int{400}, nil, 1, ReasonRefused},
		{"404", []int{404}, nil, 1, ReasonRefused},
		{"410", []int{410}, nil, 1, ReasonRefused},
		{"a redirect is not followed", []int{307}, http.Header{"Location": {"/elsewhere"}}, 1, ReasonRefused},
		{"503 for ever", []int{503}, nil, 4, ReasonUnreachable},
		{"429 for ever", []int{429}, nil, 4, ReasonUnreachable},
		{"429 for an hour", []int{429}, http.Header{"Retry-After": {"3600"}}, 1, ReasonUnreachable},
		{"503 then 401", []int{503, 401}, nil, 2, ReasonRefused},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.header, c.codes...)
			err := tell(t.Context(), hook(t, s.URL), quick())
			if n := len(s.requests()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			var e *Error
			switch {
			case c.reason == "" && err != nil:
				t.Errorf("error %v", err)
			case c.reason != "" && (!errors.As(err, &e) || e.Reason != c.reason || e.Attempts != c.requests):
				t.Errorf("error %v, want %s after %d attempts", err, c.reason, c.requests)
			}
		})
	}
}

func TestWebhookHidesItsURL(t *testing.T) {
	s := serve(t, nil, 200)
	s.Close()
	err := tell(t.Context(), hook(t, s.URL+"/token-s3cret"), quick())
	var e *Error
	if !errors.As(err, &e) || e.Reason != ReasonUnreachable || e.Attempts != quick().Attempts {
		t.Fatalf("error %v, want unreachable after %d attempts", err, quick().Attempts)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error tells the URL: %v", err)
	}
	_, err = NewWebhook(WebhookConfig{Name: "hook", URL: "ftp://s3cret", Secret: "whsec_s3cret"}, time.Now)
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("configuration error %v: want one without URL and secret", err)
	}
}

// A receiver that does not answer costs the time-out of each attempt, no more.
func TestWebhookTimesOut(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	limits := quick()
	limits.Attempt, limits.Attempts = 20*time.Millisecond, 2
	var e *Error
	if err := tell(t.Context(), hook(t, s.URL), limits); !errors.As(err, &e) || e.Reason != ReasonUnreachable || e.Attempts != 2 {
		t.Errorf("error %v, want unreachable after 2 attempts", err)
	}
}

func TestWebhookStops(t *testing.T) {
	for _, before := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			cancel()
		}))
		if before {
			cancel()
		}
		w, err := NewWebhook(WebhookConfig{Name: "hook", URL: s.URL, Secret: secret()}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		err = tell(ctx, w, DefaultLimits())
		var e *Error
		if !errors.Is(err, context.Canceled) || errors.As(err, &e) {
			t.Errorf("stopped before the first attempt %v: error %v, want the context's", before, err)
		}
		cancel()
		w.Close()
		s.Close()
	}
}

// A pause the other side asked for is kept.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := hook(t, "http://receiver.invalid")
		var at []time.Time
		w.client.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			at = append(at, time.Now())
			r := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"3"}}, Body: http.NoBody}
			if len(at) == 2 {
				r.StatusCode = 200
			}
			return r, nil
		})
		if err := tell(t.Context(), w, DefaultLimits()); err != nil {
			t.Fatal(err)
		}
		if len(at) != 2 || at[1].Sub(at[0]) != 3*time.Second {
			t.Errorf("attempts at %v, want 3 s apart", at)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWebhookConfig(t *testing.T) {
	good := WebhookConfig{Name: "hook", URL: "https://example.org/hook", Secret: secret()}
	if err := good.Validate(); err != nil {
		t.Errorf("good configuration: %v", err)
	}
	bad := WebhookConfig{URL: "example.org", Secret: "whsec_c2hvcnQ="}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, says := range []string{"name", "url", "secret"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("does not say %q: %v", says, err)
		}
	}
	if _, err := NewWebhook(WebhookConfig{Name: "hook", URL: good.URL, Secret: strings.TrimPrefix(secret(), secretPrefix)}, time.Now); err == nil {
		t.Error("a secret without its prefix is taken")
	}
}

func TestLog(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Notification)
		level  string
	}{
		{"page", func(*Notification) {}, "ERROR"},
		{"warn", func(n *Notification) { n.Severity = schemas.SeverityWarn }, "WARN"},
		{"info", func(n *Notification) { n.Severity = schemas.SeverityInfo }, "INFO"},
		{"resolved", func(n *Notification) { n.State = schemas.StateResolved }, "INFO"},
		{"no rate", func(n *Notification) { n.Rate = nil }, "ERROR"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			n := sample()
			c.change(&n)
			if err := NewLog(slog.New(slog.NewTextHandler(&out, nil))).Send(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			for _, says := range []string{"level=" + c.level, "component=alert", "title=title", "rule=opt-out-swell", "campaign=spring"} {
				if !strings.Contains(out.String(), says) {
					t.Errorf("does not say %s: %s", says, out.String())
				}
			}
		})
	}
}
