-- What the door left out, cut, folded together and could not read, by account.

ALTER TABLE dead_letters
    ADD COLUMN IF NOT EXISTS account LowCardinality(String) DEFAULT ''
    COMMENT 'Account whose item it is, where that is known'
    AFTER source

-- next statement --

CREATE OR REPLACE VIEW v_limits
(
    day      Date COMMENT 'Day in UTC, by our clock',
    account  LowCardinality(String) COMMENT 'Account at the provider; '''' if it is not known whose it is',
    what     LowCardinality(String) COMMENT 'other: the value became (other). withheld: texts were left out. cut: texts were cut. clamped: the time lay ahead of our clock. dead letter: it could not become an event',
    why      String COMMENT 'other: too many values of a dimension, or too many combinations. Of a dead letter its reason',
    field    LowCardinality(String) COMMENT 'The dimension that became (other); of a dead letter its source; else ''''',
    events   UInt64 COMMENT 'Events, or dead letters, that this was done to',
    different UInt64 COMMENT 'other: how many different values it was; else 0',
    examples Array(String) COMMENT 'other: some of the values; of a dead letter some places of items'
) AS
SELECT
    toDate(first_received, 'UTC') AS day, account, mark.1 AS what, mark.2 AS why, mark.3 AS field,
    count() AS events, if(mark.1 = 'other', uniqExact(mark.4), 0) AS different, arraySort(groupUniqArrayIf(3)(mark.4, mark.1 = 'other')) AS examples
FROM
(
    -- Copies of one event are one event.
    SELECT account, event_id, min(received_at) AS first_received,
        arrayJoin(groupUniqArrayArray(arrayConcat(
            arrayMap(k -> ('other', if(startsWith(k, '{{markValues}}'), 'too many values', 'too many combinations'), substring(k, {{len markValues}} + 1), extra[k]),
                arrayFilter(k -> startsWith(k, '{{markValues}}') OR startsWith(k, '{{markTuples}}'), mapKeys(extra))),
            if(mapContains(extra, '{{markWithheld}}'), [('withheld', 'it held a phone number or an id', '', '')], []),
            if(mapContains(extra, '{{markCut}}'), [('cut', 'longer than what is kept', '', '')], []),
            if(clamped, [('clamped', 'ahead of our clock', '', '')], [])))) AS mark
    FROM events
    GROUP BY account, event_id
)
GROUP BY day, account, what, why, field
UNION ALL
SELECT toDate(received_at, 'UTC') AS day, account, 'dead letter' AS what, reason AS why, source AS field, count() AS events, toUInt64(0) AS different, arraySort(groupUniqArray(3)(place)) AS examples
FROM dead_letters FINAL
WHERE stage = '{{stageIngest}}'
GROUP BY day, account, why, field
COMMENT 'What the door did to what an account sent, and why: a row per account, day and kind. What is not here went in as it came'
