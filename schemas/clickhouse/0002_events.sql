-- What was accepted, who does not want to be written to, and what could not be
-- understood. No phone number and no provider id in clear stands in any of them.

CREATE TABLE IF NOT EXISTS events
(
    event_id         FixedString(16) COMMENT 'Identity of the fact: first 16 bytes of SHA-256 over all it says but received_at and source_revision, or over the provider''s own id of it. A retry has the same',
    type             LowCardinality(String) COMMENT 'What happened: dispatched, sent, delivered, read, failed, clicked, replied, opted_out, opted_in, converted, quality or other',
    channel          LowCardinality(String) COMMENT 'Medium of the message, e.g. whatsapp',
    account          LowCardinality(String) COMMENT 'Account at the provider (Meta: the WABA id) or the name the source gives it',
    sender           LowCardinality(String) COMMENT 'Sending identity (Meta: phone_number_id)',
    message_key      FixedString(16) COMMENT 'The outbound message named: first 16 bytes of SHA-256 over channel, account and the provider''s message id, 0-separated. All zeros: none',
    inbound_key      FixedString(16) COMMENT 'The inbound message that carried the fact, made like message_key from its own id. All zeros: none',
    contact_keys     Array(FixedString(16)) COMMENT 'Pseudonyms of every identity named: keyed digests of the phone number or business-scoped id, sorted',
    occurred_at      DateTime64(3, 'UTC') COMMENT 'When it happened, by the provider''s clock, never later than received_at. All counting uses it, in whole seconds rounded down',
    received_at      DateTime64(3, 'UTC') COMMENT 'When ingest handed it to Kafka, by our clock',
    campaign         LowCardinality(String) COMMENT 'Campaign as this event says it; '''' if it does not',
    template         LowCardinality(String) COMMENT 'Message template as this event says it; '''' if it does not',
    variant          LowCardinality(String) COMMENT 'Variant of an A/B test as this event says it; '''' if it does not',
    segment          LowCardinality(String) COMMENT 'Audience segment as this event says it; '''' if it does not',
    language         LowCardinality(String) COMMENT 'Language as this event says it; '''' if it does not',
    dimension_source Enum8('none' = 0, 'identity' = 1, 'callback' = 2, 'dispatched' = 3) COMMENT 'How the event came by these five; the greater wins when events of one message disagree',
    country          LowCardinality(String) COMMENT 'ISO 3166 alpha-2 country of the contact, derived from its number; '''' if unknown',
    extra            Map(LowCardinality(String), String) COMMENT 'What else the sender put into the callback data; kept here only',
    failure_code     Int32 COMMENT 'The provider''s error code; 0 if the event reports no failure',
    failure_category LowCardinality(String) COMMENT 'Our category of failure_code, e.g. marketing_cap, undeliverable, template; '''' if none',
    failure_title    String COMMENT 'The provider''s short words for failure_code',
    has_cost         Bool COMMENT 'The event says something about cost',
    cost_category    LowCardinality(String) COMMENT 'The provider''s billing category, e.g. marketing',
    cost_billable    Bool COMMENT 'The provider charges for the message',
    cost_micros      Nullable(Int64) COMMENT 'Cost in millionths of cost_currency; NULL if the provider names no amount',
    cost_currency    LowCardinality(String) COMMENT 'ISO 4217 currency of cost_micros',
    click_kind       LowCardinality(String) COMMENT 'What was tapped: button, list, form or link; '''' if nothing',
    click_id         String COMMENT 'Payload, row id or link id of what was tapped',
    raw_name         LowCardinality(String) COMMENT 'The provider''s name of what the types other and quality keep',
    road             LowCardinality(String) COMMENT 'How an opt-out or opt-in came: user_preferences, word or button',
    source_revision  UInt8 COMMENT 'Revision of the decoder that read it; not part of event_id',
    source_partition Int32 COMMENT 'Partition of the topic events it came from',
    source_offset    UInt64 COMMENT 'Offset in that partition',
    content          FixedString(16) COMMENT 'All zeros if event_id is the digest of what this row says, else that digest: copies of one event that do not say the same all stay',
    version          UInt64 COMMENT 'source_revision * 2^56 + (2^56 - 1 - source_offset): of equal copies the highest revision survives, then the first'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMMDD(occurred_at)
ORDER BY (account, channel, campaign, message_key, type, event_id, content)
{{ttl "occurred_at" .EventsDays}}SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1
COMMENT 'Every accepted event: one immutable fact about one message or contact. A fact stands here twice until parts merge, and for good if its copies do not say the same: count uniqExact(event_id)';

-- next statement --

CREATE TABLE IF NOT EXISTS opt_out_events
(
    account     LowCardinality(String) COMMENT 'Account at the provider; an opt-out holds for it alone',
    channel     LowCardinality(String) COMMENT 'Medium the person left or came back to',
    contact_key FixedString(16) COMMENT 'Pseudonym of the person, as in events.contact_keys',
    event_id    FixedString(16) COMMENT 'The event that says it, as in events',
    is_out      Bool COMMENT 'true: an opt-out; false: an opt-in',
    since       SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'When the person said so, by the provider''s clock: the least time of all copies of the event',
    road        SimpleAggregateFunction(max, String) COMMENT 'How it was said: user_preferences, word or button',
    message_key SimpleAggregateFunction(max, FixedString(16)) COMMENT 'The message the person answered with it. All zeros: it named none'
)
ENGINE = AggregatingMergeTree
ORDER BY (account, channel, contact_key, event_id, is_out)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Every opt-out and opt-in of every person, kept longer than events. Who must not be written to is in opt_outs';

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
        SELECT account, channel, contact_key, event_id, is_out, min(since) AS said, max(road) AS by_road, max(message_key) AS about
        FROM opt_out_events
        GROUP BY account, channel, contact_key, event_id, is_out
    )
    GROUP BY account, channel, contact_key
)
COMMENT 'Suppression list: the last word of every person who ever opted out or in, one row per pseudonym. Read where is_out';

-- next statement --

CREATE TABLE IF NOT EXISTS dead_letters
(
    source      LowCardinality(String) COMMENT 'Configured source the item came from, or the topic a stage was reading',
    topic       LowCardinality(String) COMMENT 'Kafka topic in which the item itself can still be found',
    partition   Int32 COMMENT 'Partition of topic',
    offset      UInt64 COMMENT 'Offset in partition',
    stage       LowCardinality(String) COMMENT 'Stage that gave up: ingest, message, rollup, alert or sink',
    provider    LowCardinality(String) COMMENT 'Provider of source; '''' if a stage gave up',
    reason      LowCardinality(String) COMMENT 'Closed word for why',
    detail      String COMMENT 'A sentence about why, without personal data',
    place       String COMMENT 'Where the item stands: a JSON pointer into the body, or topic/partition/offset',
    received_at DateTime64(3, 'UTC') COMMENT 'When it was received, by our clock',
    size        UInt64 COMMENT 'Size of the item in bytes. The item itself may hold personal data and stays in Kafka',
    digest      FixedString(16) COMMENT 'First 16 bytes of SHA-256 over the item: equal items are equal here'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (source, topic, partition, offset)
{{ttl "received_at" .DeadLettersDays}}SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'What could not be counted, why, and where it can be found. Holds no content';
