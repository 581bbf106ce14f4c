// Package chtest opens the embedded ClickHouse engine for tests of other packages.
package chtest

import (
	"testing"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse"
)

// Open opens an engine in a folder of its own and closes it when the test ends. A process can have one at a time:
// tests that use it must not run in parallel with each other, and packages that use it are tested with -p 1.
// Without the library the test is skipped with what to do about it.
func Open(t testing.TB) *clickhouse.Engine {
	t.Helper()
	library, err := clickhouse.Locate("")
	if err != nil {
		t.Skip(err)
	}
	engine, err := clickhouse.Open(t.Context(), clickhouse.Config{Dir: t.TempDir(), Library: library})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine
}
