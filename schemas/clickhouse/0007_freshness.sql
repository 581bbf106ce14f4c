CREATE OR REPLACE VIEW v_freshness
(
    stage       LowCardinality(String) COMMENT 'message or rollup; sink/<topic> is the sink in that topic',
    partitions  UInt64 COMMENT 'Input partitions heard',
    next_offset UInt64 COMMENT 'Records folded or inserted, over all partitions',
    complete_to DateTime64(3, 'UTC') COMMENT 'Instant up to which the slowest partition of the stage has heard everything',
    lag_seconds Float64 COMMENT 'How far complete_to is behind the newest complete_to of all stages, in seconds'
) AS
SELECT
    stage, count() AS partitions, sum(next) AS next_offset, min(heard) AS complete_to,
    dateDiff('millisecond', complete_to, (SELECT max(progress.complete_to) FROM progress WHERE epoch IN (0, {{currentEpoch}}))) / 1000 AS lag_seconds
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
