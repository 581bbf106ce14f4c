// Package store keeps the state of one task: a write-back cache over one
// Pebble directory, made durable together with the next offset by Commit.
//
// # Promise
//
// What is on disk is always exactly what some Commit wrote: all rows that were
// dirty then and the Meta given, or, before the first, nothing. A crash, a
// power cut or Close between two Commits loses everything since the last one,
// on purpose: the task replays it from the log.
//
// # How
//
// Writes go to an overlay in memory (dirty rows, tombstones, deleted ranges);
// reads see the overlay first. Pebble runs without a write-ahead log and its
// memtable is never written. Commit writes the overlay and the Meta as one
// sorted table, syncs it, and ingests it. That is atomic because one table
// enters Pebble by one edit of its manifest, which Pebble syncs (after it has
// synced the directory entry of the table) before Ingest returns. The other
// way, a batch and a Flush, is atomic too, but on a full disk Flush retries in
// the background and never returns; Ingest returns the error.
//
// What a crash leaves: before the ingest, the old state and a stray
// commit.sst, which Open removes; after it, the new state. Nothing lies between.
//
// # Damage
//
// Pebble checks every block that it reads. Bytes that no Commit wrote are ErrDamaged,
// from the call that met them, or from the next Commit if Pebble met them while merging;
// they never end the process. A damaged end of the manifest opens as an earlier Commit:
// its Meta says from where to read the log again.
//
// # Memory
//
// The overlay grows until Commit; its owner bounds it by committing. Clean and
// dirty rows are also held in two generations of a hash map bounded by
// Options.CacheBytes: the younger becomes the older when it is half full, and a
// row used again moves back to the younger. Rows that do not exist are not
// cached.
//
// # Keys
//
// A key is not empty and does not start with byte 0: those are the store's own.
// One goroutine owns a Store.
package store
