// Package topics makes bluetick's Kafka topics and refuses to work on topics
// whose settings would make results wrong.
//
// These are: compaction keeps the newest row of a key, and the newest may be a
// stale owner's; an unclean leader election and an acknowledgement by one
// replica of several lose acknowledged events; a short retention, by time or by
// size, takes the records that state is rebuilt from; a small message size
// refuses bodies that ingest must keep. Everything else is the operator's
// choice: partition counts, compression, LogAppendTime (bluetick uses the lesser
// of the record timestamp and its own), segment sizes, tiered storage.
//
// Check decides, as a pure function; Ensure asks Kafka and creates. A setting
// that Kafka does not report counts as Kafka's default.
package topics
