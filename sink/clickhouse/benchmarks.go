package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/schemas"
)

// benchmark is a row of the table benchmarks.
type benchmark struct {
	schemas.Benchmark
	version uint64
}

// benchmarkKey is what names a row.
type benchmarkKey struct {
	metric, channel, tier, source string
	age                           uint32
}

func keyOf(b *schemas.Benchmark) benchmarkKey {
	return benchmarkKey{b.Metric, string(b.Channel), b.Tier, b.Source, b.Age}
}

func (b *benchmark) better() string {
	if b.LowerIsBetter {
		return "lower"
	}
	return "higher"
}

type benchmarks []benchmark

// Table implements Rows.
func (benchmarks) Table() string { return "benchmarks" }

// Len implements Rows.
func (r benchmarks) Len() int { return len(r) }

func (r benchmarks) columns() []column {
	return []column{
		col("metric", r, func(b *benchmark) string { return b.Metric }),
		col("channel", r, func(b *benchmark) string { return string(b.Channel) }),
		col("tier", r, func(b *benchmark) string { return b.Tier }),
		col("age", r, func(b *benchmark) uint32 { return b.Age }),
		col("value", r, func(b *benchmark) float64 { return b.Value }),
		col("low", r, func(b *benchmark) float64 { return b.Low }),
		col("high", r, func(b *benchmark) float64 { return b.High }),
		col("better", r, (*benchmark).better),
		col("source", r, func(b *benchmark) string { return b.Source }),
		col("kind", r, func(b *benchmark) string { return b.Kind }),
		col("as_of", r, func(b *benchmark) time.Time { return b.AsOf }),
		col("note", r, func(b *benchmark) string { return b.Note }),
		col("version", r, func(b *benchmark) uint64 { return b.version }),
	}
}

// loadBenchmarks inserts the rows that come with bluetick where they are
// missing or differ. Rows of operators stay as they are.
func loadBenchmarks(ctx context.Context, conn driver.Conn) error {
	shipped, err := schemas.LoadBenchmarks()
	if err != nil {
		return &Refusal{err}
	}
	present, err := presentBenchmarks(ctx, conn)
	if err != nil {
		return fmt.Errorf("read benchmarks: %w", err)
	}
	var changed benchmarks
	for _, b := range shipped {
		old, ok := present[keyOf(&b)]
		if b.AsOf = b.AsOf.UTC(); !ok || old.Benchmark != b {
			changed = append(changed, benchmark{b, old.version + 1})
		}
	}
	return NewClient(conn).Insert(ctx, changed, "")
}

func presentBenchmarks(ctx context.Context, conn driver.Conn) (map[benchmarkKey]benchmark, error) {
	rows, err := conn.Query(ctx, `SELECT metric, channel, tier, age, value, low, high, better = 'lower', source, kind, as_of, note, version FROM benchmarks FINAL`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	out := map[benchmarkKey]benchmark{}
	for rows.Next() {
		var b benchmark
		var channel string
		var lower uint8
		if err := rows.Scan(&b.Metric, &channel, &b.Tier, &b.Age, &b.Value, &b.Low, &b.High, &lower, &b.Source, &b.Kind, &b.AsOf, &b.Note, &b.version); err != nil {
			return nil, err
		}
		b.Channel, b.LowerIsBetter, b.AsOf = schemas.Channel(channel), lower == 1, b.AsOf.UTC()
		out[keyOf(&b.Benchmark)] = b
	}
	return out, rows.Err()
}
