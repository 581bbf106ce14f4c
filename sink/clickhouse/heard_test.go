package clickhouse

import (
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
)

// testHeard goes on with fillPanes: complete to 10:31:30 of the second day.
func testHeard(t *testing.T, conn driver.Conn) {
	second := sentAt().Truncate(time.Minute).Add(24 * time.Hour) // when the second cohort was sent
	mark := chtest.Value[time.Time](t, conn, "SELECT assumeNotNull(complete_to) FROM v_watermark")
	rolling := func() string {
		t.Helper()
		return show(t, conn, "age heard",
			"(SELECT * FROM v_rolling(window = 60, age = 0) UNION ALL SELECT * FROM v_rolling(window = 60, age = 300) UNION ALL SELECT * FROM v_rolling(window = 60, age = 900)) "+
				"WHERE grouping = 'account' AND sent > 0 AND at > '2026-03-02 00:00:00' ORDER BY age")
	}
	report := func(source int32, version int64, newest time.Time, lags schemas.Lags) {
		t.Helper()
		insert(t, conn, Reports{{Epoch: 1, Source: source, Account: "acme", Version: version, Newest: schemas.InstantOf(newest), Lags: lags}})
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
		}
	}
	const all = "0 true\n300 true\n900 true"
	want("nothing known of the account", rolling(), all)

	report(0, 7, second.Add(8*time.Minute), schemas.Lags{150})
	report(1, 3, second.Add(2*time.Minute), schemas.Lags{0, 10})
	report(1, 2, second.Add(20*time.Minute), schemas.Lags{0, 90}) // an older word
	want("v_hearing", show(t, conn, "account newest in_time_from last_reports state", "v_hearing"), "acme 2026-03-02 10:08:00.000 60 160 in time")
	want("silent since before the cohort was 15 minutes old", rolling(), "0 true\n300 true\n900 false")
	report(0, 8, second.Add(16*time.Minute), schemas.Lags{3: 150})
	want("late", show(t, conn, "in_time_from last_reports state", "v_hearing"), "1800 160 in time")
	want("late by more than half of 15 minutes", rolling(), "0 true\n300 false\n900 false")
	report(0, 9, second.Add(16*time.Minute), schemas.Lags{12: 150})
	want("beyond every age", show(t, conn, "in_time_from state", "v_hearing"), "- always late")
	report(0, 10, second.Add(-7*time.Hour), schemas.Lags{150})
	report(1, 9, second.Add(-6*time.Hour), schemas.Lags{10})
	want("silent", show(t, conn, "state", "v_hearing"), "silent")
	report(0, 11, second.Add(30*time.Minute), schemas.Lags{150})
	want("reports again", rolling(), all)

	shut := func(source int32, version int64, from, to time.Time) {
		t.Helper()
		insert(t, conn, Progresses{{Progress: schemas.Progress{
			Epoch: 1, Stage: schemas.StageMessage, Source: source, Sources: 2, NextOffset: version, CompleteTo: schemas.InstantOf(mark),
			Shut: []schemas.Shutting{{From: schemas.InstantOf(from), To: schemas.InstantOf(to)}},
		}}})
	}
	shut(0, 100, second.Add(2*time.Minute), second.Add(4*time.Minute))
	shut(1, 100, second.Add(2*time.Minute), second.Add(4*time.Minute))
	want("v_shuttings", show(t, conn, "shut_from shut_to seconds", "v_shuttings"), "2026-03-02 10:02:00.000 2026-03-02 10:04:00.000 120")
	want("shut after the first minute", rolling(), "0 true\n300 false\n900 false")

	series := schemas.Series{Account: "acme", Grouping: schemas.GroupAccount}
	at := second.Unix()
	insert(t, conn, Rates{{Epoch: 1, Series: series, Window: 60, Age: 300, At: at, Version: 5, Unheard: true, Totals: schemas.Totals{Sent: 9}}})
	insert(t, conn, Progresses{{Progress: schemas.Progress{Epoch: 1, Stage: schemas.StageRollup, Sources: 1, NextOffset: 5, CompleteTo: schemas.InstantOf(mark)}}})
	want("not heard", show(t, conn, "heard sent", "rates FINAL WHERE grouping = 'account'"), "false 9")
	want("v_freshness", show(t, conn, "stage accounts_unheard", "v_freshness WHERE stage IN ('message', 'rollup') ORDER BY stage"), "message -\nrollup 1")
	insert(t, conn, Rates{{Epoch: 1, Series: series, Window: 60, Age: 300, At: at, Version: 8, Totals: schemas.Totals{Sent: 10}}})
	want("heard later", show(t, conn, "heard sent", "rates FINAL WHERE grouping = 'account'"), "true 10")
	want("v_freshness", show(t, conn, "accounts_unheard", "v_freshness WHERE stage = 'rollup'"), "0")

	insert(t, conn, Progresses{{Output: 1, Progress: schemas.Progress{Epoch: 1, Stage: schemas.StageMessage, Source: 1, Sources: 2, NextOffset: 5}}})
	want("a source that knows nothing yet", show(t, conn, "complete_to", "v_watermark"), "-")
	want("v_freshness", show(t, conn, "complete_to lag_seconds", "v_freshness WHERE stage = 'message'"), "- -")
}
