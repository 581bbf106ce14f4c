package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink"
)

// drained reports whether everything that ingest has acknowledged by the given
// time of the demo's clock has come through.
func (d *demo) drained(stopped time.Time) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		if counted, err := d.counted(ctx); !counted || err != nil {
			return false, err
		}
		return d.judged(ctx, stopped)
	}
}

// judged reports whether every cohort that was ripe when posting stopped has
// been rolled up and shown to the alerts: the roll-up has closed the minutes
// until then but for the last few (a minute, and what travels), and the alert
// fold has read all there is.
func (d *demo) judged(ctx context.Context, stopped time.Time) (bool, error) {
	var closed time.Time
	if err := d.conn.QueryRow(ctx, "SELECT min(complete_to) FROM v_freshness WHERE stage = 'rollup'").Scan(&closed); err != nil {
		return false, fmt.Errorf("read progress: %w", err)
	}
	if closed.Before(stopped.Add(-3 * time.Minute)) {
		return false, nil
	}
	families, err := d.process.registry.Gather()
	if err != nil {
		return false, fmt.Errorf("read metrics: %w", err)
	}
	known := false
	for _, family := range families {
		if family.GetName() != "bluetick_lag_offsets" {
			continue
		}
		for _, m := range family.GetMetric() {
			if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == schemas.StageAlert }) {
				continue
			}
			known = true
			// The running clock adds a handful of records every minute.
			if m.GetGauge().GetValue() > 100 {
				return false, nil
			}
		}
	}
	if !known {
		return false, errors.New("the alert stage has no metric bluetick_lag_offsets")
	}
	return true, nil
}

// counted reports whether every acknowledged event stands in ClickHouse, itself
// and counted: the sink is at the end of the topic events, and Progress of the
// message fold up to there has come through (the panes it speaks of came before
// it).
func (d *demo) counted(ctx context.Context) (bool, error) {
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
