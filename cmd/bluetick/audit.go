package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/cmd/bluetick/internal/pipeline"
	"github.com/bluetick/bluetick/internal/audit"
	"github.com/bluetick/bluetick/internal/terminal"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

// auditCmd compares panes with v_messages.
type auditCmd struct {
	settings
	JSON bool `name:"json" help:"The report as JSON."`
}

// Help is shown below the flags.
func (auditCmd) Help() string {
	return `Every number in panes, which the folds have built record by record, is compared
with v_messages, which ClickHouse computes from events in SQL alone. What is still
on its way is left out on both sides and counted, and so are minutes that an epoch
before a rebuild still counts: the last line names the first one compared. Rows that claim records past the
end of the log are named: nothing of bluetick wrote them. Exit 0 if all agree, 1 on
any difference or such a row, 2 if it could not compare: no connection, no epoch,
rows that only a running sink can tell from those on their way, any other error.
Works while bluetick runs on the data folder and when it does not.`
}

// Run executes the command.
func (c *auditCmd) Run(ctx context.Context) error {
	var report audit.Report
	err := c.asking(ctx, func(conn driver.Conn) error {
		var kept audit.Kept
		var err error
		if kept.EventsDays, err = clickhouse.TTLDays(ctx, conn, "events"); err == nil {
			kept.PanesDays, err = clickhouse.TTLDays(ctx, conn, "panes")
		}
		if err == nil {
			tellBrokenParts(ctx, os.Stderr, conn)
			report, err = audit.Run(ctx, conn, kept, pipeline.Wall())
		}
		return pipeline.Remedy(err)
	})
	if err != nil {
		return unanswered{err}
	}
	return c.tell(os.Stdout, &report)
}

// tellBrokenParts names what explains differences best.
func tellBrokenParts(ctx context.Context, w io.Writer, conn driver.Conn) {
	parts, err := clickhouse.BrokenParts(ctx, conn)
	if err != nil {
		fmt.Fprintln(w, "audit: whether ClickHouse has left out damaged parts is not known:", terminal.Clean(err.Error()))
	}
	for _, part := range parts {
		fmt.Fprintf(w, "audit: ClickHouse has left out the damaged part %s; see docs/runbook.md, \"A part of ClickHouse is damaged\"\n", terminal.Clean(part.String()))
	}
}

// tell prints the report; its error decides how the process ends.
func (c *auditCmd) tell(w io.Writer, r *audit.Report) error {
	if c.JSON {
		enc := json.NewEncoder(terminal.JSONWriter{W: w})
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return unanswered{fmt.Errorf("print the report: %w", err)}
		}
	} else {
		printAudit(w, r)
	}
	switch {
	case r.Differences > 0 || r.Unexplained > 0:
		return errQuiet
	case r.Unjudged > 0:
		return unanswered{fmt.Errorf("%d rows are newer than what is known of the log: on their way, or of no log; "+
			"start bluetick (or its sink) and audit again", r.Unjudged)}
	}
	return nil
}

func printAudit(w io.Writer, r *audit.Report) {
	for _, d := range r.Examples {
		fmt.Fprintln(w, terminal.Clean(d.String()))
	}
	for _, u := range r.Forged {
		fmt.Fprintln(w, terminal.Clean(u.String()))
	}
	if r.Unexplained > 0 {
		fmt.Fprintf(w, "audit: %d rows that no log explains; see who may write to the topics (docs/runbook.md)\n", r.Unexplained)
	}
	since := ""
	if r.Since.Unix() > 0 {
		since = " since " + r.Since.UTC().Format("2006-01-02 15:04")
	}
	fmt.Fprintf(w, "audit: %d differences in %d panes (epoch %d%s; left out: %d still on their way, %d of forgotten messages, %d past the TTL)\n",
		r.Differences, r.Compared, r.Epoch, since, r.LeftOut, r.Relapsed, r.Expired)
}
