package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/schemas"
)

// histograms are the columns of panes that hold a histogram, with the delay in
// v_messages that each is made of.
func histograms() [][2]string {
	withheld := fmt.Sprintf("if(failure_category IN ('%s'), %%s, NULL)", strings.Join(schemas.WithheldCategories(), "', '"))
	return [][2]string{
		{"delivered", bucket("delivered_delay")},
		{"opened", bucket("opened_delay")},
		{"read", bucket("read_delay")},
		{"clicked", bucket("clicked_delay")},
		{"replied", bucket("replied_delay")},
		{"engaged", bucket("engaged_delay")},
		{"opted_out", bucket("opted_out_delay")},
		{"failed", leaving(bucket("failed_delay"), bucket("recovered_delay"))},
		{"withheld", leaving(bucket(fmt.Sprintf(withheld, "failed_delay")), bucket(fmt.Sprintf(withheld, "recovered_delay")))},
	}
}

// bucket is a histogram of one message: 1 where the delay lies, all zeros if
// there is none.
func bucket(delay string) string {
	lower, upper := []string{"-1"}, []string{}
	for _, e := range schemas.Edges() {
		upper = append(upper, fmt.Sprint(e))
	}
	lower = append(lower, upper[:schemas.Buckets-1]...)
	return fmt.Sprintf("arrayMap((lo, hi) -> toInt64(ifNull(%[1]s > lo AND %[1]s <= hi, 0)), [%[2]s], [%[3]s])",
		delay, strings.Join(lower, ", "), strings.Join(upper, ", "))
}

func leaving(became, ceased string) string {
	return fmt.Sprintf("arrayMap((x, y) -> x - y, %s, %s)", became, ceased)
}

// numbers are the names of what is compared one by one, in the order of the
// arrays of both sides.
func numbers() string {
	names := []string{"sent", "recovered", "late"}
	for _, h := range histograms() {
		for i := range schemas.Buckets {
			names = append(names, fmt.Sprintf("%s[%d]", h[0], i))
		}
	}
	return "['" + strings.Join(names, "', '") + "']"
}

// compared is the query of one row per pane: its key, how it takes part and
// what differs.
func compared() string {
	var fromPanes, fromMessages []string
	for _, h := range histograms() {
		fromPanes = append(fromPanes, h[0])
		fromMessages = append(fromMessages, "sumForEach("+h[1]+")")
	}
	named := func(m string) string {
		return fmt.Sprintf("mapApply((k, v) -> (concat('%[1]s[', k, ']'), v), %[1]s)", m)
	}
	return `
WITH
    ` + numbers() + ` AS names,
    touched AS
    (
        SELECT DISTINCT source_partition AS source, account, channel, toDateTime(toStartOfMinute(occurred_at), 'UTC') AS minute
        FROM events
        WHERE message_key != toFixedString('', 16) AND (
            message_key IN (SELECT message_key FROM events WHERE source_offset >= {cuts:Array(UInt64)}[source_partition + 1])
            OR message_key IN (` + returning() + `))
    ),
    sides AS
    (
        SELECT
            source, account, channel, minute, sender, country, campaign, template, variant, segment,
            version >= {cuts:Array(UInt64)}[source + 1] AS moved,
            arrayConcat([sent, recovered, late], ` + strings.Join(fromPanes, ", ") + `) AS p,
            CAST([], 'Array(Int64)') AS m,
            mapConcat(` + named("failures") + `, ` + named("cost_micros") + `, ` + named("billable") + `) AS pm,
            CAST(map(), 'Map(String, Int64)') AS mm
        FROM panes FINAL
        WHERE epoch = {epoch:UInt32} AND minute >= toDateTime({since:Int64}, 'UTC')
        UNION ALL
        SELECT
            source_partition, account, channel, minute, sender, country, campaign, template, variant, segment, 0,
            CAST([], 'Array(Int64)'),
            arrayConcat([toInt64(count()), toInt64(sum(recovered)), toInt64(sum(late))], ` + strings.Join(fromMessages, ", ") + `),
            CAST(map(), 'Map(String, Int64)'),
            mapConcat(
                sumMap(if(failed = 1, map(concat('failures[', failure_category, ']'), toInt64(1)), CAST(map(), 'Map(String, Int64)'))),
                sumMap(if(isNotNull(cost_micros), map(concat('cost_micros[', cost_currency, ']'), assumeNotNull(cost_micros)), CAST(map(), 'Map(String, Int64)'))),
                sumMap(if(cost_billable AND delivered = 1, map(concat('billable[', cost_category, ']'), toInt64(1)), CAST(map(), 'Map(String, Int64)'))))
        FROM v_messages
        WHERE minute >= toDateTime({since:Int64}, 'UTC')
        GROUP BY source_partition, account, channel, minute, sender, country, campaign, template, variant, segment
    ),
    panes_of_both AS
    (
        SELECT
            source, account, channel, minute, sender, country, campaign, template, variant, segment, max(moved) AS moved,
            arrayResize(sumForEach(p), length(names), 0) AS p, arrayResize(sumForEach(m), length(names), 0) AS m,
            sumMap(pm) AS pm, sumMap(mm) AS mm
        FROM sides
        GROUP BY source, account, channel, minute, sender, country, campaign, template, variant, segment
    )
SELECT
    source, account, channel, minute, sender, country, campaign, template, variant, segment,
    minute < toDateTime({floor:Int64}, 'UTC') AS expired,
    moved OR (source, account, channel, minute) IN touched AS left_out,
    if(expired OR left_out, [], arrayFilter(x -> x.2 != x.3, arrayConcat(
        arrayZip(names, p, m),
        arrayMap(k -> (k, pm[k], mm[k]), arraySort(arrayDistinct(arrayConcat(mapKeys(pm), mapKeys(mm)))))))) AS differences
FROM panes_of_both
WHERE arrayExists(x -> x != 0, p) OR arrayExists(x -> x != 0, m)`
}

// returning is the query of every message with events so far apart that it may
// have been forgotten in between: the relapsed ones, and a few that were kept
// because they were sent late. It spares asking v_messages twice.
func returning() string {
	return fmt.Sprintf(`SELECT message_key FROM events WHERE message_key != toFixedString('', 16)
		GROUP BY message_key HAVING max(received_at) > min(received_at) + INTERVAL %d DAY`, schemas.MemoryDays)
}

// compare fills the numbers of the report.
func compare(ctx context.Context, conn driver.Conn, floor int64, r *Report) error {
	ctx = ch.Context(ctx,
		ch.WithParameters(ch.Parameters{
			"cuts": literal(r.Cuts), "epoch": strconv.FormatUint(uint64(r.Epoch), 10), "floor": strconv.FormatInt(floor, 10),
			"since": strconv.FormatInt(r.Since.Unix(), 10),
		}),
		ch.WithSettings(ch.Settings{"do_not_merge_across_partitions_select_final": 1}))
	const totals = `SELECT countIf(NOT expired AND NOT left_out), countIf(left_out AND NOT expired), countIf(expired), sum(length(differences)) FROM (%s)`
	row := conn.QueryRow(ctx, fmt.Sprintf(totals, compared()))
	if err := row.Scan(&r.Compared, &r.LeftOut, &r.Expired, &r.Differences); err != nil {
		return err
	}
	if r.Differences == 0 {
		return nil
	}
	return examples(ctx, conn, r)
}

func examples(ctx context.Context, conn driver.Conn, r *Report) error {
	const named = `SELECT account, channel, campaign, minute, source, d.1, d.2, d.3 FROM (%s) ARRAY JOIN differences AS d
		ORDER BY account, channel, campaign, minute, source, d LIMIT %d`
	rows, err := conn.Query(ctx, fmt.Sprintf(named, compared(), maxExamples))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	for rows.Next() {
		var d Difference
		if err := rows.Scan(&d.Account, &d.Channel, &d.Campaign, &d.Minute, &d.Source, &d.Column, &d.Pane, &d.Messages); err != nil {
			return err
		}
		r.Examples = append(r.Examples, d)
	}
	return rows.Err()
}

// literal is an array as a query parameter.
func literal(cuts []uint64) string {
	var s []string
	for _, c := range cuts {
		s = append(s, strconv.FormatUint(c, 10))
	}
	return "[" + strings.Join(s, ",") + "]"
}
