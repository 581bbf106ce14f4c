package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/retry"
	"github.com/bluetick/bluetick/schemas"
)

const (
	// maxSuspects bounds the rows looked at; those of the greatest versions come
	// first, since only they stay suspicious.
	maxSuspects = 10_000
	// looks and lookEvery bound how long audit waits for the sink to write anew
	// where the logs end: it does so at least every 5 s, and twice is needed.
	looks     = 60
	lookEvery = 250 * time.Millisecond
)

// Unexplained is a row that no record of the log can explain: by its own version
// it follows from records that do not exist.
type Unexplained struct {
	// Table is where the row is.
	Table string
	// Row names it; of rates and alerts the newest of the account.
	Row string
	// Topic and Partition are the log that the row claims to follow from. Version
	// is the first offset after what it claims, End the end of that log.
	Topic     string
	Partition int32
	Version   uint64
	End       uint64
}

// String is the row on one line.
func (u Unexplained) String() string {
	return fmt.Sprintf("no log explains the row of %s: %s: it claims what stands before offset %d of %s[%d], which ends at %d",
		u.Table, u.Row, u.Version, u.Topic, u.Partition, u.End)
}

// ends are where the logs ended when the sink wrote it: by topic, in the order of
// partitions. told is when it last did so of every partition, by its clock.
type ends struct {
	at   map[string][]uint64
	told map[string]time.Time
}

// of is the end of a partition; 0 of one that does not exist.
func (e *ends) of(topic string, partition int32) uint64 {
	if at := e.at[topic]; partition >= 0 && int(partition) < len(at) {
		return at[partition]
	}
	return 0
}

// suspicious are the rows that the logs, as far as they are known, do not explain.
func (e *ends) suspicious(rows []Unexplained) []Unexplained {
	var out []Unexplained
	for _, u := range rows {
		if u.End = e.of(u.Topic, u.Partition); u.Version > u.End {
			out = append(out, u)
		}
	}
	return out
}

// unexplained finds the rows that no log can explain. A row may be newer than
// what is known of the log, so the sink is asked twice more before a row is
// accused: its second answer is certainly newer than the reading of the row.
// Rows that cannot be judged, because no sink is running, are counted apart.
func unexplained(ctx context.Context, conn driver.Conn, r *Report, pause func(context.Context) error) error {
	known, err := readEnds(ctx, conn)
	if err != nil {
		return fmt.Errorf("read the ends of the logs: %w", err)
	}
	rows, err := suspects(ctx, conn, r.Epoch, &known)
	if err != nil {
		return fmt.Errorf("look for rows past the log: %w", err)
	}
	if rows = known.suspicious(rows); len(rows) == 0 {
		return nil
	}
	if known, err = readEnds(ctx, conn); err != nil { // what was recorded before the rows were read does not count
		return fmt.Errorf("read the ends of the logs: %w", err)
	}
	rows = known.suspicious(rows)
	heard := map[string]int{}
	for look := 0; len(rows) > 0 && look < looks && slices.ContainsFunc(rows, func(u Unexplained) bool { return heard[u.Topic] < 2 }); look++ {
		if err := pause(ctx); err != nil {
			return err
		}
		next, err := readEnds(ctx, conn)
		if err != nil {
			return fmt.Errorf("read the ends of the logs: %w", err)
		}
		for topic, told := range next.told {
			if told.After(known.told[topic]) {
				heard[topic]++
			}
		}
		known = next
		rows = known.suspicious(rows)
	}
	for _, u := range rows {
		if heard[u.Topic] < 2 {
			r.Unjudged++
			continue
		}
		r.Unexplained++
		if len(r.Forged) < maxExamples {
			r.Forged = append(r.Forged, u)
		}
	}
	return nil
}

// wait is the pause between two looks.
func wait(ctx context.Context) error { return retry.Pause(ctx, lookEvery) }

// readEnds reads where the logs end. For a topic whose end no sink has written
// yet, as after an upgrade, it is the sink's own position.
func readEnds(ctx context.Context, conn driver.Conn) (ends, error) {
	e := ends{at: map[string][]uint64{}, told: map[string]time.Time{}}
	rows, err := conn.Query(ctx, `
SELECT topic, source, if(logs > 0, log_end, reached) AS at, told
FROM
(
    SELECT
        substring(stage, position(stage, '/') + 1) AS topic, source,
        countIf(startsWith(stage, 'log/')) AS logs,
        maxIf(version, startsWith(stage, 'log/')) AS log_end, maxIf(version, startsWith(stage, 'sink/')) AS reached,
        maxIf(complete_to, startsWith(stage, 'log/')) AS told
    FROM progress
    WHERE epoch = 0 AND (startsWith(stage, 'log/') OR startsWith(stage, 'sink/'))
    GROUP BY topic, source
)
ORDER BY topic, source`)
	if err != nil {
		return e, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	for rows.Next() {
		var topic string
		var partition int32
		var end uint64
		var told time.Time
		if err := rows.Scan(&topic, &partition, &end, &told); err != nil {
			return e, err
		}
		if partition != int32(len(e.at[topic])) {
			continue // a partition after a gap: it is not known
		}
		e.at[topic] = append(e.at[topic], end)
		if before, ok := e.told[topic]; !ok || told.Before(before) {
			e.told[topic] = told
		}
	}
	return e, rows.Err()
}

// past are the rows of the greatest versions that are past the log, as a table, a
// name, what it follows from and the first offset after it.
func past(epoch uint32) string {
	panes, rates := schemas.TopicIn(schemas.TopicPanes, epoch), schemas.TopicIn(schemas.TopicRates, epoch)
	return `
SELECT 'panes' AS of, concat(account, ' ', channel, ' "', campaign, '" ', toString(minute), ', ', toString(sent), ' sent') AS row, '' AS whose,
    '` + schemas.TopicEvents + `' AS topic, source AS partition, version + 1 AS after
FROM panes FINAL
WHERE epoch = {epoch:UInt32} AND version >= {events:Array(UInt64)}[source + 1]
UNION ALL
SELECT 'events', concat(account, ' ', channel, ' ', type, ' ', toString(occurred_at)), '', '` + schemas.TopicEvents + `', source_partition, source_offset + 1
FROM events
WHERE source_offset >= {events:Array(UInt64)}[source_partition + 1]
UNION ALL
SELECT 'progress', concat(stage, ' of ', toString(sources), ', in partition ', toString(output)), '',
    multiIf(stage = '` + schemas.StageMessage + `', '` + schemas.TopicEvents + `', stage = '` + schemas.StageRollup + `', '` + panes + `', substring(stage, position(stage, '/') + 1)),
    source, version
FROM progress FINAL
WHERE epoch IN (0, {epoch:UInt32}) AND NOT startsWith(stage, 'log/')
UNION ALL
SELECT 'rates', concat('of ', account, ', newest known at ', toString(max(at))), account, '` + panes + `', -1, max(version) + 1
FROM rates WHERE epoch = {epoch:UInt32} GROUP BY account HAVING max(version) >= arrayMin({panes:Array(UInt64)})
UNION ALL
SELECT 'alerts', concat('of ', account, ', newest at ', toString(max(at))), account, '` + rates + `', -1, intDiv(max(version), 2) + 1
FROM alerts WHERE epoch = {epoch:UInt32} GROUP BY account HAVING intDiv(max(version), 2) >= arrayMin({rates:Array(UInt64)})`
}

// suspects are rows past the given ends, the worst first.
func suspects(ctx context.Context, conn driver.Conn, epoch uint32, known *ends) ([]Unexplained, error) {
	ctx = ch.Context(ctx, ch.WithParameters(ch.Parameters{
		"epoch":  strconv.FormatUint(uint64(epoch), 10),
		"events": literal(known.at[schemas.TopicEvents]), "panes": literal(known.at[schemas.TopicIn(schemas.TopicPanes, epoch)]), "rates": literal(known.at[schemas.TopicIn(schemas.TopicRates, epoch)]),
	}))
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT of, row, whose, topic, toInt32(partition), toUInt64(after) FROM (%s) ORDER BY after DESC, of, row LIMIT %d", past(epoch), maxSuspects))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	var out []Unexplained
	for rows.Next() {
		var u Unexplained
		var account string
		if err := rows.Scan(&u.Table, &u.Row, &account, &u.Topic, &u.Partition, &u.Version); err != nil {
			return nil, err
		}
		if u.Partition < 0 { // the one that holds the account's records
			u.Partition = schemas.PartitionOf([]byte(account), int32(max(1, len(known.at[u.Topic]))))
		}
		out = append(out, u)
	}
	slices.SortStableFunc(out, func(a, b Unexplained) int { return cmp.Compare(a.Table, b.Table) })
	return out, rows.Err()
}
