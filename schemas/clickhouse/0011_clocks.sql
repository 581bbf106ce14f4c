-- Times that were ahead of our clock. Of several for one fact one that was not
-- clamped counts, else the least.

ALTER TABLE events
    ADD COLUMN IF NOT EXISTS clamped Bool DEFAULT false
    COMMENT 'occurred_at is received_at, because the provider''s clock was ahead of ours: a guess. event_id is made of the provider''s own time, so a retry has the same'
    AFTER occurred_at

-- next statement --

ALTER TABLE opt_out_events
    ADD COLUMN IF NOT EXISTS unclamped SimpleAggregateFunction(min, DateTime64(3, 'UTC')) DEFAULT since
    COMMENT 'The least time of the copies of the event that was not clamped; the year 2200 if every one was'
    AFTER since

-- next statement --

CREATE OR REPLACE VIEW v_messages
(
    account          LowCardinality(String) COMMENT 'Account at the provider',
    channel          LowCardinality(String) COMMENT 'Medium, e.g. whatsapp',
    message_key      FixedString(16) COMMENT 'The message: first 16 bytes of SHA-256 over channel, account and the provider''s message id, 0-separated',
    sender           String COMMENT 'Sending identity',
    country          String COMMENT 'ISO 3166 alpha-2 country of the contact; '''' if unknown',
    campaign         String COMMENT 'Campaign; '''' if unknown. Of several events the best source counts: a registration, then the callback data, then the identity',
    template         String COMMENT 'Message template; '''' if unknown',
    variant          String COMMENT 'Variant of an A/B test; '''' if unknown',
    segment          String COMMENT 'Audience segment; '''' if unknown',
    language         String COMMENT 'Language; '''' if unknown',
    sent_at          DateTime('UTC') COMMENT 'Send time: sent, else dispatched, else the first of failed and delivered',
    minute           DateTime('UTC') COMMENT 'Start of the send minute: the pane of the message',
    delivered_at     Nullable(DateTime('UTC')) COMMENT 'First of delivered, read, clicked, replied and opted_out',
    opened_at        Nullable(DateTime('UTC')) COMMENT 'First of read, clicked, replied and opted_out: receipts can be switched off, a click cannot hide',
    read_at          Nullable(DateTime('UTC')) COMMENT 'First read receipt',
    clicked_at       Nullable(DateTime('UTC')) COMMENT 'First click or tap',
    replied_at       Nullable(DateTime('UTC')) COMMENT 'First reply that names the message',
    engaged_at       Nullable(DateTime('UTC')) COMMENT 'First of clicked and replied',
    opted_out_at     Nullable(DateTime('UTC')) COMMENT 'First opt-out that names the message',
    failed_at        Nullable(DateTime('UTC')) COMMENT 'First failure, also of a message that recovered',
    recovered_at     Nullable(DateTime('UTC')) COMMENT 'When a message that failed was delivered too: the later of both',
    delivered_delay  Nullable(UInt32) COMMENT 'delivered_at - sent_at in seconds, at least 0',
    opened_delay     Nullable(UInt32) COMMENT 'opened_at - sent_at in seconds, at least 0',
    read_delay       Nullable(UInt32) COMMENT 'read_at - sent_at in seconds, at least 0',
    clicked_delay    Nullable(UInt32) COMMENT 'clicked_at - sent_at in seconds, at least 0',
    replied_delay    Nullable(UInt32) COMMENT 'replied_at - sent_at in seconds, at least 0',
    engaged_delay    Nullable(UInt32) COMMENT 'engaged_at - sent_at in seconds, at least 0',
    opted_out_delay  Nullable(UInt32) COMMENT 'opted_out_at - sent_at in seconds, at least 0',
    failed_delay     Nullable(UInt32) COMMENT 'failed_at - sent_at in seconds, at least 0',
    recovered_delay  Nullable(UInt32) COMMENT 'recovered_at - sent_at in seconds, at least 0',
    sent             UInt8 COMMENT '1: every row is a known message',
    delivered        UInt8 COMMENT '1 if delivered, or anything that implies it',
    opened           UInt8 COMMENT '1 if read, clicked, replied to, or left by quoting it',
    read             UInt8 COMMENT '1 if a read receipt came',
    clicked          UInt8 COMMENT '1 if clicked or tapped',
    replied          UInt8 COMMENT '1 if answered',
    engaged          UInt8 COMMENT '1 if clicked or replied to',
    opted_out        UInt8 COMMENT '1 if an opt-out names it',
    failed           UInt8 COMMENT '1 if it failed and was never delivered',
    withheld         UInt8 COMMENT '1 if it failed for a reason that is neither the sender''s nor the network''s doing',
    pending          UInt8 COMMENT '1 if neither delivered nor failed',
    recovered        UInt8 COMMENT '1 if it failed and was delivered too',
    late             UInt8 COMMENT 'Number of its outcome facts beyond the horizon of {{horizonDays}} days; they count nowhere else',
    failure_category String COMMENT 'Category of its first failure, also of a message that recovered; '''' if it never failed',
    failure_code     Int32 COMMENT 'The provider''s error code of its first failure; 0 if it never failed',
    cost_category    String COMMENT 'The provider''s billing category',
    cost_billable    Bool COMMENT 'The provider charges for it',
    cost_micros      Nullable(Int64) COMMENT 'Cost in millionths of cost_currency; NULL if unknown. Of several a known amount counts, then the newest',
    cost_currency    String COMMENT 'ISO 4217 currency of cost_micros',
    events           UInt64 COMMENT 'Number of different events of the message',
    first_received_at DateTime64(3, 'UTC') COMMENT 'When its first event was received, by our clock',
    last_received_at DateTime64(3, 'UTC') COMMENT 'When its newest event was received, by our clock',
    relapsed         UInt8 COMMENT '1 if an event came more than {{memoryDays}} days after the first one and the send time: panes have forgotten it by then, so they may count it differently',
    source_partition Int32 COMMENT 'Partition of the topic events that holds it',
    last_offset      UInt64 COMMENT 'Greatest offset of its events in that partition'
) AS
WITH
    {{never}} AS never,
    facts AS
    (
        SELECT
            account, channel, message_key, event_id, type, sender, country, campaign, template, variant, segment, language,
            toInt64(toUnixTimestamp(events.occurred_at)) AS at, clamped,
            -- When and which, as bytes that compare like the pair: occurred_at in milliseconds, then event_id.
            concat(reverse(reinterpretAsFixedString(toUnixTimestamp64Milli(events.occurred_at))), event_id) AS origin,
            -- The least wins a dimension: best source, newest decoder, first event.
            concat(char(3 - toUInt8(dimension_source), 255 - source_revision), origin) AS by_source,
            concat(char(if(type = 'dispatched', 0, 2), 255 - source_revision), origin) AS by_identity,
            failure_code AS code, if(failure_category = '', '{{otherFailure}}', failure_category) AS category,
            has_cost, cost_category, cost_billable, cost_micros, if(isNull(cost_micros), '', events.cost_currency) AS currency,
            received_at, source_partition, source_offset
        FROM events
        WHERE message_key != toFixedString('', 16)
    ),
    joined AS
    (
        SELECT
            account, channel, message_key,
            {{dimension "sender" "by_identity"}},
            {{dimension "country" "by_identity"}},
            {{dimension "campaign" "by_source"}},
            {{dimension "template" "by_source"}},
            {{dimension "variant" "by_source"}},
            {{dimension "segment" "by_source"}},
            {{dimension "language" "by_source"}},
            {{fact "dispatched"}},
            {{fact "sent"}},
            {{fact "delivered"}},
            {{fact "read"}},
            {{fact "failed"}},
            {{fact "clicked"}},
            {{fact "replied"}},
            {{fact "opted_out"}},
            argMinIf((category, code), (clamped, at, code, category), type = 'failed') AS first_failure,
            argMinIf(
                (cost_category, cost_billable, cost_micros, currency),
                (isNull(cost_micros), bitNot(reinterpretAsUInt256(reverse(origin))), NOT cost_billable, cost_category, currency, ifNull(cost_micros, 0)),
                has_cost) AS cost,
            uniqExact(event_id) AS n_events, min(received_at) AS first_received, max(received_at) AS last_received,
            min(source_partition) AS in_partition, max(source_offset) AS in_offset
        FROM facts
        GROUP BY account, channel, message_key
    ),
    timed AS
    (
        SELECT *,
            multiIf(f_sent < never, f_sent, f_dispatched < never, f_dispatched, least(f_failed, f_delivered)) AS send,
            {{inTime "delivered"}} AS t_delivered,
            {{inTime "read"}} AS t_read,
            {{inTime "failed"}} AS t_failed,
            {{inTime "clicked"}} AS t_clicked,
            {{inTime "replied"}} AS t_replied,
            {{inTime "opted_out"}} AS t_opted_out,
            {{isLate "delivered"}} + {{isLate "read"}} + {{isLate "failed"}} + {{isLate "clicked"}} + {{isLate "replied"}} + {{isLate "opted_out"}} AS n_late
        FROM joined
        WHERE least(f_sent, f_delivered, f_failed) < never
            OR (f_dispatched < never AND least(f_read, f_clicked, f_replied, f_opted_out) < never)
    ),
    derived AS
    (
        SELECT *,
            least(t_delivered, t_read, t_clicked, t_replied, t_opted_out) AS o_delivered,
            least(t_read, t_clicked, t_replied, t_opted_out) AS o_opened,
            least(t_clicked, t_replied) AS o_engaged,
            if(t_failed < never AND o_delivered < never, greatest(t_failed, o_delivered), never) AS o_recovered
        FROM timed
    )
SELECT
    account, channel, message_key, d_sender AS sender, d_country AS country, d_campaign AS campaign,
    d_template AS template, d_variant AS variant, d_segment AS segment, d_language AS language,
    toDateTime(send, 'UTC') AS sent_at, toStartOfMinute(sent_at) AS minute,
    {{outcomeAt "o_delivered"}} AS delivered_at, {{outcomeAt "o_opened"}} AS opened_at, {{outcomeAt "t_read"}} AS read_at,
    {{outcomeAt "t_clicked"}} AS clicked_at, {{outcomeAt "t_replied"}} AS replied_at, {{outcomeAt "o_engaged"}} AS engaged_at,
    {{outcomeAt "t_opted_out"}} AS opted_out_at, {{outcomeAt "t_failed"}} AS failed_at, {{outcomeAt "o_recovered"}} AS recovered_at,
    {{delay "o_delivered"}} AS delivered_delay, {{delay "o_opened"}} AS opened_delay, {{delay "t_read"}} AS read_delay,
    {{delay "t_clicked"}} AS clicked_delay, {{delay "t_replied"}} AS replied_delay, {{delay "o_engaged"}} AS engaged_delay,
    {{delay "t_opted_out"}} AS opted_out_delay, {{delay "t_failed"}} AS failed_delay, {{delay "o_recovered"}} AS recovered_delay,
    toUInt8(1) AS sent, o_delivered < never AS delivered, o_opened < never AS opened, t_read < never AS read,
    t_clicked < never AS clicked, t_replied < never AS replied, o_engaged < never AS engaged,
    t_opted_out < never AS opted_out, (t_failed < never AND o_delivered = never) AS failed,
    (failed AND failure_category IN ({{withheld}})) AS withheld,
    (o_delivered = never AND t_failed = never) AS pending, o_recovered < never AS recovered, toUInt8(n_late) AS late,
    if(t_failed = never, '', first_failure.1) AS failure_category,
    if(t_failed = never, 0, first_failure.2) AS failure_code,
    cost.1 AS cost_category, cost.2 AS cost_billable, cost.3 AS cost_micros, cost.4 AS cost_currency,
    n_events AS events, first_received AS first_received_at, last_received AS last_received_at,
    last_received > greatest(first_received, if(sent_at <= first_received + INTERVAL {{memoryDays}} DAY, sent_at, first_received)) + INTERVAL {{memoryDays}} DAY AS relapsed,
    in_partition AS source_partition, in_offset AS last_offset
FROM derived
COMMENT 'One row per known message with its dimensions, times, delays in seconds and outcomes as 0 or 1: sum(delivered) / sum(sent) is the delivery rate. Messages of which only clicks, reads or a registration are known are not listed. Join your own tables on message_key'

-- next statement --

CREATE OR REPLACE VIEW v_pulse
(
    minute     DateTime('UTC') COMMENT 'Minute in which it happened, by the provider''s clock',
    account    LowCardinality(String) COMMENT 'Account at the provider',
    channel    LowCardinality(String) COMMENT 'Medium',
    dispatched UInt64 COMMENT 'Registrations of messages, in events',
    sent       UInt64 COMMENT 'sent events',
    delivered  UInt64 COMMENT 'delivered events',
    read       UInt64 COMMENT 'read events',
    failed     UInt64 COMMENT 'failed events',
    clicked    UInt64 COMMENT 'clicked events',
    replied    UInt64 COMMENT 'replied events, also those that name no message',
    opted_out  UInt64 COMMENT 'opted_out events, also those that name no message',
    opted_in   UInt64 COMMENT 'opted_in events',
    converted  UInt64 COMMENT 'converted events',
    quality    UInt64 COMMENT 'Quality and restriction notices',
    other      UInt64 COMMENT 'Events that are kept and never counted'
) AS
SELECT
    toDateTime(toStartOfMinute(at), 'UTC') AS minute, account, channel,
    countIf(type = 'dispatched') AS dispatched, countIf(type = 'sent') AS sent, countIf(type = 'delivered') AS delivered,
    countIf(type = 'read') AS read, countIf(type = 'failed') AS failed, countIf(type = 'clicked') AS clicked,
    countIf(type = 'replied') AS replied, countIf(type = 'opted_out') AS opted_out, countIf(type = 'opted_in') AS opted_in,
    countIf(type = 'converted') AS converted, countIf(type = 'quality') AS quality, countIf(type = 'other') AS other
FROM
(
    -- Of the copies of an event one that was not clamped counts, else the least time.
    SELECT account, channel, type, argMin(occurred_at, (clamped, occurred_at)) AS at
    FROM events
    GROUP BY account, channel, type, event_id
)
GROUP BY minute, account, channel
COMMENT 'What happened in each minute, counted in events and not in messages: the pulse of the traffic, not a rate'

-- next statement --

CREATE OR REPLACE VIEW opt_outs
(
    account     LowCardinality(String) COMMENT 'Account at the provider; an opt-out holds for it alone',
    channel     LowCardinality(String) COMMENT 'Medium the person left or came back to',
    contact_key FixedString(16) COMMENT 'Pseudonym of the person, as in events.contact_keys',
    is_out      Bool COMMENT 'true: must not be written to; false: has opted in again since',
    since       DateTime64(3, 'UTC') COMMENT 'When the person said so last, by the provider''s clock',
    road        String COMMENT 'How it was said: user_preferences, word or button',
    message_key FixedString(16) COMMENT 'The message the person answered with it. All zeros: it named none'
) AS
SELECT account, channel, contact_key, last.2 AS is_out, last.3 AS since, last.4 AS road, last.5 AS message_key
FROM
(
    -- The newest word, in whole seconds; of one second the opt-out.
    SELECT account, channel, contact_key, max((toUnixTimestamp(said), is_out, said, by_road, about)) AS last
    FROM
    (
        SELECT account, channel, contact_key, event_id, is_out, if(min(opt_out_events.unclamped) < {{farAway}}, min(opt_out_events.unclamped), min(since)) AS said, max(road) AS by_road, max(message_key) AS about
        FROM opt_out_events
        GROUP BY account, channel, contact_key, event_id, is_out
    )
    GROUP BY account, channel, contact_key
)
COMMENT 'Suppression list: the last word of every person who ever opted out or in, one row per pseudonym. Read where is_out'

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
        -- Copies of one event are one event, of the time that was not clamped, else the least.
        SELECT account, channel, contact_key, event_id, is_out,
            toUnixTimestamp(if(min(opt_out_events.unclamped) < {{farAway}}, min(opt_out_events.unclamped), min(since))) AS at, max(road) AS by_road, max(message_key) AS about
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
            SELECT account, channel, message_key, event_id, if(max(click_kind) = '', 'word', 'button') AS road, argMin(occurred_at, (clamped, occurred_at)) AS at
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
