CREATE TABLE IF NOT EXISTS benchmarks
(
    metric  LowCardinality(String) COMMENT 'Rate or ratio the row is about, e.g. open_rate',
    channel LowCardinality(String) COMMENT 'Medium it is about; '''' is every one',
    tier    LowCardinality(String) COMMENT 'floor, baseline, average, optimised, best, range or claim; warn and page are alert limits',
    age     UInt32 COMMENT 'Age of a cohort at which it may be held against the row, in seconds: an upper edge of the delay histograms of panes. At another age no campaign is held against it',
    value   Float64 COMMENT 'What has to be met: the low end of a range, or the high end where lower is better. A fraction',
    low     Float64 COMMENT 'Low end of the range; equal to high for a single value. A fraction',
    high    Float64 COMMENT 'High end of the range. A fraction',
    better  Enum8('higher' = 1, 'lower' = 2) COMMENT 'Which direction is good',
    source  LowCardinality(String) COMMENT 'Who says so',
    kind    LowCardinality(String) COMMENT 'guide, vendor claim, policy, project default or operator: how much it is worth',
    as_of   Date COMMENT 'Date of the source',
    note    String COMMENT 'What the source says about it',
    version UInt64 COMMENT 'Counts the changes of the row; the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (metric, channel, tier, age, source)
COMMENT 'Reference values: guides, not verdicts. Operators add rows of kind operator. Read FINAL';
