package audit

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

// logs is what the sink writes of where the logs end: those of events at the given
// offsets, of panes and rates at 1000 each.
func logs(events [partitions]int, told time.Time) clickhouse.Progresses {
	var out clickhouse.Progresses
	add := func(topic string, p int32, end int64) {
		out = append(out, clickhouse.Progress{Progress: schemas.Progress{
			Stage: schemas.StageLog + "/" + topic, Source: p, NextOffset: end, CompleteTo: schemas.InstantOf(told),
		}})
	}
	for p := range int32(partitions) {
		add(schemas.TopicEvents, p, int64(events[p]))
		add(panesTopic(), p, 1000)
		add(ratesTopic(), p, 1000)
	}
	return out
}

// TestUnexplained: rows that claim what no log holds are named and fail the
// audit; rows that are only newer than the sink's last report do not.
func TestUnexplained(t *testing.T) {
	conn := database(t)
	h := &history{rand: rand.New(rand.NewPCG(9, 1))}
	for n := range 200 {
		h.message(n)
	}
	end := h.end()
	account := "acme"
	tuple := schemas.Tuple{Account: account, Channel: schemas.ChannelWhatsApp, Campaign: "forged"}
	series := schemas.Series{Account: account, Grouping: schemas.GroupAccount}
	pane := func(source int32, version int) clickhouse.Panes {
		return clickhouse.Panes{{Epoch: epoch, Source: source, Minute: start().Unix(), Tuple: tuple, Version: int64(version), Counts: schemas.Counts{Sent: 1000}}}
	}
	said := func(stage string, source int32, next int64) clickhouse.Progresses {
		return clickhouse.Progresses{{Progress: schemas.Progress{Epoch: epoch, Stage: stage, Source: source, Sources: partitions, NextOffset: next}}}
	}
	const forever = 1 << 62
	for name, c := range map[string]struct {
		row clickhouse.Rows
		// grows is by how much the logs of events have grown when the sink looks.
		grows int
		// silent: no sink is running.
		silent bool
		want   string // begins the line of the row; "" for none
		left   uint64 // unjudged
	}{
		"nothing":                           {},
		"a pane past the log":               {row: pane(1, forever), want: "no log explains the row of panes: acme whatsapp \"forged\""},
		"a pane just past the log":          {row: pane(1, end[1]), want: "no log explains the row of panes"},
		"a pane of the last record":         {row: pane(1, end[1]-1)},
		"a pane of a partition that is not": {row: pane(partitions, 0), want: "no log explains the row of panes"},
		"a pane on its way":                 {row: pane(1, end[1]+4), grows: 5},
		"a pane on its way and none":        {row: pane(1, end[1]+5), grows: 5, want: "no log explains the row of panes"},
		"nobody says":                       {row: pane(1, end[1]), silent: true, left: 1},
		"progress past the log":             {row: said(schemas.StageMessage, 0, forever), want: "no log explains the row of progress: message"},
		"progress of everything":            {row: said(schemas.StageMessage, 0, int64(end[0]))},
		"progress on its way":               {row: said(schemas.StageMessage, 0, int64(end[0])+5), grows: 5},
		"progress of a source that is not":  {row: said(schemas.StageMessage, partitions, 1), want: "no log explains the row of progress: message"},
		"roll-up past the log":              {row: said(schemas.StageRollup, 0, 1001), want: "no log explains the row of progress: rollup"},
		"a position past the log":           {row: clickhouse.Progresses{{Progress: schemas.Progress{Stage: sink.Stage + "/" + ratesTopic(), NextOffset: 1001}}}, want: "no log explains the row of progress: sink/bluetick.rates"},
		"a rate past the log":               {row: clickhouse.Rates{{Epoch: epoch, Series: series, Window: 60, At: start().Unix(), Version: 1000}}, want: "no log explains the row of rates: of acme"},
		"a rate of the last record":         {row: clickhouse.Rates{{Epoch: epoch, Series: series, Window: 60, At: start().Unix(), Version: 999}}},
		"an alert past the log":             {row: clickhouse.Alerts{{Epoch: epoch, Rule: "r", Series: series, At: start().Unix(), Version: 2000}}, want: "no log explains the row of alerts: of acme"},
		"an alert of the last record":       {row: clickhouse.Alerts{{Epoch: epoch, Rule: "r", Series: series, At: start().Unix(), Version: 1999}}},
		"a row of another epoch":            {row: clickhouse.Panes{{Epoch: epoch + 1, Tuple: tuple, Version: forever}}},
	} {
		t.Run(name, func(t *testing.T) {
			reset(t, conn)
			for _, table := range []string{"rates", "alerts"} {
				if err := conn.Exec(t.Context(), "TRUNCATE TABLE "+table); err != nil {
					t.Fatal(err)
				}
			}
			h.insertEvents(t, conn)
			insert(t, conn, h.panes(end), progress(end, end), logs(end, start()))
			if c.row != nil {
				insert(t, conn, c.row)
			}
			told, now := start(), end
			for p := range now {
				now[p] += c.grows
			}
			r, err := audit(context.WithoutCancel(t.Context()), conn, Kept{EventsDays: eventsDays}, start().Add(60*24*time.Hour), func(context.Context) error {
				if !c.silent {
					told = told.Add(5 * time.Second)
					insert(t, conn, logs(now, told))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && (r.Unexplained != 0 || r.Unjudged != c.left) {
				t.Errorf("%d unexplained %v, %d unjudged, want %d", r.Unexplained, r.Forged, r.Unjudged, c.left)
			}
			if c.want != "" && (r.Unexplained != 1 || !strings.HasPrefix(r.Forged[0].String(), c.want)) {
				t.Errorf("%d unexplained %v, want %q", r.Unexplained, r.Forged, c.want)
			}
			if all := strings.Join(auditsOf(t, conn), "\n"); !strings.Contains(all, c.want) {
				t.Errorf("audits says %q", all)
			}
		})
	}
}
