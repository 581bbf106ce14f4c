package clickhouse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
)

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	e := openIn(t, dir)
	s := serveEngine(t, e)
	must(t, s, "CREATE FUNCTION half AS x -> intDiv(x, 2)")
	must(t, s, "CREATE TABLE t (a UInt64, h UInt64 DEFAULT half(a)) ENGINE = MergeTree ORDER BY a")
	must(t, s, "CREATE VIEW v AS SELECT a, half(h) AS q FROM t WHERE a >= {least:UInt64}")
	must(t, s, "CREATE MATERIALIZED VIEW mv (k UInt64, n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY k AS SELECT half(a) AS k, toUInt64(1) AS n FROM t")
	must(t, s, "INSERT INTO t (a) VALUES (8)")
	s.Close()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	e = openIn(t, dir)
	s = serveEngine(t, e)
	must(t, s, "INSERT INTO t (a) VALUES (20), (1)")
	if got := must(t, s, "SELECT * FROM v(least = 2) ORDER BY a"); got != "8\t2\n20\t5\n" {
		t.Errorf("after reopening the view gives %q", got)
	}
	if got := must(t, s, "SELECT k, sum(n) FROM mv GROUP BY k ORDER BY k"); got != "0\t1\n4\t1\n10\t1\n" {
		t.Errorf("after reopening the materialized view has %q", got)
	}
	if got := must(t, s, "SELECT half(9)"); got != "4\n" {
		t.Errorf("after reopening the function gives %q", got)
	}
}

func TestClosedEngine(t *testing.T) {
	e := openEngine(t)
	s := serveEngine(t, e)
	c := dial(t, e.ClientOptions(""))
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	if a := reader(t, s, "SELECT 1"); a.status != http.StatusServiceUnavailable || a.code() != "236" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("the client still gets answers")
	}
}

func TestOneEnginePerProcess(t *testing.T) {
	e := openEngine(t)
	if _, err := Open(t.Context(), Config{Dir: e.dir, Library: e.cfg.Library}); err == nil || !strings.Contains(err.Error(), "this process has it open already") {
		t.Errorf("the same folder again: %v", err)
	}
	if _, err := Open(t.Context(), Config{Dir: t.TempDir(), Library: e.cfg.Library}); err == nil || !strings.Contains(err.Error(), "one engine") {
		t.Errorf("another folder: %v", err)
	}
}

func TestFolderOfAnotherProcess(t *testing.T) {
	library, err := Locate("")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), "BLUETICK_TEST_HOLD_DIR="+dir, LibraryEnv+"="+library)
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "held: <nil>\n" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	want := fmt.Sprintf("process %d has it open", holder.Process.Pid)
	if _, err := Open(t.Context(), Config{Dir: dir, Library: library}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	// Killed, not closed: the lock goes with the process.
	_ = holder.Process.Kill()
	_ = holder.Wait()
	_ = stdin.Close()
	e, err := Open(t.Context(), Config{Dir: dir, Library: library})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	library, err := Locate("")
	if err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		cfg  Config
		want string
	}{
		"no library":     {t.Context(), Config{Dir: t.TempDir(), Library: filepath.Join(t.TempDir(), "no.so")}, "load ClickHouse library"},
		"other library":  {t.Context(), Config{Dir: t.TempDir(), Library: file}, "load ClickHouse library"},
		"dir is a file":  {t.Context(), Config{Dir: file, Library: library}, "not a directory"},
		"context at end": {cancelled, Config{Dir: t.TempDir(), Library: library}, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(c.ctx, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestCloseEndsRequests is invariant C5: a query without end, a result nobody reads and an insert whose data does
// not come must not keep Close from returning.
func TestCloseEndsRequests(t *testing.T) {
	e := openEngine(t)
	s := serveEngine(t, e)
	must(t, s, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	post := func(path string, body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(AdminUser, testPassword)
		return r
	}
	var clients sync.WaitGroup
	clients.Go(func() {
		if resp, err := s.Client().Do(post("/", strings.NewReader("SELECT count() FROM system.numbers"))); err == nil {
			_ = resp.Body.Close()
		}
	})
	data, feed := io.Pipe()
	clients.Go(func() {
		if resp, err := s.Client().Do(post("/?query=INSERT+INTO+t+FORMAT+TSV", data)); err == nil {
			_ = resp.Body.Close()
		}
	})
	if _, err := io.WriteString(feed, "1\n"); err != nil {
		t.Fatal(err)
	}
	unread, err := s.Client().Do(post("/", strings.NewReader("SELECT number FROM system.numbers")))
	if err != nil {
		t.Fatal(err)
	}
	inProcess, err := transport{e}.RoundTrip(post("/", strings.NewReader("SELECT number FROM system.numbers")))
	if err != nil {
		t.Fatal(err)
	}
	waitRunning(t, e, 5) // the four and the question
	closed := make(chan error)
	go func() { closed <- e.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close does not return")
	}
	_ = feed.Close()
	_ = unread.Body.Close()
	_ = inProcess.Body.Close()
	clients.Wait()
}

func waitRunning(t *testing.T, e *Engine, n int) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for range 500 {
		got, err := e.keeper.text("SELECT count() FROM system.processes")
		if err != nil {
			t.Fatal(err)
		}
		if got == fmt.Sprintf("%d\n", n) {
			return
		}
		<-poll.C
	}
	t.Fatalf("there are never %d queries at once", n)
}

func TestLimits(t *testing.T) {
	e := openEngine(t)
	e.limits.readerTime = 300 * time.Millisecond
	e.limits.slotWait = 50 * time.Millisecond
	e.limits.sqlBytes = 1000
	e.limits.bodyBytes = 5000
	e.limits.resultBytes = 100_000
	e.readerSlots = make(chan struct{}, 1)
	s := serveEngine(t, e)
	must(t, s, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")

	if a := reader(t, s, "SELECT count() FROM system.numbers"); a.code() != "159" || a.status != http.StatusRequestTimeout {
		t.Errorf("time of readers: %d %q", a.status, a.body)
	}
	e.readerSlots <- struct{}{}
	if a := reader(t, s, "SELECT 1"); a.code() != "202" || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("too many readers: %d %q", a.status, a.body)
	}
	if a := admin(t, s, "SELECT 1"); a.body != "1\n" {
		t.Errorf("readers keep the administrator out: %d %q", a.status, a.body)
	}
	<-e.readerSlots
	if a := reader(t, s, "SELECT '"+strings.Repeat("x", 1000)+"'"); a.code() != "62" {
		t.Errorf("text too long: %d %q", a.status, a.body)
	}
	if a := admin(t, s, "INSERT INTO t VALUES (1)"+strings.Repeat(",(1)", 1000)); a.status != http.StatusOK {
		t.Errorf("data behind the text: %d %q", a.status, a.body)
	}
	if a := admin(t, s, "INSERT INTO t VALUES (1)"+strings.Repeat(",(1)", 2000)); a.code() != "36" {
		t.Errorf("data too long: %d %q", a.status, a.body)
	}
	if got := must(t, s, "SELECT count() FROM t"); got != "1001\n" {
		t.Errorf("%q rows", got)
	}
	if a := reader(t, s, "SELECT number FROM numbers(100000) FORMAT JSON"); a.code() != "396" {
		t.Errorf("result too large: %d %.200q", a.status, a.body)
	}
}

func TestReaderMemory(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	a := reader(t, s, "SELECT length(groupArray(number)) FROM numbers(1000000000)")
	if a.code() != "241" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if a := reader(t, s, "SELECT 1"); a.body != "1\n" {
		t.Errorf("afterwards: %d %q", a.status, a.body)
	}
}

// TestStartStop opens and closes under load; goleak in TestMain looks for what stays behind.
func TestStartStop(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		e := openIn(t, dir)
		c, err := clickhousego.Open(e.ClientOptions(""))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS t (a UInt64) ENGINE = MergeTree ORDER BY a"); err != nil {
			t.Fatal(err)
		}
		var workers sync.WaitGroup
		acknowledged := make(chan uint64, 4)
		for range 4 {
			workers.Go(func() {
				var n uint64
				for {
					b, err := c.PrepareBatch(t.Context(), "INSERT INTO t")
					if err != nil {
						break
					}
					if errors.Join(b.Append(uint64(round)), b.Send()) != nil {
						break
					}
					if n++; n == 3 {
						acknowledged <- n
					}
				}
			})
		}
		for range 4 {
			<-acknowledged
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		workers.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	e := openIn(t, dir)
	got, err := e.keeper.text("SELECT count(), min(n) >= 12 FROM (SELECT a, count() AS n FROM t GROUP BY a)")
	if err != nil || got != "5\t1\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestKeepsRoom: the engine must stop before the disk is full, because it does
// not notice a write without room.
func TestKeepsRoom(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	want := fmt.Sprintf("%d\n", keepFree)
	if got := must(t, s, "SELECT keep_free_space FROM system.disks WHERE name = 'default'"); got != want {
		t.Errorf("keeps %q bytes free, want %q", got, want)
	}
}
