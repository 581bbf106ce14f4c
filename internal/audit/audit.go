package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/schemas"
)

// maxExamples bounds the differences that are named; all are counted.
const maxExamples = 100

// Difference is one number on which the two sides do not agree.
type Difference struct {
	Account  string
	Channel  string
	Campaign string
	Minute   time.Time
	// Source is the partition of events.
	Source int32
	// Column is a column of panes; of a histogram with the bucket, from 0, of a
	// map with the key.
	Column string
	// Pane is the number in panes, Messages the one from v_messages.
	Pane     int64
	Messages int64
}

// String is the difference on one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s %s %q %s p%d %s: %d in panes, %d by v_messages",
		d.Account, d.Channel, d.Campaign, d.Minute.UTC().Format(time.RFC3339), d.Source, d.Column, d.Pane, d.Messages)
}

// Report is what an audit found.
type Report struct {
	At    time.Time
	Epoch uint32
	// Since is the first send minute that the epoch counts: earlier ones belong to
	// epochs that are frozen, and are not compared.
	Since time.Time
	// Cuts are the cuts of the source partitions, see the package comment.
	Cuts []uint64
	// Compared is the number of panes compared. LeftOut and Expired are those
	// that took no part: touched since the cut, or older than the events.
	Compared uint64
	LeftOut  uint64
	Expired  uint64
	// Relapsed is the number of messages that came back after they were forgotten.
	Relapsed uint64
	// Unexplained is the number of rows that no log can explain; Forged names the
	// first. Unjudged is the number of those that may be such rows, or on their way:
	// no sink was running that could say where the logs end.
	Unexplained uint64
	Forged      []Unexplained
	Unjudged    uint64
	// Differences counts every number that differs; Examples names the first.
	Differences uint64
	Examples    []Difference
}

// Run audits the database of conn, whose migrations are up to date, and records
// the run in `audits` at the time now. A Report with differences is not an error; an error means
// that nothing can be said.
func Run(ctx context.Context, conn driver.Conn, kept Kept, now time.Time) (Report, error) {
	return audit(ctx, conn, kept, now, wait)
}

// audit is Run with the pause between two looks at what the sink reports.
func audit(ctx context.Context, conn driver.Conn, kept Kept, now time.Time, pause func(context.Context) error) (Report, error) {
	r := Report{At: now.UTC()}
	var err error
	if r.Epoch, r.Since, err = counting(ctx, conn); err != nil {
		return r, fmt.Errorf("audit: %w", err)
	}
	if r.Cuts, err = cuts(ctx, conn, r.Epoch); err != nil {
		return r, fmt.Errorf("audit: %w", err)
	}
	if err := conn.QueryRow(ctx, "SELECT count() FROM v_messages WHERE relapsed = 1 AND message_key IN ("+returning()+")").Scan(&r.Relapsed); err != nil {
		return r, fmt.Errorf("audit: count relapsed messages: %w", err)
	}
	if err := compare(ctx, conn, kept.oldest(now), &r); err != nil {
		return r, fmt.Errorf("audit: compare: %w", err)
	}
	if err := unexplained(ctx, conn, &r, pause); err != nil {
		return r, fmt.Errorf("audit: %w", err)
	}
	if err := record(ctx, conn, &r); err != nil {
		return r, fmt.Errorf("audit: record: %w", err)
	}
	return r, nil
}

// counting is the epoch that counts, and since which send minute. Without it every view is empty, and two
// empty sides would agree.
func counting(ctx context.Context, conn driver.Conn) (epoch uint32, since time.Time, err error) {
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT count(), argMax(epoch, sequence), argMax(first_minute, sequence) FROM epochs").Scan(&n, &epoch, &since); err != nil {
		return 0, since, fmt.Errorf("read epoch: %w", err)
	}
	if n == 0 {
		return 0, since, errors.New("the table epochs is empty, so no epoch counts; start bluetick or run bluetick migrate, which make the first")
	}
	return epoch, since, nil
}

// cuts returns the cut of each source partition. A partition whose Progress is
// missing in some output partition has the cut 0: nothing of it takes part.
func cuts(ctx context.Context, conn driver.Conn, epoch uint32) ([]uint64, error) {
	const query = `
WITH
    (SELECT uniqExact(source) FROM progress WHERE stage = {panes:String}) AS outputs,
    folded AS
    (
        SELECT source, if(count() = outputs, min(reached), 0) AS next
        FROM (SELECT source, output, max(version) AS reached FROM progress WHERE stage = {message:String} AND epoch = {epoch:UInt32} GROUP BY source, output)
        GROUP BY source
    ),
    sunk AS (SELECT source, max(version) AS next FROM progress WHERE stage = {events:String} GROUP BY source)
SELECT sunk.source AS source, least(sunk.next, folded.next) AS cut
FROM sunk LEFT JOIN folded ON sunk.source = folded.source
ORDER BY source`
	rows, err := conn.Query(ch.Context(ctx, ch.WithParameters(ch.Parameters{
		"panes": schemas.StageSink + "/" + schemas.TopicIn(schemas.TopicPanes, epoch), "events": schemas.StageSink + "/" + schemas.TopicEvents,
		"message": schemas.StageMessage, "epoch": strconv.FormatUint(uint64(epoch), 10),
	})), query)
	if err != nil {
		return nil, fmt.Errorf("read cuts: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	var out []uint64
	for rows.Next() {
		var source int32
		var cut uint64
		if err := rows.Scan(&source, &cut); err != nil {
			return nil, fmt.Errorf("read cuts: %w", err)
		}
		out = append(slices.Grow(out, 1), make([]uint64, int(source)-len(out)+1)...)
		out[source] = cut
	}
	return out, rows.Err()
}

// Kept says for how many days ClickHouse keeps the rows of both sides: their
// TTLs, 0 for ever.
type Kept struct {
	EventsDays int
	PanesDays  int
}

// ttlSlack is how much earlier than by our clock a row counts as deleted: the
// server has a clock of its own, and it goes on while the query runs.
const ttlSlack = time.Hour

// oldest is the first minute, in seconds, that both sides still have in full; 0
// if both are kept for ever. A message's events may lie as far apart as the
// message is remembered.
func (k Kept) oldest(now time.Time) int64 {
	var floor int64
	if k.EventsDays > 0 {
		floor = now.AddDate(0, 0, schemas.MemoryDays-k.EventsDays).Unix()
	}
	if k.PanesDays > 0 {
		floor = max(floor, now.AddDate(0, 0, -k.PanesDays).Add(ttlSlack).Unix())
	}
	return floor
}

func record(ctx context.Context, conn driver.Conn, r *Report) error {
	var examples []string
	for _, d := range r.Examples {
		examples = append(examples, d.String())
	}
	for _, u := range r.Forged {
		examples = append(examples, u.String())
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO audits (at, epoch, cuts, compared, left_out, relapsed, expired, differences, unexplained, unjudged, examples)")
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }() // after Send it does nothing
	if err := batch.Append(r.At, r.Epoch, r.Cuts, r.Compared, r.LeftOut, r.Relapsed, r.Expired, r.Differences, r.Unexplained, r.Unjudged, examples); err != nil {
		return err
	}
	return batch.Send()
}
