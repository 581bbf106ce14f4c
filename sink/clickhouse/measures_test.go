package clickhouse

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bluetick/bluetick/schemas"
)

func migration(t *testing.T, m measures, name string) string {
	t.Helper()
	text, err := schemas.Migrations().ReadFile("clickhouse/" + name)
	if err != nil {
		t.Fatal(err)
	}
	sql, err := renderWith(m, name, string(text), TTL{})
	if err != nil {
		t.Fatal(err)
	}
	return sql
}

// TestRenderedMigrations fixes what the lists of schemas render to: databases
// remember a digest of each migration and refuse a build that has another.
func TestRenderedMigrations(t *testing.T) {
	for name, want := range map[string]string{
		"0003_panes.sql": "1245f58c12605532e6b31f6bb2e58e13868acecdef05bb41936323ea91c29949",
		"0006_rates.sql": "fb79fde6cc44a50d1d5d841488166bfa668deeca26312230fe97df7dacf07081",
	} {
		sum := sha256.Sum256([]byte(migration(t, allMeasures(), name)))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s: digest %s, want %s: a migration that was released must not change, add one", name, got, want)
		}
	}
}

// TestTenthOutcome: one more row in the lists becomes a column of panes and rates,
// is in every sum of the views, and has a rate of its own.
func TestTenthOutcome(t *testing.T) {
	m := allMeasures()
	m.outcomes = append(m.outcomes, schemas.OutcomeInfo{Name: "converted", About: "Messages that led to a purchase", PaneField: 22, RateField: 18})
	tenth := schemas.Outcome(len(m.outcomes) - 1)
	m.rates = append(m.rates, schemas.Measure{Name: "conversion_rate", Numerator: tenth, Base: schemas.BaseDelivered})

	for name, wants := range map[string][]string{
		"0003_panes.sql": {
			"    converted   Array(Int64) COMMENT 'Messages that led to a purchase. Signed",
			"    converted Int64 COMMENT 'Messages that led to a purchase'",
			"    conversion_rate Nullable(Float64) DEFAULT converted / nullIf(delivered, 0)", "conversion_rate_low", "conversion_rate_high",
		},
		"0006_rates.sql": {
			"sum(arraySum(panes.converted)) AS n_converted", "n_converted AS converted", "s_converted", "r_converted AS converted",
			"'conversion_rate'", "converted / nullIf(delivered, 0) AS conversion_rate",
		},
	} {
		sql := migration(t, m, name)
		for _, want := range wants {
			if !strings.Contains(sql, want) {
				t.Errorf("%s: nothing like %q", name, want)
			}
		}
	}

	type row struct{ totals []int64 }
	rows := []row{{make([]int64, len(m.outcomes))}, {make([]int64, len(m.outcomes))}}
	rows[0].totals[tenth], rows[1].totals[tenth] = 5, 7
	cols := outcomeColumns(m.outcomes, rows, func(r *row, o int) int64 { return r.totals[o] })
	if got := cols[tenth]; len(cols) != len(m.outcomes) || got.name != "converted" || !cmp.Equal(got.values, any([]int64{5, 7})) {
		t.Errorf("columns %s, the last holds %v", names(cols), got.values)
	}
}

// TestColumnsFollowTheList: rows for ClickHouse carry each outcome under its
// own name.
func TestColumnsFollowTheList(t *testing.T) {
	pane, rate := schemas.Pane{}, schemas.Rate{}
	for o := range schemas.OutcomeCount {
		pane.Counts.Outcomes[o][0], rate.Totals.Outcomes[o] = int64(o)+1, int64(o)+1
	}
	for o, info := range schemas.OutcomeList() {
		found := 0
		for _, c := range append(Panes{pane}.columns(), Rates{rate}.columns()...) {
			if c.name != info.Name {
				continue
			}
			found++
			switch v := c.values.(type) {
			case [][]int64:
				if v[0][0] != int64(o)+1 {
					t.Errorf("%s of a pane: %v", c.name, v)
				}
			case []int64:
				if v[0] != int64(o)+1 {
					t.Errorf("%s of a rate: %v", c.name, v)
				}
			}
		}
		if found != 2 {
			t.Errorf("%s: %d columns, want one of panes and one of rates", info.Name, found)
		}
	}
}
