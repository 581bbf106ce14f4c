-- Rates over panes. Every view reads panes FINAL, in the epoch that counts,
-- summed over the source partitions.

CREATE OR REPLACE VIEW v_watermark
(
    epoch       UInt32 COMMENT 'The epoch that counts',
    complete_to Nullable(DateTime64(3, 'UTC')) COMMENT 'Instant up to which panes have heard everything; NULL until every source partition has been heard'
) AS
SELECT
    {{currentEpoch}} AS epoch,
    if(count() > 0 AND count() = max(sources), min(heard), NULL) AS complete_to
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
        WHERE epoch = {{currentEpoch}}
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
        WHERE epoch = {{currentEpoch}} AND (ages.age = {{horizon}} OR panes.minute + 60 + ages.age <= (SELECT complete_to FROM v_watermark))
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

CREATE OR REPLACE VIEW v_funnel
(
    account     LowCardinality(String) COMMENT 'Account at the provider',
    channel     LowCardinality(String) COMMENT 'Medium',
    campaign    String COMMENT 'Campaign; (unattributed) where no event of the message names one',
    position    UInt8 COMMENT 'Place in the funnel, from 1',
    step        String COMMENT 'sent, delivered, opened or engaged',
    messages    Int64 COMMENT 'Messages that came so far',
    of_sent     Nullable(Float64) COMMENT 'messages / sent, a fraction',
    of_previous Nullable(Float64) COMMENT 'messages / those of the step before, a fraction; 1 for the first'
) AS
SELECT
    account, channel, campaign, position, step, messages,
    messages / nullIf(sent, 0) AS of_sent, messages / nullIf(previous, 0) AS of_previous
FROM v_campaigns
ARRAY JOIN
    [toUInt8(1), 2, 3, 4] AS position,
    ['sent', 'delivered', 'opened', 'engaged'] AS step,
    [sent, delivered, opened, engaged] AS messages,
    [sent, sent, delivered, opened] AS previous
COMMENT 'From sent to engaged, per campaign over all time'

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
    WHERE epoch = {{currentEpoch}} AND panes.minute + 60 + age <= (SELECT complete_to FROM v_watermark)
    GROUP BY account, channel, name, age
    HAVING n_sent != 0
)
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Rates by delay, each over the cohorts that have reached the age: for comparing campaigns at equal age'

-- next statement --

CREATE OR REPLACE VIEW v_rolling AS
WITH
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
    rolled AS
    (
        SELECT account, grouping, g_channel, g_sender, g_campaign, g_variant, at, sum(s_sent) OVER series AS r_sent, {{sumOver "r_" "s_" "series"}}
        FROM grouped
        WINDOW series AS (PARTITION BY account, grouping, g_channel, g_sender, g_campaign, g_variant ORDER BY at ROWS UNBOUNDED PRECEDING)
    )
SELECT
    account, grouping, g_channel AS channel, g_sender AS sender, g_campaign AS campaign, g_variant AS variant,
    {window:UInt32} AS window, {age:UInt32} AS age, at, r_sent AS sent, {{renameTotals "r_"}},
{{rateExpressions}}
FROM rolled
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Rolling rates of any window and age in seconds, as they are known today: v_rolling(window = 3600, age = 1800). Groupings and columns as in rates; one row whenever a cohort enters or leaves the window, which holds until the next row'
