package clickhouse

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.uber.org/goleak"
)

const testPassword = "correct horse"

func TestMain(m *testing.M) {
	if dir := os.Getenv("BLUETICK_TEST_HOLD_DIR"); dir != "" {
		holdDir(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// openEngine opens an engine in a fresh folder for one test.
func openEngine(t testing.TB) *Engine {
	t.Helper()
	return openIn(t, t.TempDir())
}

func openIn(t testing.TB, dir string) *Engine {
	t.Helper()
	library, err := Locate("")
	if err != nil {
		t.Skip(err)
	}
	e, err := Open(t.Context(), Config{Dir: dir, Library: library, AdminPassword: testPassword, MaxMemoryBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// serveEngine puts the handler behind a real socket.
func serveEngine(t testing.TB, e *Engine) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(e.Handler())
	t.Cleanup(s.Close)
	return s
}

// dial opens clickhouse-go with the given options.
func dial(t testing.TB, opt *clickhousego.Options) driver.Conn {
	t.Helper()
	c, err := clickhousego.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// answer is what a plain HTTP client sees.
type answer struct {
	status int
	body   string
	header http.Header
}

func (a answer) code() string { return a.header.Get("X-ClickHouse-Exception-Code") }

// as posts a statement as a user, with parameters name, value, name, value, …
func as(t testing.TB, s *httptest.Server, user, password, sql string, params ...string) answer {
	t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/?"+v.Encode(), strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	return do(t, s, r)
}

func do(t testing.TB, s *httptest.Server, r *http.Request) answer {
	t.Helper()
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, string(b), resp.Header}
}

func admin(t testing.TB, s *httptest.Server, sql string, params ...string) answer {
	t.Helper()
	return as(t, s, AdminUser, testPassword, sql, params...)
}

// must is admin for statements that have to work.
func must(t testing.TB, s *httptest.Server, sql string, params ...string) string {
	t.Helper()
	a := admin(t, s, sql, params...)
	if a.status != http.StatusOK {
		t.Fatalf("%s\n%d %s", sql, a.status, a.body)
	}
	return a.body
}

func reader(t testing.TB, s *httptest.Server, sql string, params ...string) answer {
	t.Helper()
	return as(t, s, "", "", sql, params...)
}

// holdDir is the second process of the lock test: it opens the folder, reports that and waits to be killed.
func holdDir(dir string) {
	library, err := Locate("")
	if err == nil {
		_, err = Open(context.Background(), Config{Dir: dir, Library: library})
	}
	fmt.Println("held:", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
