-- What was applied, which epoch counts, how far every stage has come, and what
-- the audits found.

CREATE TABLE IF NOT EXISTS schema_migrations
(
    number     UInt32 COMMENT 'Number of the migration, the first digits of its file name',
    name       String COMMENT 'File name of the migration',
    checksum   String COMMENT 'SHA-256 of its rendered text, in hex; a released migration never changes',
    applied_at DateTime64(3, 'UTC') COMMENT 'When it was applied, by the clock of the process that did'
)
ENGINE = ReplacingMergeTree
ORDER BY number
COMMENT 'Migrations of this database that have been applied';

-- next statement --

CREATE TABLE IF NOT EXISTS epochs
(
    sequence     UInt64 COMMENT 'Number of the switch; the row with the greatest one counts',
    epoch        UInt32 COMMENT 'The epoch that counts from this switch on: panes, rates and alerts of other epochs are not shown by any view',
    activated_at DateTime64(3, 'UTC') COMMENT 'When the switch was made, by the clock of the process that did',
    note         String COMMENT 'Why the switch was made'
)
ENGINE = ReplacingMergeTree
ORDER BY sequence
COMMENT 'Which epoch counts. An epoch is one logic, partition count and id scheme; changing any of them is a rebuild into a new one';

-- next statement --

CREATE TABLE IF NOT EXISTS progress
(
    epoch       UInt32 COMMENT 'Epoch of the stage; 0 for the sink, which belongs to none',
    stage       LowCardinality(String) COMMENT 'message or rollup; sink/<topic> is the position of the sink itself in that topic, log/<topic> where the log of the topic ended when the sink wrote it',
    source      Int32 COMMENT 'Input partition of the stage',
    output      Int32 COMMENT 'Partition of the output topic in which the stage said so; 0 for the sink',
    sources     Int32 COMMENT 'Number of input partitions of the stage',
    version     UInt64 COMMENT 'Next offset: the first input offset whose effect is not yet in the tables; of a log its end',
    complete_to DateTime64(3, 'UTC') COMMENT 'Instant up to which the stage believes it has heard everything. Advisory: it never says what a count is',
    topic_id    String COMMENT 'Identity of the input topic, in hex, where the row is a position of the sink; a recreated topic has another'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (epoch, stage, source, output)
COMMENT 'How far every stage has come, per input and output partition. Positions of the sink are written after the rows they cover';

-- next statement --

CREATE TABLE IF NOT EXISTS audits
(
    at          DateTime64(3, 'UTC') COMMENT 'When the audit ran, by the clock of the process that did',
    epoch       UInt32 COMMENT 'Epoch whose panes were audited',
    cuts        Array(UInt64) COMMENT 'Cut of each source partition: the first offset of events that did not take part',
    compared    UInt64 COMMENT 'Panes compared',
    left_out    UInt64 COMMENT 'Panes left out because an event at or after the cut touches them',
    relapsed    UInt64 COMMENT 'Messages that came back after they were forgotten; their panes are left out',
    expired     UInt64 COMMENT 'Panes left out because part of their events may have passed the TTL of events',
    differences UInt64 COMMENT 'Numbers that differ; 0 means that both ways of counting agree',
    unexplained UInt64 COMMENT 'Rows that no log can explain: they claim records past its end. Some other producer wrote them, or the log lost records',
    unjudged    UInt64 COMMENT 'Rows past what was known of the log while no sink was running: unexplained, or on their way',
    examples    Array(String) COMMENT 'The first differences, then the first unexplained rows. Differences, each as account, channel, campaign, minute, column, number in panes, number from v_messages'
)
ENGINE = MergeTree
ORDER BY at
COMMENT 'Every run of the audit: panes against v_messages, two independent ways of counting the same events';
