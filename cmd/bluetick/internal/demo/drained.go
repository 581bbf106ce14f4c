package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink"
)

const (
	// ripe is how far before the last post a cohort must lie to be waited for: a
	// minute to close it, and the time that webhooks travel.
	ripe = 3 * time.Minute
	// restless is how many records a partition may be behind and still count as at
	// the end: the running clock adds a handful every minute.
	restless = 100
)

// line is what through needs from the running pipeline.
type line interface {
	Status(stage string) []task.Status
	Ends(ctx context.Context, topic string) (map[int32]int64, error)
	Epoch() uint32
}

// warehouse knows what has arrived in ClickHouse.
type warehouse interface {
	reached(ctx context.Context) (map[position]int64, error)
}

// through finds out whether everything that ingest had acknowledged when posting
// stopped has come through.
type through struct {
	line      line
	warehouse warehouse
	stopped   time.Time // on the demo's clock
}

// all is true once every event is counted and every cohort judged.
func (t *through) all(ctx context.Context) (bool, error) {
	if counted, err := t.counted(ctx); !counted || err != nil {
		return false, err
	}
	return t.judged(ctx)
}

// counted reports whether every acknowledged event is in ClickHouse, both as a row
// and in the counts: the sink is at the end of the topic events, and Progress of
// the message fold up to there has come through (its panes came before it).
func (t *through) counted(ctx context.Context) (bool, error) {
	ends, err := t.line.Ends(ctx, schemas.TopicEvents)
	if err != nil {
		return false, err
	}
	reached, err := t.warehouse.reached(ctx)
	if err != nil {
		return false, err
	}
	for partition, end := range ends {
		for _, stage := range []string{schemas.StageMessage, sink.Stage + "/" + schemas.TopicEvents} {
			if reached[position{stage, partition}] < end {
				return false, nil
			}
		}
	}
	return true, nil
}

// judged reports whether every cohort that was ripe when posting stopped has
// been rolled up and shown to the alerts: the roll-up has closed the minutes
// until then, and the alert fold has read all there is. The roll-up is asked
// first: its rates are in the log before it reports them complete.
func (t *through) judged(ctx context.Context) (bool, error) {
	rollups := t.line.Status(schemas.StageRollup)
	for _, s := range rollups {
		if s.CompleteTo < schemas.InstantOf(t.stopped.Add(-ripe)) {
			return false, nil
		}
	}
	alerts := t.line.Status(schemas.StageAlert)
	if len(rollups) == 0 || len(alerts) == 0 {
		return false, errors.New("the roll-up or the alert stage does not say how far it is")
	}
	ends, err := t.line.Ends(ctx, schemas.TopicIn(schemas.TopicRates, t.line.Epoch()))
	if err != nil {
		return false, err
	}
	for _, s := range alerts {
		if s.EndOffset = max(s.EndOffset, ends[s.Partition]); s.Lag() > restless {
			return false, nil
		}
	}
	return true, nil
}

// position names how far a stage has come in a partition of its input.
type position struct {
	stage  string
	source int32
}

// clickhouseReader is the warehouse of a running demo.
type clickhouseReader struct{ conn driver.Conn }

// reached reads the next offsets that ClickHouse knows, over all partitions of
// the output.
func (c clickhouseReader) reached(ctx context.Context) (map[position]int64, error) {
	rows, err := c.conn.Query(ctx, `SELECT stage, source, min(reached) FROM
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
