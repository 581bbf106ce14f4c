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
on its way is left out on both sides and counted. Exit 1 on any difference.
Works while bluetick runs on the data folder and when it does not.`
}

// Run executes the command.
func (c *auditCmd) Run(ctx context.Context) error {
	var report audit.Report
	err := c.asking(ctx, func(conn driver.Conn) error {
		days, err := clickhouse.TTLDays(ctx, conn, "events")
		if err == nil {
			report, err = audit.Run(ctx, conn, days, pipeline.Wall())
		}
		return pipeline.Remedy(err)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		printAudit(os.Stdout, &report)
	}
	if err == nil && report.Differences > 0 {
		err = errQuiet
	}
	return err
}

func printAudit(w io.Writer, r *audit.Report) {
	for _, d := range r.Examples {
		fmt.Fprintln(w, d)
	}
	fmt.Fprintf(w, "audit: %d differences in %d panes (epoch %d; left out: %d still on their way, %d of forgotten messages, %d past the TTL)\n",
		r.Differences, r.Compared, r.Epoch, r.LeftOut, r.Relapsed, r.Expired)
}
