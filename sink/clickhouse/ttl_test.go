package clickhouse

import (
	"testing"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
)

// TestTTLsOfFolds: panes and rates lose the days past their TTL and no others, and
// the TTL can be changed and removed.
func TestTTLsOfFolds(t *testing.T) {
	engine := chtest.Open(t)
	conn := migrated(t, engine)
	now := chtest.Value[uint32](t, conn, "SELECT toUnixTimestamp(now())")
	const day = 24 * 3600
	ago := func(days int64) int64 { return int64(now)/60*60 - days*day }
	ttlOf := func(table string) int {
		days, err := TTLDays(t.Context(), conn, table)
		if err != nil {
			t.Fatal(err)
		}
		return days
	}
	migrate := func(ttl TTL) {
		if _, err := Migrate(t.Context(), config(engine, ttl)); err != nil {
			t.Fatal(err)
		}
		if p, r := ttlOf("panes"), ttlOf("rates"); p != ttl.PanesDays || r != ttl.RatesDays {
			t.Errorf("TTLs are %d and %d days, want %+v", p, r, ttl)
		}
	}
	fill := func(round int64) { // a new version each round, or they are dropped as repeats
		for _, days := range []int64{5, 100, 500} {
			insert(t, conn,
				Panes{{Epoch: 1, Version: round, Minute: ago(days), Tuple: schemas.Tuple{Account: "a", Channel: "c"}, Counts: schemas.Counts{Sent: 1}}},
				Rates{{Epoch: 1, Version: round, At: ago(days), Window: 60, Series: schemas.Series{Account: "a", Grouping: schemas.GroupAccount}, Totals: schemas.Totals{Sent: 1}}})
		}
	}
	rest := func() [2]uint64 {
		for _, table := range []string{"panes", "rates"} {
			if err := conn.Exec(t.Context(), "OPTIMIZE TABLE "+table+" FINAL"); err != nil {
				t.Fatal(err)
			}
		}
		return [2]uint64{
			chtest.Value[uint64](t, conn, "SELECT toUInt64(sum(sent)) FROM v_campaigns"), chtest.Value[uint64](t, conn, "SELECT count() FROM rates FINAL"),
		}
	}
	for round, c := range []struct {
		name string
		ttl  TTL
		want [2]uint64
	}{
		{"kept for ever", TTL{}, [2]uint64{3, 3}},
		{"as shipped", TTL{PanesDays: 400, RatesDays: 90}, [2]uint64{2, 1}},
		{"shorter", TTL{PanesDays: 50, RatesDays: 2}, [2]uint64{1, 0}},
		{"taken away", TTL{}, [2]uint64{3, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			migrate(c.ttl)
			fill(int64(round))
			if got := rest(); got != c.want {
				t.Errorf("%v panes and rates are left, want %v", got, c.want)
			}
		})
	}
}
