package task

import "github.com/bluetick/bluetick/schemas"

// Place returns a *Reject for a record that the log itself disproves: one under
// another key than its value prescribes (ownKey is false), or with a key that
// belongs in another partition. No producer of ours writes either, and what a
// partition does not own would be counted beside its owner. It depends on the
// record and on the number of partitions alone, which is part of the state's
// meta, so a replay decides the same.
//
// A fold asks only about records that are Ours: those of another epoch may have
// been written to another number of partitions.
func (s *Source) Place(r *Record, ownKey bool) error {
	if m := schemas.Misplacement(r.Key, ownKey, s.Partition, s.Partitions); m != nil {
		return &Reject{Reason: m.Reason, Err: m}
	}
	return nil
}

// Ours reports whether a record is of the fold's epoch. One of another epoch is
// correct there and does not concern this fold: it is counted and left alone, and
// never becomes a dead letter.
func (s *Source) Ours(epoch uint32) bool {
	if epoch == s.Epoch {
		return true
	}
	if s.OtherEpoch != nil {
		s.OtherEpoch()
	}
	return false
}
