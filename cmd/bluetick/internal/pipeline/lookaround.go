package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	sinkch "github.com/bluetick/bluetick/sink/clickhouse"
)

// lookAround asks the database that was just opened and migrated what nobody would
// notice otherwise: rows that are missing, numbers that would stand still.
func (p *Process) lookAround(ctx context.Context) error {
	conn, err := sinkch.Connect(ctx, p.clickhouse)
	if err != nil {
		return err
	}
	p.tellBrokenParts(ctx, conn)
	return errors.Join(p.sameEpoch(ctx, conn), conn.Close())
}

// tellBrokenParts says loudly what ClickHouse does without since it was opened. The line
// goes on: what comes now is counted.
func (p *Process) tellBrokenParts(ctx context.Context, conn driver.Conn) {
	parts, err := sinkch.BrokenParts(ctx, conn)
	if err != nil {
		p.log.Warn("whether clickhouse has left out damaged parts is not known", "err", err) // a user of a server may lack the right
	}
	for _, part := range parts {
		p.log.Error("clickhouse has left out a damaged part: its rows are missing in every answer", "table", part.Table, "part", part.Name, "reason", part.Reason,
			"remedy", "docs/runbook.md, \"A part of ClickHouse is damaged\"")
	}
}

// sameEpoch refuses to fold one epoch while another counts: every view would stand
// still. A rebuild that was killed after the switch leaves that, and so does a lost
// epoch.json.
func (p *Process) sameEpoch(ctx context.Context, conn driver.Conn) error {
	var counting uint32
	if err := conn.QueryRow(ctx, "SELECT argMax(epoch, sequence) FROM epochs").Scan(&counting); err != nil {
		return fmt.Errorf("read which epoch counts: %w", err)
	}
	if p.rebuilding || counting == p.epoch.Current {
		return nil
	}
	return fmt.Errorf("epoch %d counts in ClickHouse and the data folder goes on with epoch %d: if a rebuild was interrupted, run `bluetick rebuild` again; "+
		"if epoch.json was lost, put it back (docs/runbook.md)", counting, p.epoch.Current)
}
