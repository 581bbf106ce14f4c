// Package kafka is the embedded Kafka: one broker inside the process that
// speaks the Kafka protocol on a real socket and keeps its log on disk, so that
// the pipeline and any foreign client use it like a server.
//
// The broker is franz-go's kfake with a data folder. This package adds what a
// product needs around it: a listener that advertises a host clients can reach,
// retention that follows the injected clock, errors that say what to do, and an
// end that waits for everything it started.
//
// # Promises
//
//   - K1: a record whose produce was acknowledged is readable after the process
//     is killed; with Config.Sync also after the machine loses power.
//   - K2: an offset is never given out twice, over restarts too. kfake takes the
//     next offset from the batches it finds on disk, so retention always leaves
//     the last record of a partition in place: states and row versions are made
//     of offsets.
//   - K3: a record younger than its topic's retention.ms, by the record
//     timestamp and Config.Now, is never deleted, even when an older record
//     comes after it. kfake's own retention deletes up to the last old record
//     and measures with the wall clock, so it is not used: its timer is put off
//     beyond any run time.
//   - K4: when the disk fills up, everything acknowledged stays. First Room asks
//     that nothing more be taken in; the rest of the line can go on. Nearer to the
//     end a produce is answered with KAFKA_STORAGE_ERROR, on which clients try
//     again until there is room. If a write fails nevertheless, the answer is
//     UNKNOWN_SERVER_ERROR.
//   - K5: the memory of a log does not grow with its records. kfake keeps each batch
//     in memory until retention deletes it, and a quiet installation writes a batch
//     a webhook; so segments that are not written to any more are packed, and 61
//     days of ten webhooks a second take less than 300 MB.
//
// # Packs
//
// A log is packs and a tail. The tail is kfake's: the segments that it still writes
// to, and those that nobody has packed yet. A pack (packs.go) is one file of large
// batches with the same records; what is asked of it is answered here, in front of
// kfake. Once a minute, a pass over all partitions lets kfake delete what the pass
// before has packed, and packs the segments that have been ended since.
//
//   - P1: at every offset stands the record that was acknowledged there: key, value,
//     headers, time. Producer ids and sequences are left out; kfake keeps what it
//     needs of them elsewhere.
//
//   - P2: whoever reads, by offset or by time, finds the same as without packs.
//
//   - P3: a pack is whole or not there: it is written beside its place, read again,
//     synced and renamed before anybody is told of it, and kfake lets go of a segment
//     only a pass later. The tail always holds the last segment, from which kfake
//     takes the next offset.
//
//   - P4: a pack that does not read, or is missing, refuses the start like a damaged
//     segment. There is no torn tail in it.
//
//   - P5: retention and DeleteRecords move the log's start through packs too;
//     retention deletes whole packs, at most one file of 8 MiB later than it could.
//
// A fetch waits for 20 seconds at most, whatever it asks for: a wait that outlasts
// a pass could end at records that kfake has let go of. There are no fetch sessions,
// because a request of one does not name all that it wants.
//
// What a kill leaves:
//
//	the process is killed     what is there                    the next start
//	while a pack is written   a .tmp file, the segment         deletes the file, packs again
//	before kfake has let go   both                             the pack is served, kfake lets go
//	while kfake lets go       the pack, part of the segment    the pack is served
//	while packs are deleted   younger packs, the tail          begins with the oldest pack left
//
// Records of transactions stay in the tail: which of them count, only kfake knows.
// bluetick writes none.
//
// # Limits
//
// One process per data folder: kfake takes no lock, the caller holds the one of
// the data root. retention.bytes and compaction are not enforced, and
// message.timestamp.type=LogAppendTime keeps the producer's time. A commit of a
// group that was cut short by a full disk hides the later commits of all groups
// from a restart after a kill (not after Close); groups then read again from the
// last commit before that. States that carry their own offset are not affected.
//
// # After a crash
//
// Half a batch at the end of a segment is cut off when the folder is opened; it
// was never acknowledged. Records that retention had deleted may be readable
// again until the next sweep, at most a minute later. An open transaction is
// aborted.
package kafka
