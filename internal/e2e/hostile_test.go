package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHostile attacks the ports of one running process, one attack after the
// other, and counts after each: what was posted meanwhile is there, and the
// process has not ended. `make hostile` runs it alone.
func TestHostile(t *testing.T) {
	bin, data := binary(t), filepath.Join(t.TempDir(), "data")
	s := start(t, bin, data)
	posted := 0
	at := time.Now().Add(-time.Hour).Unix()
	post := func(t *testing.T) {
		t.Helper()
		if got := s.post(body(posted, posted+10, at)); got != http.StatusOK {
			t.Fatalf("a good webhook: status %d\n%s", got, s.log)
		}
		posted += 10
	}
	for _, attack := range []struct {
		name string
		run  func(t *testing.T, s *server, post func(*testing.T))
	}{
		{"kafka frames", badFrames},
		{"slow strangers", slowStrangers},
		{"browsers", foreignPages},
		{"hungry readers", hungryReaders},
	} {
		t.Run(attack.name, func(t *testing.T) {
			attack.run(t, s, post)
			post(t)
			s.await(countsQuery, counts(posted))
		})
	}
	s.stop()
}

// TestNoKafkaPort: nobody asked for a port, so there is none.
func TestNoKafkaPort(t *testing.T) {
	bin, data := binary(t), filepath.Join(t.TempDir(), "data")
	s := spawn(t, bin, "run", "--data", data, "--meta-app-secret", appSecret, "--meta-verify-token", verifyToken,
		"--ingest-listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
	s.ready(data)
	if _, _, err := net.SplitHostPort(s.run.Kafka); err == nil {
		t.Errorf("Kafka listens at %s", s.run.Kafka)
	}
	s.stop()
}

// badFrames sends what is no request of the Kafka protocol. Each costs its
// connection and nothing more.
func badFrames(t *testing.T, s *server, post func(*testing.T)) {
	for name, frame := range map[string]string{
		"an unknown key":      "\x00\x00\x00\x08\x03\xe7\x00\x00\x00\x00\x00\x01",
		"a length of 2 GiB":   "\x7f\xff\xff\xffx",
		"a negative length":   "\xff\xff\xff\xff",
		"a page that posts":   "POST / HTTP/1.1\r\nHost: localhost:9092\r\nContent-Length: 4\r\n\r\nabcd",
		"TLS":                 "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"produce, no log in":  "\x00\x00\x00\x0c\x00\x00\x00\x03\x00\x00\x00\x01\x00\x02ab",
		"half of a frame":     "\x00\x00\x01\x00\x00\x12",
		"nothing and silence": "",
	} {
		conn, err := net.DialTimeout("tcp", s.run.Kafka, patience)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, s.log)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, frame); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	post(t)
}

// slowStrangers begin webhooks and do not end them, more of them than bodies are
// worked on at once, without a signature and with one of their own.
func slowStrangers(t *testing.T, s *server, post func(*testing.T)) {
	for i := range 600 {
		conn, err := net.DialTimeout("tcp", s.run.Ingest, patience)
		if err != nil {
			t.Fatalf("%d: %v\n%s", i, err, s.log)
		}
		defer conn.Close()
		signature := ""
		if i%2 == 0 {
			signature = "X-Hub-Signature-256: sha256=" + strings.Repeat("ab", 32) + "\r\n"
		}
		if _, err := io.WriteString(conn, "POST /v1/webhooks/meta/main HTTP/1.1\r\nHost: x\r\n"+signature+"Content-Length: 4000000\r\n\r\n{"); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	post(t)
}

// foreignPages asks as browsers do for a page of somebody else.
func foreignPages(t *testing.T, s *server, _ func(*testing.T)) {
	sql, metrics := "http://"+s.run.ClickHouse+"/?query=SELECT+1", "http://"+s.run.Metrics
	for _, url := range []string{sql, metrics + "/metrics", metrics + "/debug/pprof/"} {
		for _, c := range []struct {
			name          string
			header, value string
			want          int
		}{
			{"a program", "Accept", "*/*", http.StatusOK},
			{"a typed address", "Sec-Fetch-Site", "none", http.StatusOK},
			{"a script of another page", "Sec-Fetch-Site", "cross-site", http.StatusForbidden},
			{"a page of a neighbour", "Sec-Fetch-Site", "same-site", http.StatusForbidden},
			{"fetch of another page", "Origin", "https://pages.example.org", http.StatusForbidden},
			{"a sandboxed frame", "Origin", "null", http.StatusForbidden},
			{"a rebound name", "Host", "rebound.example.org", http.StatusForbidden},
		} {
			answer := askAs(t, url, c.header, c.value)
			if answer.StatusCode != c.want {
				t.Errorf("%s at %s: status %d, want %d", c.name, url, answer.StatusCode, c.want)
			}
			if answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
				t.Errorf("%s at %s: headers %v", c.name, url, answer.Header)
			}
		}
	}
}

// askAs sends a GET with one more header.
func askAs(t *testing.T, url, header, value string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(header, value)
	if header == "Host" {
		r.Host = value
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer
}

// hungryReaders ask, sixteen at once, for more memory than there is, while
// webhooks come in. This took the sink's connections once, which ended the
// process.
func hungryReaders(t *testing.T, s *server, post func(*testing.T)) {
	const query = "SELECT count() FROM numbers(100000000000) a JOIN (SELECT number FROM numbers(12000000)) b ON a.number = b.number"
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 16 {
		readers.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.run.ClickHouse+"/", strings.NewReader(query))
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, answer.Body) // refused, or cut off at the end
				answer.Body.Close()
				if answer.StatusCode == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
			}
		})
	}
	for range 40 {
		post(t)
		select {
		case <-time.After(200 * time.Millisecond): // the load goes on for as long
		case <-s.done:
			t.Fatalf("the process ended\n%s", s.log)
		}
	}
	cancel()
	readers.Wait()
}
