package task

import (
	"fmt"

	"github.com/bluetick/bluetick/internal/store"
)

// RefusalReason is the closed word for why a task does not start.
type RefusalReason string

// Why a task refuses to start or to go on. Each comes with a sentence that tells
// what to do; the task never skips records instead.
const (
	RefuseOtherEpoch      RefusalReason = "other_epoch"
	RefuseOtherTopic      RefusalReason = "other_topic"
	RefuseOtherCluster    RefusalReason = "other_cluster"
	RefuseOtherLogic      RefusalReason = "other_logic"
	RefuseOtherPartitions RefusalReason = "other_partitions"
	RefuseNoState         RefusalReason = "no_state"
	RefuseLogTruncated    RefusalReason = "log_truncated"
	RefuseBeyondEnd       RefusalReason = "beyond_end"
	RefuseNoTopic         RefusalReason = "no_topic"
)

// Refusal is the error of a task that would give wrong results if it ran.
type Refusal struct {
	Reason RefusalReason
	// Text tells what was found and what to do.
	Text string
}

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Text }

// bounds are the offsets a partition holds: [start, end).
type bounds struct{ start, end int64 }

// resume returns the offset at which a task begins, given what its state belongs to
// (found, if there is one) and what it is about to read (want, whose cluster id
// is empty where it means nothing). dir is for the sentence; fromStart is that of the
// StageConfig.
func resume(found store.Meta, has bool, want store.Meta, log bounds, dir string, fromStart bool) (int64, error) {
	where := fmt.Sprintf("%s[%d]", want.Topic, want.Partition)
	refuse := func(r RefusalReason, format string, args ...any) (int64, error) {
		return 0, &Refusal{Reason: r, Text: where + ": " + fmt.Sprintf(format, args...)}
	}
	if !has {
		if log.start > 0 && !fromStart {
			return refuse(RefuseNoState, "there is no state in %s and the log begins at offset %d, so the counts before it cannot be rebuilt; put back the state folder from a backup taken at or after that offset, or rebuild (docs/runbook.md)", dir, log.start)
		}
		return log.start, nil
	}
	switch {
	case found.Epoch != want.Epoch:
		return refuse(RefuseOtherEpoch, "the state in %s is of epoch %d, not %d; give each epoch its own folder", dir, found.Epoch, want.Epoch)
	case found.Topic != want.Topic || found.Partition != want.Partition:
		return refuse(RefuseOtherTopic, "the state in %s is of %s[%d]; put the folders back where they were", dir, found.Topic, found.Partition)
	case found.TopicID != want.TopicID:
		return refuse(RefuseOtherTopic, "the topic was deleted and made again since the state in %s was written, so its offsets name other records; move that folder away and rebuild (docs/runbook.md)", dir)
	case want.ClusterID != "" && found.ClusterID != want.ClusterID:
		return refuse(RefuseOtherCluster, "the state in %s is of Kafka cluster %q and this is %q; correct the broker addresses or the state folder", dir, found.ClusterID, want.ClusterID)
	case found.Partitions != want.Partitions:
		return refuse(RefuseOtherPartitions, "the topic had %d partitions and now has %d, which moves keys between them; make the topics anew with the old number, or start anew (docs/runbook.md)", found.Partitions, want.Partitions)
	case found.LogicVersion != want.LogicVersion:
		return refuse(RefuseOtherLogic, "the state in %s was counted by logic %s and this build counts by %s; run `bluetick rebuild` with this build (docs/runbook.md), or go on with the old one", dir, found.LogicVersion, want.LogicVersion)
	case found.NextOffset < log.start:
		return refuse(RefuseLogTruncated, "the state in %s goes on at offset %d and the log begins at %d: the records between are gone; put back a newer state folder from a backup, or rebuild (docs/runbook.md), and keep the topic's retention above the longest stop", dir, found.NextOffset, log.start)
	case found.NextOffset > log.end:
		return refuse(RefuseBeyondEnd, "the state in %s goes on at offset %d and the log ends at %d: it belongs to another log, or the log lost records; check the broker addresses and the data folder", dir, found.NextOffset, log.end)
	}
	return found.NextOffset, nil
}
