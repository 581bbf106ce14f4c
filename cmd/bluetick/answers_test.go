package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/audit"
	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/internal/topics"
	sinkch "github.com/bluetick/bluetick/sink/clickhouse"
)

func connection(t *testing.T) driver.Conn {
	t.Helper()
	conn, err := sinkch.Connect(t.Context(), chtest.Open(t).ClientOptions("default"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// TestAsk asks a real engine and looks at what a person would read.
func TestAsk(t *testing.T) {
	conn := connection(t)
	for name, c := range map[string]struct{ query, format, want string }{
		"a table": {
			"SELECT campaign, n, rate FROM (SELECT 'spring' AS campaign, 7 AS n, 0.25 AS rate UNION ALL SELECT 'x', 12345, 1) ORDER BY n", "table",
			"campaign  n      rate\nspring    7      0.25\nx         12345  1\n",
		},
		"tabs":            {"SELECT 'a\\tb' AS t, NULL AS nothing", "tsv", "t\tnothing\na\\tb\tNULL\n"},
		"JSON":            {"SELECT 'a' AS t, toInt64(7) AS n, toFloat64(nan) AS x", "json", `{"n":7,"t":"a","x":null}` + "\n"},
		"a key":           {"SELECT toFixedString('0123456789abcdef', 16) AS k", "tsv", "k\n30313233343536373839616263646566\n"},
		"an instant":      {"SELECT toDateTime64('2026-02-03 04:05:06.700', 3, 'UTC') AS at", "tsv", "at\n2026-02-03 04:05:06.7\n"},
		"a nullable date": {"SELECT CAST('2026-02-03', 'Nullable(Date)') AS d", "tsv", "d\n2026-02-03\n"},
		"a comment first": {"-- how many\nSELECT 1 AS n", "tsv", "n\n1\n"},
	} {
		var out bytes.Buffer
		if err := ask(t.Context(), conn, c.query, layout{format: c.format}, &out); err != nil || out.String() != c.want {
			t.Errorf("%s: %q, %v; want %q", name, &out, err, c.want)
		}
	}
}

// TestForeignText: text that somebody else wrote cannot act on the terminal, and
// is no formula where that is asked for; a file gets it as it is.
func TestForeignText(t *testing.T) {
	conn := connection(t)
	const query = "SELECT '=1+1' AS a, concat('x', char(27), '[2J', char(0xe2, 0x80, 0xae), 'y') AS b, -2 AS n, NULL AS nothing, ['=1'] AS list"
	for name, c := range map[string]struct {
		how  layout
		want string
	}{
		"a table":           {layout{format: "table"}, "a     b                n   nothing  list\n=1+1  x\\x1b[2J\\u202ey  -2  NULL     [=1]\n"},
		"tsv on a terminal": {layout{format: "tsv", shown: true}, "a\tb\tn\tnothing\tlist\n=1+1\tx\\x1b[2J\\u202ey\t-2\tNULL\t[=1]\n"},
		"tsv in a file":     {layout{format: "tsv"}, "a\tb\tn\tnothing\tlist\n=1+1\tx\x1b[2J\u202ey\t-2\tNULL\t[=1]\n"},
		"json":              {layout{format: "json"}, `{"a":"=1+1","b":"x\u001b[2J\u202ey","list":["=1"],"n":-2,"nothing":null}` + "\n"},
		"csv":               {layout{format: "csv"}, "a,b,n,nothing,list\n=1+1,x\x1b[2J\u202ey,-2,,[=1]\n"},
		"safe csv":          {layout{format: "csv", safe: true}, "a,b,n,nothing,list\n'=1+1,x\x1b[2J\u202ey,-2,,[=1]\n"},
	} {
		var out bytes.Buffer
		if err := ask(t.Context(), conn, query, c.how, &out); err != nil || out.String() != c.want {
			t.Errorf("%s: %q, %v; want %q", name, &out, err, c.want)
		}
	}
}

// TestAskWithoutAnAnswer: a statement that returns no rows is done and prints
// nothing.
func TestAskWithoutAnAnswer(t *testing.T) {
	conn := connection(t)
	var out bytes.Buffer
	for _, query := range []string{
		"CREATE TABLE things (n Int64) ENGINE = MergeTree ORDER BY n", "INSERT INTO things SELECT number FROM numbers(3)",
	} {
		if err := ask(t.Context(), conn, query, layout{format: "table"}, &out); err != nil || out.Len() > 0 {
			t.Fatalf("%s: %q, %v", query, &out, err)
		}
	}
	if err := ask(t.Context(), conn, "SELECT count() AS n FROM things", layout{format: "tsv"}, &out); err != nil || out.String() != "n\n3\n" {
		t.Errorf("%q, %v", &out, err)
	}
	for _, query := range []string{"SELECT nothing", "SELEC 1", "SELECT * FROM no_such_table"} {
		if err := ask(t.Context(), conn, query, layout{format: "table"}, &out); err == nil {
			t.Errorf("%s: no error", query)
		}
	}
}

func TestAuditLines(t *testing.T) {
	var out bytes.Buffer
	printAudit(&out, &audit.Report{Compared: 7, Differences: 2, Epoch: 1, LeftOut: 3, Relapsed: 4, Expired: 5})
	want := "audit: 2 differences in 7 panes (epoch 1; left out: 3 still on their way, 4 of forgotten messages, 5 past the TTL)\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want %q", &out, want)
	}
	out.Reset()
	printAudit(&out, &audit.Report{Epoch: 2, Since: time.Date(2026, 3, 1, 9, 1, 0, 0, time.UTC)})
	if want := "panes (epoch 2 since 2026-03-01 09:01; "; !strings.Contains(out.String(), want) {
		t.Errorf("got %q, want %q in it", &out, want)
	}
}

// TestAuditExit: a script can tell "they differ" from "nothing was compared".
func TestAuditExit(t *testing.T) {
	dsn := "clickhouse://127.0.0.1:" + closedPort(t)
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"all agree":          {(&auditCmd{}).tell(io.Discard, &audit.Report{Compared: 7}), 0},
		"all agree, JSON":    {(&auditCmd{JSON: true}).tell(io.Discard, &audit.Report{Compared: 7}), 0},
		"a difference":       {(&auditCmd{}).tell(io.Discard, &audit.Report{Differences: 1}), 1},
		"a forged row":       {(&auditCmd{}).tell(io.Discard, &audit.Report{Unexplained: 1, Unjudged: 1}), 1},
		"nobody can say":     {(&auditCmd{}).tell(io.Discard, &audit.Report{Unjudged: 1}), 2},
		"a difference, JSON": {(&auditCmd{JSON: true}).tell(io.Discard, &audit.Report{Differences: 1}), 1},
		"no connection":      {(&auditCmd{settings: settings{ClickhouseDSN: dsn}}).Run(t.Context()), 2},
		"a wrong setting":    {(&auditCmd{settings: settings{ClickhouseDSN: "nonsense://"}}).Run(t.Context()), 2},
		"nobody reads it":    {(&auditCmd{JSON: true}).tell(closedPipe(t), &audit.Report{}), 2},
		"another command":    {errors.New("of any kind"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(c.err); got != c.want {
				t.Errorf("exit code %d after %v, want %d", got, c.err, c.want)
			}
		})
	}
}

// closedPort is a port on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	return port
}

func closedPipe(t *testing.T) io.Writer {
	t.Helper()
	r, w := io.Pipe()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTopicsLines(t *testing.T) {
	var out bytes.Buffer
	report := topics.Report{Topics: []topics.State{
		{Name: "bluetick.events", Partitions: 4, Replicas: 3, Created: true}, {Name: "bluetick.raw", Partitions: 12, Replicas: 1},
	}}
	want := "topic            partitions  replicas  state\n" +
		"bluetick.events  4           3         created\n" +
		"bluetick.raw     12          1         there\n"
	if err := writeTopics(&out, report); err != nil || out.String() != want {
		t.Errorf("got\n%s\nwant\n%s\n%v", &out, want, err)
	}
}
