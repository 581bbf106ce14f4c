// Package clickhouse is the sink's side of ClickHouse: it migrates the
// database, inserts rows column by column and reads back how far the sink has
// come.
//
// # Why a repeated insert is harmless
//
// Every table of rows is a ReplacingMergeTree whose sorting key is the row's
// identity and whose version comes from the log, never from a clock. The same
// record gives the same key, the same version and the same columns; however
// often it is inserted, one row remains. An older version that arrives after a
// newer one loses.
//
// Inserts also carry an insert_deduplication_token, so that a batch repeated
// after an unclear failure usually leaves no second copy at all. Nothing relies
// on it. The token names the revision of the rows too (package sink): a batch
// that a newer build reads again is other rows, which must not be dropped as
// a repeat.
//
// # Migrations
//
// schemas/clickhouse/NNNN_*.sql, in order, are templates with statements that
// can be repeated; a crash between a statement and the row in schema_migrations
// that records it repeats the statements. A migration is never edited after
// release: Migrate refuses a database whose record of one has another checksum,
// and one that was migrated by a newer build.
package clickhouse
