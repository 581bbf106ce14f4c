package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
)

// hungryQuery builds a hash table of 12 million rows, several hundred megabytes, and would then run for minutes.
const hungryQuery = "SELECT count() FROM numbers(100000000000) a JOIN (SELECT number FROM numbers(12000000)) b ON a.number = b.number"

// TestHungryReaders: readers in a loop, each asking for more memory than there is, take neither a connection nor
// an insert from the pipeline, and the engine stays within its limit.
func TestHungryReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("ten seconds of queries")
	}
	e := openEngine(t)
	s := serveEngine(t, e)
	must(t, s, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	sink := dial(t, e.ClientOptions(""))

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var asked, refused atomic.Int64
	var readers sync.WaitGroup
	for range 16 {
		readers.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/", strings.NewReader(hungryQuery))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := s.Client().Do(r)
				if err != nil {
					return // the time is up
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				asked.Add(1)
				if resp.StatusCode == http.StatusServiceUnavailable {
					refused.Add(1)
					if resp.Header.Get("Retry-After") == "" {
						t.Error("503 without Retry-After")
					}
				}
			}
		})
	}
	inserted := insertUntil(ctx, t, sink)
	readers.Wait()
	t.Logf("%d queries of readers, %d refused; %d inserts; at most %d MiB of memory", asked.Load(), refused.Load(), inserted, peakMemory(t)>>20)
	if inserted < 20 {
		t.Errorf("only %d inserts came through", inserted)
	}
	if got := must(t, s, "SELECT count() FROM t"); got != fmt.Sprintf("%d\n", 1000*inserted) {
		t.Errorf("%q rows of %d inserts", got, inserted)
	}
	// The limit, and what the process is without a query: the library itself (150 MiB), Go, caches.
	if peak := peakMemory(t); peak > e.cfg.MaxMemoryBytes+(400<<20) {
		t.Errorf("%d MiB of memory with a limit of %d MiB", peak>>20, e.cfg.MaxMemoryBytes>>20)
	}
}

// insertUntil inserts as the sink does and returns how often. No insert may fail.
func insertUntil(ctx context.Context, t *testing.T, sink clickhousego.Conn) (inserted int) {
	rows := make([]uint64, 1000)
	for ctx.Err() == nil {
		batch, err := sink.PrepareBatch(t.Context(), "INSERT INTO t")
		if err == nil {
			err = errors.Join(batch.Column(0).Append(rows), batch.Send())
		}
		if err != nil {
			t.Errorf("insert %d: %v", inserted, err)
			return inserted
		}
		inserted++
	}
	return inserted
}

// TestReadersWait: a reader that finds no place waits for one; where too many wait, the next is told at once.
func TestReadersWait(t *testing.T) {
	e := openEngine(t)
	e.readerSlots = make(chan struct{}, 1)
	e.readerChairs = make(chan struct{}, 1)
	s := serveEngine(t, e)
	e.readerSlots <- struct{}{}
	waiting := make(chan answer, 1)
	go func() { waiting <- reader(t, s, "SELECT 'waited'") }()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for len(e.readerChairs) == 0 {
		<-poll.C
	}
	if a := reader(t, s, "SELECT 1"); a.status != http.StatusServiceUnavailable || a.code() != "202" || a.header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %q", a.status, a.body)
	}
	if a := admin(t, s, "SELECT 1"); a.body != "1\n" {
		t.Errorf("readers keep the administrator out: %d %q", a.status, a.body)
	}
	<-e.readerSlots
	if a := <-waiting; a.body != "waited\n" {
		t.Errorf("the one that waits: %d %q", a.status, a.body)
	}
}

// TestSlowReader: a statement that does not arrive keeps no place from others and is given up.
func TestSlowReader(t *testing.T) {
	e := openEngine(t)
	e.limits.slotWait = 300 * time.Millisecond
	e.readerSlots = make(chan struct{}, 1)
	s := serveEngine(t, e)
	body, feed := io.Pipe()
	defer feed.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	slow := make(chan string, 1)
	go func() {
		resp, err := s.Client().Do(r)
		if err != nil {
			slow <- err.Error()
			return
		}
		resp.Body.Close()
		slow <- resp.Status
	}()
	if _, err := io.WriteString(feed, "SELECT "); err != nil { // it is inside now
		t.Fatal(err)
	}
	if a := reader(t, s, "SELECT 1"); a.body != "1\n" {
		t.Errorf("another reader meanwhile: %d %q", a.status, a.body)
	}
	if got := <-slow; !strings.HasPrefix(got, "408") {
		t.Errorf("the slow one: %s", got)
	}
}

// TestPooledConnections is invariant C2 on connections that are kept: nothing of a request is seen by the next.
func TestPooledConnections(t *testing.T) {
	e := openEngine(t)
	s := serveEngine(t, e)
	must(t, s, "CREATE DATABASE other")
	must(t, s, "CREATE TABLE other.t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for len(e.pool.mu.idle) > 1 { // all requests on one connection
		c, err := e.pool.take(e.connect)
		if err != nil {
			t.Fatal(err)
		}
		c.close()
	}
	const state = "SELECT currentDatabase(), getSetting('max_block_size') = 7, getSetting('max_threads') = 1"
	for i, step := range []struct {
		sql    string
		params []string
		want   string
	}{
		{state, []string{"database", "other", "max_block_size", "7"}, "other\t1\t0\n"},
		{state, nil, "default\t0\t0\n"},
		{"INSERT INTO t VALUES (1)", []string{"database", "other", "max_threads", "1"}, ""},
		{state, nil, "default\t0\t0\n"},
		{"SELECT 1", []string{"no_such_setting", "1"}, "115"},
		{"SELECT 1", []string{"database", "nowhere"}, "81"},
		{"SELECT nonsense", nil, "47"},
		{"SET max_threads = 1", nil, ""},
		{"USE other", nil, ""},
		{"CREATE TEMPORARY TABLE left_behind (a UInt8)", nil, ""},
		{"SELECT * FROM left_behind", nil, "60"},
		{"INSERT INTO other.t VALUES ('no number')", nil, "6"},
		{state, []string{"max_threads", "1"}, "default\t0\t1\n"},
		{state, nil, "default\t0\t0\n"},
		{"SELECT count() FROM t", []string{"database", "other"}, "1\n"},
	} {
		a := admin(t, s, step.sql, step.params...)
		if a.status == http.StatusOK && a.body != step.want || a.status != http.StatusOK && a.code() != step.want {
			t.Errorf("step %d, %s %v: %d %q, want %q", i, step.sql, step.params, a.status, a.body, step.want)
		}
	}
	if n := len(e.pool.mu.idle); n != 1 {
		t.Errorf("%d connections are kept", n)
	}
}

func TestReadersDefaults(t *testing.T) {
	const gib = 1 << 30
	for name, c := range map[string]struct {
		in      Readers
		engine  int64
		want    Readers
		refused bool
	}{
		"usual":      {Readers{}, 2 * gib, Readers{4, gib, 5 * time.Minute}, false},
		"small":      {Readers{}, 256 << 20, Readers{2, 128 << 20, 5 * time.Minute}, false},
		"tiny":       {Readers{}, 64 << 20, Readers{1, 32 << 20, 5 * time.Minute}, false},
		"own":        {Readers{2, gib, time.Second}, 2 * gib, Readers{2, gib, time.Second}, false},
		"all of it":  {Readers{MemoryBytes: 2 * gib}, 2 * gib, Readers{}, true},
		"too little": {Readers{Concurrency: 100}, 2 * gib, Readers{}, true},
		"crowd":      {Readers{Concurrency: 1000, MemoryBytes: gib}, 2 * gib, Readers{}, true},
		"less time":  {Readers{Time: -1}, 2 * gib, Readers{}, true},
		"no readers": {Readers{Concurrency: -1}, 2 * gib, Readers{}, true},
	} {
		got, err := c.in.withDefaults(c.engine)
		if got != c.want || (err != nil) != c.refused {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for in, want := range map[string]string{"1": "1", "16": "16", "1000": "16", "0": "16", "many": "many", "-1": "-1"} {
		if got := atMostThreads(in); got != want {
			t.Errorf("max_threads %s becomes %s", in, got)
		}
	}
}

// TestNoConnection: an engine that gives no connection is short of something; the client shall come again.
func TestNoConnection(t *testing.T) {
	got := asException(fmt.Errorf("open: %w", errNoConn))
	if got.code != codeNoConnection || got.status() != http.StatusServiceUnavailable {
		t.Errorf("%d %d", got.code, got.status())
	}
}

// peakMemory is the largest resident size this process has had.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc to read the memory from")
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
