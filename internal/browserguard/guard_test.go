package browserguard

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	cfg := Config{Hosts: []string{"clickhouse.example.org"}, Origins: []string{"https://grafana.example.org"}}
	const own = "127.0.0.1:8123"
	for name, c := range map[string]struct {
		host   string
		header map[string]string
		passes bool
	}{
		"curl":                     {own, nil, true},
		"localhost":                {"localhost:8123", nil, true},
		"localhost with dot":       {"LOCALHOST.:8123", nil, true},
		"below localhost":          {"sql.localhost:8123", nil, true},
		"IPv6":                     {"[::1]:8123", nil, true},
		"IPv6 without port":        {"[::1]", nil, true},
		"address of the machine":   {"192.168.1.7:8123", nil, true},
		"no port":                  {"127.0.0.1", nil, true},
		"HTTP/1.0 without host":    {"", nil, true},
		"configured name":          {"clickhouse.example.org:8123", nil, true},
		"configured, other case":   {"ClickHouse.Example.org.", nil, true},
		"rebound name":             {"evil.example:8123", nil, false},
		"rebound with our number":  {"127.0.0.1.evil.example:8123", nil, false},
		"rebound localhost":        {"localhost.evil.example", nil, false},
		"localhost as a label":     {"localhost-evil", nil, false},
		"typed address":            {own, map[string]string{"Sec-Fetch-Site": "none"}, true},
		"our own page":             {own, map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8123"}, true},
		"script of another page":   {own, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, false},
		"link on another page":     {own, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, false},
		"another port's page":      {own, map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"}, false},
		"another port's script":    {own, map[string]string{"Sec-Fetch-Site": "same-site"}, false},
		"word of tomorrow":         {own, map[string]string{"Sec-Fetch-Site": "nearly"}, false},
		"foreign origin":           {own, map[string]string{"Origin": "https://evil.example"}, false},
		"origin with another port": {own, map[string]string{"Origin": "http://127.0.0.1:8124"}, false},
		"sandboxed page":           {own, map[string]string{"Origin": "null"}, false},
		"rebound to itself":        {"evil.example", map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, false},
		"configured origin":        {own, map[string]string{"Origin": "https://grafana.example.org", "Sec-Fetch-Site": "cross-site"}, true},
		"its neighbour":            {own, map[string]string{"Origin": "https://grafana.example.org.evil.example"}, false},
		"configured but rebound":   {"evil.example", map[string]string{"Origin": "https://grafana.example.org"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			served := false
			h := New(cfg, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
			r := httptest.NewRequest(http.MethodGet, "/?query=SELECT+1", nil)
			r.Host = c.host
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if served != c.passes || (w.Code == http.StatusForbidden) == c.passes {
				t.Errorf("served %v with status %d", served, w.Code)
			}
			if !c.passes && !strings.Contains(w.Body.String(), "http.") {
				t.Errorf("no remedy in %q", w.Body)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cross-Origin-Resource-Policy") != "same-origin" {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}

// TestTwoOrigins: a second Origin header hides nothing behind a good first one.
func TestTwoOrigins(t *testing.T) {
	h := New(Config{Origins: []string{"https://ok.example"}}, http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
	r.Header["Origin"] = []string{"https://ok.example", "https://evil.example"}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d", w.Code)
	}
}

// TestPreflight: a configured page may ask with headers of its own and read the
// answer; others are told nothing.
func TestPreflight(t *testing.T) {
	h := New(Config{Origins: []string{"https://ok.example"}}, http.NotFoundHandler())
	for origin, want := range map[string]int{"https://ok.example": http.StatusNoContent, "https://evil.example": http.StatusForbidden} {
		r := httptest.NewRequest(http.MethodOptions, "http://127.0.0.1/", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		allowed := w.Header().Get("Access-Control-Allow-Origin")
		if w.Code != want || (allowed == origin) != (want == http.StatusNoContent) {
			t.Errorf("%s: %d, allowed %q", origin, w.Code, allowed)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Config{Hosts: []string{"a.example"}, Origins: []string{"https://a.example", "http://b.example:3000"}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := Config{Hosts: []string{"http://a", "a:1", "*.example", ""}, Origins: []string{"a.example", "https://a.example/", "*", "null"}}
	err := bad.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 7 {
		t.Errorf("%v", err)
	}
}

// TestServer: on a real socket a request with neither header is answered, and one
// without a host too.
func TestServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server(Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 {
		t.Error("a silent client is never let go")
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	for head, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n": "200",
		"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":                 "200",
		"GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n":                 "403",
		"GET http://evil.test/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": "403",
	} {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.Contains(line, " "+want+" ") {
			t.Errorf("%q: %q, %v", head, line, err)
		}
		c.Close()
	}
	s.Close()
	<-served
}
