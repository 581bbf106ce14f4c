package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// ways are the ways in which clickhouse-go reaches the engine.
func ways(e *Engine, s *httptest.Server) map[string]*clickhousego.Options {
	u, err := url.Parse(s.URL)
	if err != nil {
		panic(err)
	}
	socket := func(m clickhousego.CompressionMethod) *clickhousego.Options {
		return &clickhousego.Options{
			Protocol:    clickhousego.HTTP,
			Addr:        []string{u.Host},
			Auth:        clickhousego.Auth{Username: AdminUser, Password: testPassword},
			Compression: &clickhousego.Compression{Method: m},
		}
	}
	return map[string]*clickhousego.Options{
		"in process":   e.ClientOptions(""),
		"socket plain": socket(clickhousego.CompressionNone),
		"socket lz4":   socket(clickhousego.CompressionLZ4),
		"socket zstd":  socket(clickhousego.CompressionZSTD),
		"socket gzip":  socket(clickhousego.CompressionGZIP),
		"socket zlib":  socket(clickhousego.CompressionDeflate),
	}
}

// eachWay runs a test once per way, on one engine.
func eachWay(t *testing.T, f func(t *testing.T, opt *clickhousego.Options, table string)) {
	e := openEngine(t)
	s := serveEngine(t, e)
	n := 0
	for name, opt := range ways(e, s) {
		n++
		table := fmt.Sprintf("t%d", n)
		t.Run(name, func(t *testing.T) { f(t, opt, table) })
	}
}

func TestClientTypes(t *testing.T) {
	eachWay(t, func(t *testing.T, opt *clickhousego.Options, table string) {
		ctx := t.Context()
		c := dial(t, opt)
		if err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		v, err := c.ServerVersion()
		if err != nil || v.Revision != 0 || v.Version.Major < 26 || v.DisplayName != displayName {
			t.Fatalf("server %+v, %v", v, err)
		}
		ddl := `CREATE TABLE ` + table + ` (
			id UInt64, at DateTime64(3, 'UTC'), uid UUID, hash FixedString(16), name LowCardinality(String),
			tags Array(String), attrs Map(LowCardinality(String), String), code Nullable(Int32), price Decimal(18, 4),
			day Date, flag Bool, ratio Float64, state Enum8('a' = 1, 'b' = 2), nested Array(Nullable(String)),
			filled String DEFAULT concat('d', toString(id))
		) ENGINE = MergeTree ORDER BY id`
		if err := c.Exec(ctx, ddl); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)
		uid := uuid.MustParse("0d2f9b4e-7c11-4b9c-9f3a-6a5b4c3d2e1f")
		hash := "0123456789abcdef"
		seven, text := int32(7), "x"
		batch, err := c.PrepareBatch(ctx, "INSERT INTO "+table+" (id, at, uid, hash, name, tags, attrs, code, price, day, flag, ratio, state, nested)")
		if err != nil {
			t.Fatal(err)
		}
		const rows = 3000
		for i := range uint64(rows) {
			code := &seven
			if i%2 == 1 {
				code = nil
			}
			if err := batch.Append(i, at, uid, hash, fmt.Sprintf("n%d", i%3), []string{"a\n\nb", "c"}, map[string]string{"k": "v\t'"},
				code, decimal.RequireFromString("12.3456"), at, i%2 == 0, 0.5, "b", []*string{nil, &text}); err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}
		var (
			id     uint64
			gotAt  time.Time
			gotUID uuid.UUID
			gotH   string
			name   string
			tags   []string
			attrs  map[string]string
			code   *int32
			price  decimal.Decimal
			day    time.Time
			flag   bool
			ratio  float64
			state  string
			nested []*string
			filled string
		)
		got, err := c.Query(ctx, "SELECT * FROM "+table+" ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(0)
		for got.Next() {
			if err := got.Scan(&id, &gotAt, &gotUID, &gotH, &name, &tags, &attrs, &code, &price, &day, &flag, &ratio, &state, &nested, &filled); err != nil {
				t.Fatal(err)
			}
			ok := id == n && gotAt.Equal(at) && gotUID == uid && gotH == hash && name == fmt.Sprintf("n%d", n%3) &&
				reflect.DeepEqual(tags, []string{"a\n\nb", "c"}) && attrs["k"] == "v\t'" && (code == nil) == (n%2 == 1) &&
				price.String() == "12.3456" && day.Day() == 4 && flag == (n%2 == 0) && ratio == 0.5 && state == "b" &&
				len(nested) == 2 && nested[0] == nil && *nested[1] == "x" && filled == fmt.Sprintf("d%d", n)
			if !ok {
				t.Fatalf("row %d: %v %v %v %v %v %v %v %v %v %v %v %v %v %v %v", n, id, gotAt, gotUID, gotH, name, tags, attrs, code, price, day, flag, ratio, state, nested, filled)
			}
			n++
		}
		if err := got.Err(); err != nil || n != rows {
			t.Fatalf("%d rows, %v", n, err)
		}
	})
}

func TestClientColumnarAppend(t *testing.T) {
	eachWay(t, func(t *testing.T, opt *clickhousego.Options, table string) {
		ctx := t.Context()
		c := dial(t, opt)
		if err := c.Exec(ctx, "CREATE TABLE "+table+" (k UInt64, v LowCardinality(String), h FixedString(16)) ENGINE = MergeTree ORDER BY k"); err != nil {
			t.Fatal(err)
		}
		batch, err := c.PrepareBatch(ctx, "INSERT INTO "+table)
		if err != nil {
			t.Fatal(err)
		}
		const rows = 100_000
		keys, values, hashes := make([]uint64, rows), make([]string, rows), make([]string, rows)
		for i := range keys {
			keys[i], values[i], hashes[i] = uint64(i), []string{"x", "y"}[i%2], "0123456789abcdef"
		}
		for i, column := range []any{keys, values, hashes} {
			if err := batch.Column(i).Append(column); err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}
		var n, sum uint64
		if err := c.QueryRow(ctx, "SELECT count(), sum(k) FROM "+table+" WHERE h = '0123456789abcdef' AND v IN ('x', 'y')").Scan(&n, &sum); err != nil {
			t.Fatal(err)
		}
		if n != rows || sum != rows*(rows-1)/2 {
			t.Fatalf("%d rows, sum %d", n, sum)
		}
	})
}

func TestClientQueries(t *testing.T) {
	eachWay(t, func(t *testing.T, opt *clickhousego.Options, table string) {
		ctx := t.Context()
		c := dial(t, opt)
		var s string
		var list []string
		if err := c.QueryRow(ctx, "SELECT {s:String}, {l:Array(String)}",
			clickhousego.Named("s", "it's\ta\\b\nc"), clickhousego.Named("l", []string{"p'", "q"})).Scan(&s, &list); err != nil {
			t.Fatal(err)
		}
		if s != "it's\ta\\b\nc" || !reflect.DeepEqual(list, []string{"p'", "q"}) {
			t.Fatalf("params came back as %q %q", s, list)
		}
		var exc *clickhousego.Exception
		if err := c.Exec(ctx, "SELECT * FROM no_such_table"); !errors.As(err, &exc) || exc.Code != 60 || exc.CodeName != "UNKNOWN_TABLE" {
			t.Fatalf("missing table: %v", err)
		}
		if err := c.QueryRow(ctx, "SELECT 1 FROM").Scan(&s); !errors.As(err, &exc) || exc.Code != 62 {
			t.Fatalf("syntax error: %v", err)
		}
		if err := c.Exec(clickhousego.Context(ctx, clickhousego.WithSettings(clickhousego.Settings{"no_such_setting": 1})), "SELECT 1"); !errors.As(err, &exc) || exc.Code != 115 {
			t.Fatalf("unknown setting: %v", err)
		}
		// Several blocks, so the stream is read to its end.
		rows, err := c.Query(ctx, "SELECT number FROM numbers(300000)")
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(0)
		for rows.Next() {
			n++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 300_000 {
			t.Fatalf("%d rows, %v", n, err)
		}
		// An error behind the first blocks.
		rows, err = c.Query(ctx, "SELECT throwIf(number = 250000, 'boom') FROM numbers(300000) SETTINGS max_threads = 1")
		if err == nil {
			for rows.Next() {
				n--
			}
			err = rows.Err()
		}
		if !errors.As(err, &exc) || exc.Code != 395 {
			t.Fatalf("error in mid-stream: %v", err)
		}
		// Inline VALUES, as Exec sends them.
		if err := c.Exec(ctx, "CREATE TABLE "+table+" (a UInt32, b String) ENGINE = MergeTree ORDER BY a"); err != nil {
			t.Fatal(err)
		}
		if err := c.Exec(ctx, "INSERT INTO "+table+" VALUES (?, ?), (2, 'x\n\nDROP TABLE "+table+"')", 1, "y"); err != nil {
			t.Fatal(err)
		}
		if err := c.Exec(clickhousego.Context(ctx, clickhousego.WithAsync(true)), "INSERT INTO "+table+" VALUES (3, 'z')"); err != nil {
			t.Fatal(err)
		}
		var count uint64
		if err := c.QueryRow(ctx, "SELECT count() FROM "+table).Scan(&count); err != nil || count != 3 {
			t.Fatalf("%d rows, %v", count, err)
		}
	})
}

func TestClientDeduplicationToken(t *testing.T) {
	e := openEngine(t)
	c := dial(t, e.ClientOptions(""))
	ctx := t.Context()
	if err := c.Exec(ctx, "CREATE TABLE d (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"); err != nil {
		t.Fatal(err)
	}
	insert := func(token string, value uint64) {
		t.Helper()
		b, err := c.PrepareBatch(clickhousego.Context(ctx, clickhousego.WithSettings(clickhousego.Settings{"insert_deduplication_token": token})), "INSERT INTO d")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Append(value), b.Send()); err != nil {
			t.Fatal(err)
		}
	}
	insert("one", 1)
	insert("one", 1)
	insert("two", 1)
	var n uint64
	if err := c.QueryRow(ctx, "SELECT count() FROM d").Scan(&n); err != nil || n != 2 {
		t.Fatalf("%d rows, %v", n, err)
	}
}

func TestClientCancel(t *testing.T) {
	e := openEngine(t)
	s := serveEngine(t, e)
	for name, opt := range ways(e, s) {
		t.Run(name, func(t *testing.T) {
			c := dial(t, opt)
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			// A materialised query (never a byte before its end) and a streamed one whose rows nobody reads.
			for _, sql := range []string{
				"SELECT sum(sleepEachRow(0.05)) FROM numbers(100000) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0",
				"SELECT number FROM system.numbers",
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				rows, err := c.Query(ctx, sql)
				if err == nil {
					for rows.Next() {
						continue
					}
					err = rows.Err()
				}
				cancel()
				if err == nil {
					t.Fatalf("%s: no error", sql)
				}
			}
			waitIdle(t, e)
		})
	}
}

// waitIdle polls until the engine runs nothing but the question itself. The killer repeats until it succeeds.
func waitIdle(t *testing.T, e *Engine) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for range 500 {
		n, err := e.keeper.text("SELECT count() FROM system.processes")
		if err != nil {
			t.Fatal(err)
		}
		if n == "1\n" {
			return
		}
		<-poll.C
	}
	t.Fatal("queries still run after their clients left")
}
