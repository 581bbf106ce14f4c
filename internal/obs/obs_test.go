package obs

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/internal/browserguard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServer(t *testing.T) {
	s, err := Listen("127.0.0.1:0", browserguard.Config{}, NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := client.Get("http://" + s.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Error("healthz", code)
	}
	if code, _ := get("/readyz"); code != 503 {
		t.Error("readyz before ready", code)
	}
	s.SetReady(true)
	if code, _ := get("/readyz"); code != 200 {
		t.Error("readyz", code)
	}
	s.SetTrouble("no clock")
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "no clock") {
		t.Error("readyz in trouble", code, body)
	}
	s.SetTrouble("")
	if code, _ := get("/readyz"); code != 200 {
		t.Error("readyz after trouble", code)
	}
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, "go_goroutines") {
		t.Error("metrics", code)
	}
	if code, _ := get("/debug/pprof/goroutine?debug=1"); code != 200 {
		t.Error("pprof", code)
	}
	if _, err := Listen(s.Addr(), browserguard.Config{}, NewRegistry(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Errorf("busy port: %v", err)
	}
	for _, path := range []string{"/metrics", "/readyz", "/debug/pprof/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "rebound.example"
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s for a page's own name: %d", path, resp.StatusCode)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNewLogger(t *testing.T) {
	var b strings.Builder
	log, err := NewLogger(&b, LogConfig{Level: "warn", Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud", "n", 1)
	if got := b.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"n":1`) {
		t.Error(got)
	}
	if _, err := NewLogger(&b, LogConfig{Level: "shout", Format: "text"}); err == nil {
		t.Error("unknown level: no error")
	}
	if _, err := NewLogger(&b, LogConfig{Level: "info", Format: "xml"}); err == nil {
		t.Error("unknown format: no error")
	}
}
