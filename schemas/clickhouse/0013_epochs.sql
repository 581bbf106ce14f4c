-- Which epoch counts for which minutes: a rebuild counts from the first minute that
-- it holds as a whole, and earlier minutes stay with the epoch before.

ALTER TABLE epochs
    ADD COLUMN IF NOT EXISTS first_minute DateTime('UTC') DEFAULT toDateTime(0, 'UTC')
    COMMENT 'First send minute that the epoch counts; earlier ones stay with the epoch before. 1970: all'
    AFTER epoch

-- next statement --

CREATE OR REPLACE VIEW v_epochs
(
    epoch UInt32 COMMENT 'Epoch',
    since DateTime('UTC') COMMENT 'First send minute that it counts',
    until DateTime('UTC') COMMENT 'First send minute that it does not count any more'
) AS
SELECT epoch, since, until
FROM
(
    SELECT epoch, sequence, first_minute AS since,
        min(first_minute) OVER (ORDER BY sequence ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS next,
        count() OVER (ORDER BY sequence ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS later,
        if(later = 0, toDateTime(4294967295, 'UTC'), next) AS until
    FROM epochs FINAL
)
WHERE since < until
COMMENT 'Which epoch counts for which send minutes. No minute is in two'

-- next statement --

CREATE OR REPLACE VIEW v_campaigns
(
    account      LowCardinality(String) COMMENT 'Account at the provider',
    channel      LowCardinality(String) COMMENT 'Medium',
    campaign     String COMMENT 'Campaign; (unattributed) where no event of the message names one',
    first_minute DateTime('UTC') COMMENT 'First send minute',
    last_minute  DateTime('UTC') COMMENT 'Last send minute',
{{countColumns}},
    pending      Int64 COMMENT '{{about "pending"}}',
    recovered    Int64 COMMENT '{{about "recovered"}}',
    late         Int64 COMMENT '{{about "late"}}',
    failures     Map(String, Int64) COMMENT '{{about "failures"}}',
    cost_micros  Map(String, Int64) COMMENT '{{about "cost_micros"}}',
    billable     Map(String, Int64) COMMENT '{{about "billable"}}',
{{rateColumns}},
    cost             Map(String, Float64) COMMENT 'Known cost by currency, in units of the currency',
    cost_per_engaged Map(String, Nullable(Float64)) COMMENT 'cost / engaged by currency, in units of the currency',
    benchmarks   Map(String, Float64) COMMENT 'Distance to each benchmark, rate minus reference as a fraction, by metric/tier@age in seconds, over the cohorts that had reached that age; what should be low and is final at the horizon is so far, over all. Vendor claims take no part',
    verdict      String COMMENT 'The same in words, with the uncertainty of the rate taken into account'
) AS
WITH
    tallies AS
    (
        SELECT
            account, channel, panes.campaign AS name, min(panes.minute) AS first_minute, max(panes.minute) AS last_minute,
            sum(panes.sent) AS n_sent, {{sumTotals "n_"}},
            sum(panes.recovered) AS n_recovered, sum(panes.late) AS n_late,
            sumMap(panes.failures) AS m_failures, sumMap(panes.cost_micros) AS m_cost, sumMap(panes.billable) AS m_billable
        FROM panes FINAL
        WHERE {{counts "panes.minute"}}
        GROUP BY account, channel, name
        HAVING n_sent != 0
    ),
    -- What panes do not know at an age, no campaign can miss.
    ages AS (SELECT DISTINCT benchmarks.age AS age FROM benchmarks FINAL WHERE kind != 'vendor claim' AND has({{edges}}, benchmarks.age)),
    aged AS
    (
        SELECT
            account, channel, panes.campaign AS name, age, sum(panes.sent) AS n_sent, {{sumAtAge "n_" "ages.age"}},
            min(panes.minute + 60 + ages.age <= (SELECT complete_to FROM v_watermark)) AS mature
        FROM panes FINAL CROSS JOIN ages
        WHERE {{counts "panes.minute"}} AND (ages.age = {{horizon}} OR panes.minute + 60 + ages.age <= (SELECT complete_to FROM v_watermark))
        GROUP BY account, channel, name, age
        HAVING n_sent != 0
    ),
    measured AS
    (
        SELECT account, channel, name, age, mature, metric, k, n, k / nullIf(n, 0) AS rate, {{wilsonLow "k" "n"}} AS low, {{wilsonHigh "k" "n"}} AS high
        FROM aged
        ARRAY JOIN
            [{{metricNames}}] AS metric,
            [{{metricNumerators "n_"}}] AS k,
            [{{metricDenominators "n_"}}] AS n
    ),
    held AS
    (
        SELECT
            account, channel, name, metric, m.age AS age, tier, any(rate) AS is, any(low) AS is_low, any(high) AS is_high,
            argMax(value, (kind = 'operator', as_of, source)) AS reference,
            if(any(better) = 'higher', is_low >= reference, is_high <= reference) AS met,
            if(any(better) = 'higher', is_high < reference, is_low > reference) AS missed
        FROM measured AS m
        INNER JOIN (SELECT * FROM benchmarks FINAL WHERE kind != 'vendor claim') AS b ON m.metric = b.metric AND m.age = b.age
        -- The final figure of what should be low only grows: a limit that is crossed
        -- already is crossed for good, so it need not be waited for.
        WHERE isNotNull(m.rate) AND (b.channel = '' OR b.channel = m.channel) AND (m.mature OR b.better = 'lower')
        GROUP BY account, channel, name, metric, age, tier
    ),
    judged AS
    (
        SELECT account, channel, name, metric, age, any(held.is) AS rate_is, groupArray((tier, reference)) AS tiers,
            concat(metric, ' ', toString(round(100 * any(held.is), 1)), if(age = {{horizon}}, ' % so far', concat(' % at ', {{ageWords "age"}})), ': ', arrayStringConcat(
                arrayMap(x -> concat(multiIf(x.3, 'meets ', x.4, 'misses ', 'too close to tell from '), x.1, ' ', toString(round(100 * x.2, 2)), ' %'),
                    arraySort(x -> x.2, groupArray((tier, reference, met, missed)))), ', ')) AS words
        FROM held
        GROUP BY account, channel, name, metric, age
    ),
    verdicts AS
    (
        SELECT account, channel, name,
            mapFromArrays(
                arrayFlatten(groupArray(arrayMap(x -> concat(metric, '/', x.1, '@', toString(age)), tiers))),
                arrayFlatten(groupArray(arrayMap(x -> assumeNotNull(rate_is) - x.2, tiers)))) AS distances,
            arrayStringConcat(arrayMap(x -> x.2, arraySort(groupArray(((metric, age), words)))), '; ') AS words
        FROM judged
        GROUP BY account, channel, name
    )
SELECT
    account, channel, if(name = '', '(unattributed)', name) AS campaign, first_minute, last_minute,
    n_sent AS sent, {{renameTotals "n_"}},
    sent - delivered - failed AS pending, n_recovered AS recovered, n_late AS late,
    mapFilter((k, v) -> v != 0, m_failures) AS failures, mapFilter((k, v) -> v != 0, m_cost) AS cost_micros,
    mapFilter((k, v) -> v != 0, m_billable) AS billable,
{{rateExpressions}},
    mapApply((k, v) -> (k, v / 1000000), cost_micros) AS cost,
    mapApply((k, v) -> (k, v / 1000000 / nullIf(n_engaged, 0)), cost_micros) AS cost_per_engaged,
    distances AS benchmarks,
    if(words = '', 'too early: no cohort is old enough for any benchmark', words) AS verdict
FROM tallies
LEFT JOIN verdicts USING (account, channel, name)
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per account, channel and campaign over all time: counts and rates so far, cost, and how it stands against the benchmarks at equal age'

-- next statement --

CREATE OR REPLACE VIEW v_cohort_curve
(
    account  LowCardinality(String) COMMENT 'Account at the provider',
    channel  LowCardinality(String) COMMENT 'Medium',
    campaign String COMMENT 'Campaign; (unattributed) where no event of the message names one',
    age      UInt32 COMMENT 'Age of the cohorts in seconds: an upper edge of the delay histograms',
{{countColumns}},
{{rateColumns}}
) AS
SELECT
    account, channel, if(name = '', '(unattributed)', name) AS campaign, age,
    n_sent AS sent, {{renameTotals "n_"}},
{{rateExpressions}}
FROM
(
    SELECT account, channel, panes.campaign AS name, age, sum(panes.sent) AS n_sent, {{sumAtAge "n_" "age"}}
    FROM panes FINAL
    ARRAY JOIN arrayMap(x -> toUInt32(x), {{edges}}) AS age
    WHERE {{counts "panes.minute"}} AND panes.minute + 60 + age <= (SELECT complete_to FROM v_watermark)
    GROUP BY account, channel, name, age
    HAVING n_sent != 0
)
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Rates by delay, each over the cohorts that have reached the age: for comparing campaigns at equal age'

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
        WHERE {{counts "panes.minute"}}
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

CREATE OR REPLACE VIEW v_rates
(
    epoch    UInt32 COMMENT 'Epoch that derived the row',
    account  LowCardinality(String) COMMENT 'Account at the provider',
    grouping LowCardinality(String) COMMENT 'What the series is grouped by: account, channel, sender, campaign or campaign_variant; every one but account within a channel',
    channel  LowCardinality(String) COMMENT 'Medium; '''' where not grouped by it',
    sender   LowCardinality(String) COMMENT 'Sending identity; '''' where not grouped by it',
    campaign LowCardinality(String) COMMENT 'Campaign; '''' where not grouped by it or unknown',
    variant  LowCardinality(String) COMMENT 'Variant; '''' where not grouped by it or unknown',
    series   FixedString(16) COMMENT 'First 16 bytes of SHA-256 over channel, sender, campaign, variant, 0-separated: the series within account and grouping',
    window   UInt32 COMMENT 'Length of the run of cohorts in seconds',
    age      UInt32 COMMENT 'How old each cohort is when it is judged, in seconds; 0 means so far: immature',
    at       DateTime('UTC') COMMENT 'When it was known. The cohorts are those sent in [at - age - window, at - age)',
    heard    Bool COMMENT 'False while reports of its cohorts may still be on their way',
{{countColumns}},
    pending  Int64 COMMENT '{{about "pending"}}',
{{rateColumns}},
    version  UInt64 COMMENT 'Offset in panes of the record that closed at'
) AS
SELECT *
FROM rates FINAL
WHERE {{counts "toDateTime(toUInt32(rates.at) - rates.age - rates.window, 'UTC')"}}
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'rates, each as the epoch says that counts for the first of its cohorts'

-- next statement --

CREATE OR REPLACE VIEW v_alerts
(
    epoch            UInt32 COMMENT 'Epoch that derived the row',
    account          LowCardinality(String) COMMENT 'Account at the provider',
    rule             LowCardinality(String) COMMENT 'Rule that judged',
    grouping         LowCardinality(String) COMMENT 'What the series is grouped by, as in rates',
    channel          LowCardinality(String) COMMENT 'Medium; '''' where not grouped by it',
    sender           LowCardinality(String) COMMENT 'Sending identity; '''' where not grouped by it',
    campaign         LowCardinality(String) COMMENT 'Campaign; '''' where not grouped by it',
    variant          LowCardinality(String) COMMENT 'Variant; '''' where not grouped by it',
    series           FixedString(16) COMMENT 'Identity of the series, as in rates',
    opened_at        DateTime('UTC') COMMENT 'at of the observation that opened the incident; names it together with rule and series',
    at               DateTime('UTC') COMMENT 'at of the observation that caused this row',
    state            LowCardinality(String) COMMENT 'firing or resolved',
    severity         LowCardinality(String) COMMENT 'info, warn or page',
    reason           LowCardinality(String) COMMENT 'Closed word that explains the decision',
    metric           LowCardinality(String) COMMENT 'Rate that was judged, e.g. opt_out_rate',
    numerator        Int64 COMMENT 'Numerator of the rate over the cohorts judged, in messages',
    denominator      Int64 COMMENT 'Denominator of the rate over the cohorts judged, in messages',
    age              UInt32 COMMENT 'Age at which the cohorts were judged, in seconds',
    reference        Float64 COMMENT 'Rate it is held against, a fraction',
    reference_source String COMMENT 'Benchmark row or history the reference came from',
    statistic        Float64 COMMENT 'Natural logarithm of the test statistic',
    threshold        Float64 COMMENT 'Natural logarithm of the value at which it fires',
    since            DateTime('UTC') COMMENT 'Send minute of the first cohort that counts',
    sql              String COMMENT 'Query that reproduces the numbers',
    notified         Bool COMMENT 'Every receiver took it, or nobody was to be told: reason says why',
    version          UInt64 COMMENT 'Offset * 2, plus 1 once notified'
) AS
SELECT *
FROM alerts FINAL
WHERE {{counts "alerts.opened_at"}}
COMMENT 'alerts, each incident as the epoch says that counts for the minute in which it opened'
