// Package task runs a stage: one goroutine per input partition that owns the
// partition's state, folds its records and emits what changed.
//
// # Promise
//
// Readers of the output that keep, per epoch, source partition and key, the row
// of greatest version end with exactly the rows of the fold of the whole input:
// nothing lost, nothing counted twice, whatever crashes, power cuts, repeated
// or competing owners there were. Values are absolute, never deltas. This
// needs no Kafka transaction and no agreement on who owns a partition.
//
// # States of a task
//
//	looking  → Kafka is asked about the topics, the state is opened: a Refusal
//	           if they do not belong together (resume.go)
//	running  → poll, apply; flush, report progress and checkpoint when the
//	           policy says so (policy.go)
//	stopping → no more polls; one last flush and checkpoint, within a deadline
//	           of its own
//	broken   → an error happened; nothing is committed any more, the state on
//	           disk is the last checkpoint
//
// # Invariants
//
// S(p, o) is the fold of partition p's records before offset o.
//
//   - I1: durable state is always exactly S(p, o), with o stored in the same
//     atomic unit.
//   - I2: any row ever emitted is (key, value of key in S(p, o), version o) for
//     a true o.
//   - I3: a checkpoint at O becomes durable only after every row dirtied by
//     offsets before O has been emitted at a version at or above its last change
//     and acknowledged by all in-sync replicas.
//   - I4: every consumer keeps, per (epoch, source partition, key), the row of
//     greatest version.
//
// No double count: values are absolute, and equal versions are equal values
// (I2). No loss: a restart goes on at O, at or before where the task was; what
// changed before O was acknowledged (I3), what changed after is derived again
// (I1) and emitted with a version at least as great. A zombie can only emit
// truths of its own offset, which I4 orders.
//
// # Order, and what a crash at each step leaves
//
//	step         durable afterwards                          after a restart
//	applied      the last checkpoint                         the record is folded again
//	drained      the last checkpoint                         rows derived and emitted again
//	sent in part some rows, unacknowledged                   the same rows again, as great or greater versions
//	acked        all rows, the old checkpoint                the same
//	acted        effects, their rows not                     effects repeated under the same deduplication key
//	act-acked    effects and their rows                      the same
//	progressed   Progress                                    an older Progress follows, which is true too
//	saved        the same: the store is not committed        the same
//	committed    state and offset, as one unit (I1)          goes on at the offset
//	group commit the lag that tools show                     nothing: it is never read back
//
// # Progress
//
// Progress(next) states that every change by offsets before next has been emitted
// before it. It follows every acknowledged flush, and comes at least every 5 s
// while nothing is dirty. Its complete_to comes from the fold and so from the log:
// the heartbeats of the doors (message), the minutes closed (roll-up). It is
// advisory, and 0 where nothing is known. Where the log has lost records no
// Progress is sent at all.
//
// # Goroutines of RunStage
//
//	task, one per partition   owns its machine, store and consumer; stops with the stage's context
//	group reporter, one       owns the commits to the group; stops after the tasks
//	kgo's and Pebble's own    stop in Close
//
// The producer is shared by the tasks; it is safe for that. Two clocks are
// injected: Now, which may be virtual, stamps records; Wall runs the timers.
package task
