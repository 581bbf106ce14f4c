package chtest

import (
	"context"
	"testing"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse"
)

// Migrate makes the tables of the database that options name. It is a parameter because the package that migrates
// tests itself with this one.
type Migrate func(ctx context.Context, options *ch.Options) error

// Database migrates the database bluetick of an engine and connects to it. The connection is closed when the test
// ends; a second call migrates the same database again.
func Database(t testing.TB, engine *clickhouse.Engine, migrate Migrate) driver.Conn {
	t.Helper()
	options := engine.ClientOptions("bluetick")
	if err := migrate(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	conn, err := ch.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Truncate empties tables.
func Truncate(t testing.TB, conn driver.Conn, tables ...string) {
	t.Helper()
	for _, table := range tables {
		if err := conn.Exec(t.Context(), "TRUNCATE TABLE "+table); err != nil {
			t.Fatal(err)
		}
	}
}

// Value is the first column of a query's only row.
func Value[T any](t testing.TB, conn driver.Conn, query string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// Column is the only column of a query's rows, in their order.
func Column[T any](t testing.TB, conn driver.Conn, query string) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}
