package clickhouse

import (
	"context"
	"fmt"
	"testing"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

func BenchmarkSelectOne(b *testing.B) {
	e := openEngine(b)
	s := serveEngine(b, e)
	all := ways(e, s)
	for _, way := range []string{"in process", "socket plain"} {
		b.Run("way="+way, func(b *testing.B) {
			c := dial(b, all[way])
			for b.Loop() {
				if err := c.Ping(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInsert is one batch of a narrow table. known=true tells clickhouse-go the columns, so that it need not
// ask for them.
func BenchmarkInsert(b *testing.B) {
	e := openEngine(b)
	c := dial(b, e.ClientOptions(""))
	if err := c.Exec(b.Context(), "CREATE TABLE t (k UInt64, at DateTime64(3), name LowCardinality(String), hash FixedString(16)) ENGINE = ReplacingMergeTree ORDER BY k"); err != nil {
		b.Fatal(err)
	}
	columns := []clickhousego.ColumnNameAndType{
		{Name: "k", Type: "UInt64"},
		{Name: "at", Type: "DateTime64(3)"},
		{Name: "name", Type: "LowCardinality(String)"},
		{Name: "hash", Type: "FixedString(16)"},
	}
	for _, rows := range []int{1, 1000, 100_000} {
		for _, known := range []bool{false, true} {
			b.Run(fmt.Sprintf("rows=%d/known=%t", rows, known), func(b *testing.B) {
				ctx := b.Context()
				if known {
					ctx = clickhousego.Context(ctx, clickhousego.WithColumnNamesAndTypes(columns))
				}
				k := make([]uint64, rows)
				at := make([]int64, rows)
				name := make([]string, rows)
				hash := make([]string, rows)
				for i := range k {
					k[i], at[i], name[i], hash[i] = uint64(i), 1_760_000_000_000+int64(i), []string{"sent", "read"}[i%2], "0123456789abcdef"
				}
				for b.Loop() {
					insertColumns(ctx, b, c, k, at, name, hash)
				}
				b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

func insertColumns(ctx context.Context, b *testing.B, c driver.Conn, columns ...any) {
	batch, err := c.PrepareBatch(ctx, "INSERT INTO t (k, at, name, hash)")
	if err != nil {
		b.Fatal(err)
	}
	for i, column := range columns {
		if err := batch.Column(i).Append(column); err != nil {
			b.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		b.Fatal(err)
	}
}
