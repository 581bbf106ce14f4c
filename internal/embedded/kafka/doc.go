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
