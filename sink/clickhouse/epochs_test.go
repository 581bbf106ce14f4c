package clickhouse

import (
	"fmt"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
)

// TestEpochs: a hundred days of panes, of which a rebuild has counted the last 61
// anew. It counts from the first minute that it holds as a whole, day 70: no minute
// counts twice, none vanishes, in every view that shows panes, rates or alerts.
func TestEpochs(t *testing.T) {
	conn := migrated(t, chtest.Open(t))
	first := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	day := func(n int) int64 { return first.AddDate(0, 0, n).Unix() }
	series := schemas.Series{Account: "acme", Grouping: schemas.GroupAccount}
	counted := func(epoch uint32, n int, sent int64) {
		t.Helper()
		counts := schemas.Counts{Sent: sent}
		counts.Outcomes[schemas.OutcomeDelivered][0] = sent
		insert(t, conn,
			Panes{{Epoch: epoch, Minute: day(n), Version: 5, Tuple: schemas.Tuple{Account: "acme", Channel: schemas.ChannelWhatsApp, Campaign: "spring"}, Counts: counts}},
			Rates{{Epoch: epoch, Series: series, Window: 60, Age: 1800, At: day(n) + 60 + 1800, Version: 5, Totals: schemas.Totals{Sent: sent}}},
			Alerts{{Epoch: epoch, Rule: "r", Series: series, State: schemas.StateFiring, OpenedAt: day(n), At: day(n), N: sent, Version: 5}})
	}
	told := func(epoch uint32) {
		t.Helper()
		insert(t, conn, Progresses{{Progress: schemas.Progress{Epoch: epoch, Stage: schemas.StageMessage, Sources: 1, NextOffset: 9, CompleteTo: schemas.Instant(day(120) * 1000)}}})
	}
	for n := range 100 {
		counted(1, n, 10)
	}
	told(1)
	look := func(what string, days, sum int64) {
		t.Helper()
		for name, query := range map[string]string{
			"v_campaigns":    "SELECT sum(sent) FROM v_campaigns",
			"v_cohort_curve": "SELECT sum(sent) FROM v_cohort_curve WHERE age = 60",
			"v_rolling":      fmt.Sprintf("SELECT max(sent) FROM v_rolling(window = %d, age = 0) WHERE grouping = 'campaign'", 200*86400),
			"v_rates":        "SELECT sum(sent) FROM v_rates",
			"v_alerts":       "SELECT sum(denominator) FROM v_alerts",
		} {
			if got := chtest.Value[int64](t, conn, "SELECT toInt64(("+query+"))"); got != sum {
				t.Errorf("%s: %s shows %d, want %d", what, name, got, sum)
			}
		}
		if got := chtest.Value[uint64](t, conn, "SELECT count() FROM v_rates"); int64(got) != days {
			t.Errorf("%s: v_rates has %d rows, want %d", what, got, days)
		}
	}
	look("one epoch", 100, 1000)

	for n := 39; n < 100; n++ { // of its first days the log has a part alone
		sent := int64(11)
		if n < 70 {
			sent = 3
		}
		counted(2, n, sent)
	}
	told(2)
	look("while it is folded", 100, 1000)

	if err := conn.Exec(t.Context(), "INSERT INTO epochs (sequence, epoch, first_minute) VALUES (2, 2, ?)", time.Unix(day(70), 0).UTC()); err != nil {
		t.Fatal(err)
	}
	look("switched", 100, 70*10+30*11)
	if got := show(t, conn, "epoch since until", "v_epochs ORDER BY since"); got != "1 1970-01-01 00:00:00 2026-05-10 10:00:00\n2 2026-05-10 10:00:00 2106-02-07 06:28:15" {
		t.Errorf("v_epochs\n%s", got)
	}

	// The way back: the epoch before counts all again.
	if err := conn.Exec(t.Context(), "INSERT INTO epochs (sequence, epoch) VALUES (3, 1)"); err != nil {
		t.Fatal(err)
	}
	look("switched back", 100, 1000)

	// And one that the log holds from its beginning counts everything.
	for n := range 100 {
		counted(4, n, 12)
	}
	told(4)
	if err := conn.Exec(t.Context(), "INSERT INTO epochs (sequence, epoch) VALUES (4, 4)"); err != nil {
		t.Fatal(err)
	}
	look("all of it", 100, 1200)
}
