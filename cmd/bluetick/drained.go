package main

import (
	"context"
	"fmt"

	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink"
)

// drained reports whether every event that ingest has acknowledged stands in
// ClickHouse, itself and counted: the sink is at the end of the topic events,
// and Progress of the message fold up to there has come through (the panes it
// speaks of came before it).
func (d *demo) drained(ctx context.Context) (bool, error) {
	ends, err := d.process.admin.ListEndOffsets(ctx, schemas.TopicEvents)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return false, fmt.Errorf("read the end of the topic: %w", err)
	}
	reached, err := d.reached(ctx)
	if err != nil {
		return false, err
	}
	for partition, end := range ends[schemas.TopicEvents] {
		for _, stage := range []string{schemas.StageMessage, sink.Stage + "/" + schemas.TopicEvents} {
			if reached[position{stage, partition}] < end.Offset {
				return false, nil
			}
		}
	}
	return true, nil
}

// position names how far a stage has come in a partition of its input.
type position struct {
	stage  string
	source int32
}

// reached reads the next offsets that ClickHouse knows, over all partitions of
// the output.
func (d *demo) reached(ctx context.Context) (map[position]int64, error) {
	rows, err := d.conn.Query(ctx, `SELECT stage, source, min(reached) FROM
		(SELECT stage, source, output, max(version) AS reached FROM progress GROUP BY stage, source, output)
		GROUP BY stage, source`)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	defer rows.Close()
	reached := map[position]int64{}
	for rows.Next() {
		var p position
		var next uint64
		if err := rows.Scan(&p.stage, &p.source, &next); err != nil {
			return nil, fmt.Errorf("read progress: %w", err)
		}
		reached[p] = int64(next)
	}
	return reached, rows.Err()
}
