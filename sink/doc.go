// Package sink carries the records in Kafka into ClickHouse.
//
// # Promise
//
// Every record of the topics events, panes, rates, alerts and dead-letters is in
// its table, usually within a second or two, and however often the process dies
// no row is lost and none counts twice.
//
// # How
//
// One goroutine per topic owns a consumer of all its partitions and one batch:
//
//	poll → decode, add → (batch full, or a second old) → freeze
//	     → insert rows → insert progress of the stages → insert position → poll
//
// An undecodable record becomes a row in dead_letters and the rest goes on. A
// frozen batch is repeated as it is until ClickHouse has acknowledged all of it;
// meanwhile nothing is polled, the consumer's buffers fill and Kafka waits. An
// error that trying again cannot cure ends Run.
//
// # The position lives with the data
//
// How far the sink has come is recorded in ClickHouse itself, in `progress` under
// the stage "sink/<topic>": no group offset in Kafka, nothing on disk. So
// position and rows cannot part: a database that is dropped, restored from a
// backup or replaced is filled from its own position.
//
//   - S1 a position is written only after every row of the records before it has
//     been acknowledged.
//   - S2 Progress of a stage is written only after the rows that came before it
//     in its partition.
//   - S3 a batch is the same rows in the same order on every attempt.
//   - S4 a repeated row has the same key and the same version, so that one
//     remains (sink/clickhouse says why). A repeat is always allowed.
//
// # What a crash leaves
//
//	before the rows           nothing; they are read again
//	between rows and position rows that will be inserted again: S4
//	after the position        nothing is read twice
//
// What is inserted again carries the deduplication token of before, unless the
// build makes other rows of the same records: the token names its revision
// (revision.go), so that rows read anew are not swallowed as a repeat.
//
// A second sink on the same topics inserts the same rows: wasteful, harmless.
//
// # Where it starts
//
// It fails closed: a position is never guessed.
//
//	no position yet           at the start of the log. Records that retention has
//	                          deleted are nowhere; it warns and goes on, since a
//	                          row does not depend on the rows before it
//	position inside the log   there
//	position before its start the records between are lost to ClickHouse: error,
//	                          unless Config.AcceptGap
//	position beyond its end   the log has lost records: error
//	another topic id          the topic was created anew and its offsets mean other
//	                          records, whose versions could lose against rows that
//	                          are there: error
package sink
