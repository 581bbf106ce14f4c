-- What the folds know: counts per send minute, rolling rates, incidents.

CREATE TABLE IF NOT EXISTS panes
(
    epoch       UInt32 COMMENT 'Epoch that derived the row; only rows of the one in epochs count',
    source      Int32 COMMENT 'Partition of the topic events that counted it: rows of one pane are summed over it',
    minute      DateTime('UTC') COMMENT 'Start of the send minute',
    account     LowCardinality(String) COMMENT 'Account at the provider',
    channel     LowCardinality(String) COMMENT 'Medium, e.g. whatsapp',
    sender      LowCardinality(String) COMMENT 'Sending identity',
    country     LowCardinality(String) COMMENT 'ISO 3166 alpha-2 country of the contact; '''' if unknown',
    campaign    LowCardinality(String) COMMENT 'Campaign; '''' if unknown',
    template    LowCardinality(String) COMMENT 'Message template; '''' if unknown',
    variant     LowCardinality(String) COMMENT 'Variant of an A/B test; '''' if unknown',
    segment     LowCardinality(String) COMMENT 'Audience segment; '''' if unknown',
    sent        Int64 COMMENT '{{about "sent"}}',
{{outcomeArrays}},
    recovered   Int64 COMMENT '{{about "recovered"}}',
    late        Int64 COMMENT '{{about "late"}}',
    failures    Map(LowCardinality(String), Int64) COMMENT '{{about "failures"}}',
    cost_micros Map(LowCardinality(String), Int64) COMMENT '{{about "cost_micros"}}',
    billable    Map(LowCardinality(String), Int64) COMMENT '{{about "billable"}}',
    version     UInt64 COMMENT 'Offset in events of the last record applied when the row was emitted; the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMMDD(minute)
ORDER BY (epoch, account, channel, campaign, minute, template, variant, segment, country, sender, source)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Absolute counts of the messages sent in one minute with one tuple of dimensions, as one source partition knows them. Read FINAL, the epoch that counts, summed over source; v_campaigns and v_rolling do';

-- next statement --

CREATE TABLE IF NOT EXISTS rates
(
    epoch    UInt32 COMMENT 'Epoch that derived the row; only rows of the one in epochs count',
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
{{countColumns}},
    pending  Int64 DEFAULT sent - delivered - failed COMMENT '{{about "pending"}}',
{{rateDefaults}},
    version  UInt64 COMMENT 'Offset in panes of the record that closed at; the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMMDD(at)
ORDER BY (epoch, account, grouping, series, window, age, at)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Rolling rates as they were known at each minute, emitted once and never revised; the revised truth is in panes. Rates are fractions, NULL where the denominator is 0, with 95 % Wilson bounds';

-- next statement --

CREATE TABLE IF NOT EXISTS alerts
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
    version          UInt64 COMMENT 'Offset * 2, plus 1 once notified; the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (epoch, account, rule, grouping, series, opened_at)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Incidents: the newest row of each. Read FINAL';
