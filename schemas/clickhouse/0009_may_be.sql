-- Opt-outs by campaign, and the answers among which the missing words are.

ALTER TABLE events
    ADD COLUMN IF NOT EXISTS may_be_opt_out Bool DEFAULT false
    COMMENT 'A short answer or label that holds an opt-out word without being one. Its text is not kept'
    AFTER road

-- next statement --

CREATE OR REPLACE VIEW v_opt_outs
(
    day      Date COMMENT 'Day, in UTC, by the provider''s clock',
    account  LowCardinality(String) COMMENT 'Account at the provider',
    channel  LowCardinality(String) COMMENT 'Medium',
    campaign String COMMENT 'Campaign of the message that was answered; ''(unattributed)'' if none was named, or the message has no campaign',
    road     String COMMENT 'How it was said: user_preferences, word or button',
    people   UInt64 COMMENT 'People who left: a person who says so again before coming back counts once, on the day, by the road and with the campaign of the first time',
    named    UInt64 COMMENT 'The part of people whose word or tap names a message that was answered',
    may_be   UInt64 COMMENT 'Answers that hold an opt-out word without being one. They are replies or clicks; many of them mean that a word is missing'
) AS
WITH
    said AS
    (
        -- Copies of one event are one event, of the least time.
        SELECT account, channel, contact_key, event_id, is_out,
            toUnixTimestamp(min(since)) AS at, max(road) AS by_road, max(message_key) AS about
        FROM opt_out_events
        GROUP BY account, channel, contact_key, event_id, is_out
    ),
    following AS
    (
        -- Of one second an opt-out holds, and the opt-in is ignored.
        SELECT *,
            lagInFrame(is_out, 1, false) OVER (PARTITION BY account, channel, contact_key ORDER BY at, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS was_out
        FROM
        (
            SELECT *, max(is_out) OVER (PARTITION BY account, channel, contact_key, at) AS out_then
            FROM said
        )
        WHERE is_out OR NOT out_then
    ),
    leaving AS
    (
        -- A person has several pseudonyms. Whoever had left under one of them had left.
        SELECT account, channel, event_id, min(at) AS left_at, max(by_road) AS road, max(about) AS message_key
        FROM following
        WHERE is_out
        GROUP BY account, channel, event_id
        HAVING max(was_out) = 0
    ),
    counted AS
    (
        SELECT toDate(toDateTime(left_at, 'UTC'), 'UTC') AS day, account, channel, message_key, road,
            count() AS people, countIf(message_key != toFixedString('', 16)) AS named, toUInt64(0) AS may_be
        FROM leaving
        GROUP BY ALL
        UNION ALL
        SELECT toDate(at, 'UTC') AS day, account, channel, message_key, road, toUInt64(0) AS people, toUInt64(0) AS named, count() AS may_be
        FROM
        (
            SELECT account, channel, message_key, event_id, if(max(click_kind) = '', 'word', 'button') AS road, min(occurred_at) AS at
            FROM events
            WHERE may_be_opt_out
            GROUP BY account, channel, message_key, event_id
        )
        GROUP BY ALL
    )
SELECT
    counted.day AS day, counted.account AS account, counted.channel AS channel,
    if(m.campaign = '', '(unattributed)', m.campaign) AS campaign, counted.road AS road,
    sum(counted.people) AS people, sum(counted.named) AS named, sum(counted.may_be) AS may_be
FROM counted
LEFT JOIN
(
    SELECT account, channel, message_key, campaign
    FROM v_messages
    WHERE message_key IN (SELECT message_key FROM counted WHERE message_key != toFixedString('', 16))
) AS m ON m.account = counted.account AND m.channel = counted.channel AND m.message_key = counted.message_key
GROUP BY day, account, channel, campaign, road
COMMENT 'Who left, by day, campaign and road, and how many more may have meant to. Of opt-outs that name no message the campaign is not known'
