package main

import (
	"context"
	"os"

	"github.com/charmbracelet/x/term"

	"github.com/bluetick/bluetick/cmd/bluetick/internal/pipeline"
)

// rebuildCmd folds the events anew.
type rebuildCmd struct {
	settings
	Again   bool `help:"Rebuild although the states are of this build's logic."`
	DropOld bool `help:"Delete the states and topics of the epochs before the one that counts: there is no way back then. What they counted stays in ClickHouse."`
}

// Help is shown below the flags.
func (rebuildCmd) Help() string {
	return `A build that counts by another logic than the one before does not go on with its states.
This folds all events that are still in the log into a new epoch, while the old one
stays as it is, and has the new one count once it has caught up: from the first minute
that the log holds as a whole; earlier minutes stay as they were counted. Alerts do
not tell again what they told.

Stop bluetick first: webhooks that come meanwhile are sent again by their providers, for
days. With servers, ingest may go on. It may be interrupted and called again. Until it is
done the build before can go on as if nothing had been, and afterwards too: see
docs/runbook.md, also for one process per role.

  bluetick rebuild --data ./data
  bluetick rebuild --data ./data --kafka-brokers kafka:9092 --clickhouse-dsn clickhouse://…
  bluetick rebuild --data ./data --drop-old`
}

// Run executes the command.
func (c *rebuildCmd) Run(ctx context.Context) error {
	cfg, err := c.loadToAsk()
	if err != nil {
		return err
	}
	r := pipeline.Rebuild{Again: c.Again, Out: os.Stdout, Terminal: term.IsTerminal(os.Stdout.Fd())}
	if c.DropOld {
		return r.DropOld(ctx, cfg)
	}
	return r.Run(ctx, cfg)
}
