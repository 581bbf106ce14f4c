-- What was heard and what was not: a rate whose reports may still be on their
-- way is marked, and comes again.

ALTER TABLE rates
    ADD COLUMN IF NOT EXISTS heard Bool DEFAULT true
    COMMENT 'False while reports of its cohorts may still be on their way: the door was shut, the account''s reports are late, or it has been silent since. The row comes again, with a greater version, when they have come or have been waited for'
    AFTER at

-- next statement --

ALTER TABLE rates MODIFY COMMENT 'Rolling rates as they were known at each minute, emitted once, and once more where they were not heard then; the truth of today is in panes. Rates are fractions, NULL where the denominator is 0, with 95 % Wilson bounds'

-- next statement --

ALTER TABLE progress
    ADD COLUMN IF NOT EXISTS shut_from Array(DateTime64(3, 'UTC')) COMMENT 'Beginnings of the newest times during which no door was open',
    ADD COLUMN IF NOT EXISTS shut_to Array(DateTime64(3, 'UTC')) COMMENT 'Their ends, in the same order'

-- next statement --

CREATE TABLE IF NOT EXISTS reports
(
    epoch   UInt32 COMMENT 'Epoch that derived the row; only rows of the one in epochs count',
    source  Int32 COMMENT 'Partition of events that knows this',
    account LowCardinality(String) COMMENT 'Account at the provider',
    newest  DateTime64(3, 'UTC') COMMENT 'Latest occurred_at of any report of the account',
    lags    Array(UInt32) COMMENT 'The last reports that said something new, at most {{lastReports}}, by how late they came (received_at - occurred_at): upper edges are half those of the delay histograms, and one bucket beyond',
    version UInt64 COMMENT 'Offset in events of the last record applied; the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (epoch, account, source)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'How the reports of each account come, as each partition of events knows it; told at most once a minute'

-- next statement --

CREATE OR REPLACE VIEW v_shuttings
(
    shut_from DateTime64(3, 'UTC') COMMENT 'When the last door had shut',
    shut_to   DateTime64(3, 'UTC') COMMENT 'When the next one opened',
    seconds   Float64 COMMENT 'How long no door was open'
) AS
SELECT shut.1 AS shut_from, shut.2 AS shut_to, dateDiff('millisecond', shut_from, shut_to) / 1000 AS seconds
FROM
(
    SELECT DISTINCT arrayJoin(arrayZip(progress.shut_from, progress.shut_to)) AS shut
    FROM progress FINAL
    WHERE stage = '{{stageMessage}}' AND epoch = {{currentEpoch}}
)
COMMENT 'Times of the last three days during which no door was open, by the heartbeats in the log: what providers sent then was not taken, and comes again'

-- next statement --

CREATE OR REPLACE VIEW v_watermark
(
    epoch       UInt32 COMMENT 'The epoch that counts',
    complete_to Nullable(DateTime64(3, 'UTC')) COMMENT 'Instant up to which panes have heard everything; NULL until every source partition has been heard and a heartbeat of a door has come'
) AS
SELECT
    {{currentEpoch}} AS epoch,
    if(count() > 0 AND count() = max(sources) AND min(heard) > toDateTime64(0, 3, 'UTC'), min(heard), NULL) AS complete_to
FROM
(
    SELECT source, max(sources) AS sources, min(newest) AS heard
    FROM
    (
        SELECT source, output, max(progress.sources) AS sources, max(progress.complete_to) AS newest
        FROM progress
        WHERE stage = '{{stageMessage}}' AND progress.epoch = {{currentEpoch}}
        GROUP BY source, output
    )
    GROUP BY source
)
COMMENT 'How far panes are complete: the least complete_to over all source partitions. Views that compare cohorts at equal age take those that had reached it by then'

-- next statement --

CREATE OR REPLACE VIEW v_hearing
(
    account      LowCardinality(String) COMMENT 'Account at the provider',
    newest       DateTime64(3, 'UTC') COMMENT 'Latest occurred_at of any report of the account',
    in_time_from Nullable(UInt32) COMMENT 'Least age, in seconds, by half of which nine tenths of the account''s last reports had come: rates at lesser ages are waited for. NULL: even the longest age is too short',
    last_reports UInt64 COMMENT 'How many reports that is judged by',
    state        String COMMENT 'in time; late: rates at 30 minutes are waited for; always late: those at every age; silent: nothing has occurred for six hours'
) AS
SELECT
    account, newest,
    if(reached = 0, NULL, toUInt32({{edges}}[reached])) AS in_time_from,
    arraySum(lags) AS last_reports,
    multiIf(newest < (SELECT complete_to FROM v_watermark) - toIntervalSecond({{patience}}), 'silent', isNull(in_time_from), 'always late', in_time_from > 1800, 'late', 'in time') AS state
FROM
(
    SELECT account, max(reports.newest) AS newest, sumForEach(reports.lags) AS lags,
        arrayFirstIndex(x -> 10 * x >= 9 * arraySum(lags), arraySlice(arrayCumSum(lags), 1, {{buckets}})) AS reached
    FROM reports FINAL
    WHERE epoch = {{currentEpoch}}
    GROUP BY account
)
COMMENT 'How the reports of each account come, over all partitions: whose rates are waited for, and at which ages'

-- next statement --

CREATE OR REPLACE VIEW v_rolling AS
WITH
    (SELECT complete_to FROM v_watermark) AS mark,
    (SELECT groupArray((shut_from, shut_to)) FROM v_shuttings) AS shuttings,
    if({age:UInt32} = 0, {{buckets}}, indexOf({{edges}}, {age:UInt32})) AS upto,
    cohorts AS
    (
        SELECT account, channel, sender, panes.campaign AS name, variant, minute, sum(panes.sent) AS n_sent, {{sumUpto "n_" "upto"}}
        FROM panes FINAL
        WHERE epoch = {{currentEpoch}}
            AND NOT throwIf(upto = 0, 'age must be 0 or an edge of the delay histograms, in seconds')
            AND NOT throwIf({window:UInt32} = 0 OR {window:UInt32} % 60 != 0, 'window must be whole minutes, in seconds')
        GROUP BY account, channel, sender, name, variant, minute
    ),
    grouped AS
    (
        SELECT
            account, grouping, if(grouping = 'account', '', channel) AS g_channel, if(grouping = 'sender', sender, '') AS g_sender,
            if(grouping IN ('campaign', 'campaign_variant'), name, '') AS g_campaign, if(grouping = 'campaign_variant', variant, '') AS g_variant,
            minute + 60 + {age:UInt32} + step.2 AS at, sum(step.1 * n_sent) AS s_sent, {{sumSigned "s_" "n_" "step.1"}}
        FROM cohorts
        ARRAY JOIN [{{groupings}}] AS grouping
        ARRAY JOIN [(1, 0), (-1, {window:UInt32})] AS step
        WHERE at <= (SELECT complete_to FROM v_watermark) AND (grouping != 'campaign_variant' OR variant != '')
        GROUP BY account, grouping, g_channel, g_sender, g_campaign, g_variant, at
    ),
    -- Of each account: up to which age its reports are late, and the newest.
    reporting AS (SELECT account, ifNull(in_time_from, {{horizon}} + 1) AS late_below, newest FROM v_hearing),
    rolled AS
    (
        SELECT account, grouping, g_channel, g_sender, g_campaign, g_variant, at, sum(s_sent) OVER series AS r_sent, {{sumOver "r_" "s_" "series"}}
        FROM grouped
        WINDOW series AS (PARTITION BY account, grouping, g_channel, g_sender, g_campaign, g_variant ORDER BY at ROWS UNBOUNDED PRECEDING)
    )
SELECT
    account, grouping, g_channel AS channel, g_sender AS sender, g_campaign AS campaign, g_variant AS variant,
    {window:UInt32} AS window, {age:UInt32} AS age, at,
    toBool(NOT arrayExists(s -> s.1 < at AND s.2 > at - {age:UInt32} - {window:UInt32} AND s.2 > mark - toIntervalSecond({{retryGrace}}), shuttings)
        AND (age = 0 OR late_below = 0 OR at + toIntervalSecond({{patience}}) <= mark OR late_below <= age AND newest >= at)) AS heard,
    r_sent AS sent, {{renameTotals "r_"}},
{{rateExpressions}}
FROM rolled LEFT JOIN reporting USING (account)
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Rolling rates of any window and age in seconds, as they are known today: v_rolling(window = 3600, age = 1800). Groupings and columns as in rates; one row whenever a cohort enters or leaves the window, which holds until the next row. heard: what could still be on its way has come, or has been waited for; see v_hearing and v_shuttings'

-- next statement --

CREATE OR REPLACE VIEW v_freshness
(
    stage       LowCardinality(String) COMMENT 'message or rollup; sink/<topic> is the sink in that topic',
    partitions  UInt64 COMMENT 'Input partitions heard',
    next_offset UInt64 COMMENT 'Records folded or inserted, over all partitions',
    complete_to Nullable(DateTime64(3, 'UTC')) COMMENT 'Instant up to which the slowest partition of the stage has heard everything; NULL while it does not know',
    lag_seconds Nullable(Float64) COMMENT 'How far complete_to is behind the newest complete_to of all stages, in seconds',
    accounts_unheard Nullable(UInt64) COMMENT 'Accounts with rates of the last day that are not heard: of rollup alone, else NULL. They come again when they are'
) AS
SELECT
    stage, count() AS partitions, sum(next) AS next_offset, nullIf(min(heard), toDateTime64(0, 3, 'UTC')) AS complete_to,
    dateDiff('millisecond', complete_to, (SELECT max(progress.complete_to) FROM progress WHERE epoch IN (0, {{currentEpoch}}))) / 1000 AS lag_seconds,
    if(stage = '{{stageRollup}}', (SELECT uniqExact(account) FROM rates FINAL
        WHERE epoch = {{currentEpoch}} AND NOT rates.heard AND at > (SELECT max(rates.at) FROM rates WHERE epoch = {{currentEpoch}}) - toIntervalDay(1)), NULL) AS accounts_unheard
FROM
(
    SELECT stage, source, min(newest) AS heard, min(reached) AS next
    FROM
    (
        SELECT stage, source, output, max(version) AS reached, max(progress.complete_to) AS newest
        FROM progress
        WHERE epoch IN (0, {{currentEpoch}}) AND NOT startsWith(stage, 'log/')
        GROUP BY stage, source, output
    )
    GROUP BY stage, source
)
GROUP BY stage
COMMENT 'How fresh each stage is. The reference is the newest complete_to that any stage has reported, so that a virtual clock works too'
