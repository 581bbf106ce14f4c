package clickhouse

import (
	"context"
	"strings"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	embedded "github.com/bluetick/bluetick/internal/embedded/clickhouse"
	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
)

func testNow() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// migrated returns a connection to a new, migrated database.
func migrated(t testing.TB, engine *embedded.Engine) driver.Conn {
	t.Helper()
	return chtest.Database(t, engine, func(ctx context.Context, options *ch.Options) error {
		_, err := Migrate(ctx, MigrateConfig{Options: options, Epoch: 1, Now: testNow()})
		return err
	})
}

func config(engine *embedded.Engine, ttl TTL) MigrateConfig {
	return MigrateConfig{Options: engine.ClientOptions("bluetick"), TTL: ttl, Epoch: 1, Now: testNow()}
}

func TestMigrate(t *testing.T) {
	engine := chtest.Open(t)
	applied, err := Migrate(t.Context(), config(engine, TTL{EventsDays: 400, DeadLettersDays: 90}))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Migrations(TTL{})
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) != len(all) {
		t.Fatalf("applied %v, want all %d", applied, len(all))
	}
	conn := migrated(t, engine) // again, with other TTLs
	if n := chtest.Value[uint64](t, conn, "SELECT count() FROM schema_migrations"); int(n) != len(all) {
		t.Errorf("recorded %d migrations, want %d once", n, len(all))
	}
	if days, err := TTLDays(t.Context(), conn, "events"); err != nil || days != 0 {
		t.Errorf("TTL of events is %d days after migrating with none (%v)", days, err)
	}
	if n := chtest.Value[int64](t, conn, "SELECT count() - uniqExact(metric, channel, tier, age, source) FROM benchmarks"); n != 0 {
		t.Errorf("%d benchmarks were inserted twice", n)
	}
	if n := chtest.Value[uint64](t, conn, "SELECT count() FROM epochs"); n != 1 {
		t.Errorf("%d epochs were activated", n)
	}

	t.Run("every table and column says what it means", func(t *testing.T) {
		for _, name := range chtest.Column[string](t, conn, `
			SELECT concat(table, '.', name) FROM system.columns WHERE database = 'bluetick' AND comment = ''
			UNION ALL SELECT name FROM system.tables WHERE database = 'bluetick' AND comment = ''`) {
			t.Errorf("%s has no comment", name)
		}
	})
	t.Run("no view but v_freshness asks for the time", func(t *testing.T) {
		for _, m := range all {
			for _, s := range m.Statements {
				if strings.Contains(s, "now(") || strings.Contains(s, "now64(") || strings.Contains(s, "today(") {
					t.Errorf("%s asks for the time", m.Name)
				}
			}
		}
	})
	t.Run("a changed migration is refused", func(t *testing.T) {
		if err := conn.Exec(t.Context(), "INSERT INTO schema_migrations (number, name, checksum) VALUES (1, 'x', 'other')"); err != nil {
			t.Fatal(err)
		}
		if _, err := Migrate(t.Context(), config(engine, TTL{})); err == nil || !strings.Contains(err.Error(), "migration 1") {
			t.Errorf("got %v", err)
		}
	})
}

// TestOldDigestsAreCleared: rows of builds that hashed without a key lose what
// they said, not only new rows.
func TestOldDigestsAreCleared(t *testing.T) {
	conn := migrated(t, chtest.Open(t))
	old := DeadLetters{{Letter: schemas.DeadLetter{Stage: "ingest", Source: "a", Reason: "r", Digest: schemas.Key{1}}, Size: 5}}
	if err := NewClient(conn).Insert(t.Context(), old, ""); err != nil {
		t.Fatal(err)
	}
	all, err := Migrations(TTL{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all[7].Statements {
		if err := conn.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if n := chtest.Value[uint64](t, conn, "SELECT count() FROM dead_letters WHERE digest = toFixedString('', 16) AND size = 5 AND stage = 'ingest'"); n != 1 {
		t.Errorf("%d rows without a digest, want the one", n)
	}
}

func TestAgree(t *testing.T) {
	all := []Migration{{Number: 1, Checksum: "a"}, {Number: 2, Checksum: "b"}}
	for name, c := range map[string]struct {
		recorded map[uint32]string
		want     string
	}{
		"new":     {nil, ""},
		"partly":  {map[uint32]string{1: "a"}, ""},
		"all":     {map[uint32]string{1: "a", 2: "b"}, ""},
		"changed": {map[uint32]string{1: "a", 2: "x"}, "migration 2 was applied with another text"},
		"newer":   {map[uint32]string{3: "c"}, "use a newer build"},
	} {
		t.Run(name, func(t *testing.T) {
			err := agree(all, c.recorded)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
