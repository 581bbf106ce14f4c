package message

import "sync/atomic"

// Stats are numbers of one fold for metrics. Live, Orphans and Tuples are what
// is remembered now; the others count since the fold was opened.
type Stats struct {
	Live      int64 // messages remembered, orphans included
	Orphans   int64 // messages not founded yet, in no pane
	Tuples    int64 // tuples in use
	Forgotten int64 // messages dropped by age
	Late      int64 // outcome facts beyond the horizon; falls when a better send time makes one count
	Moves     int64 // messages that went to another pane
	Repeats   int64 // events that said nothing new
}

// stats is written by the goroutine that owns the fold and read by any.
type stats struct {
	live, orphans, tuples, forgotten, late, moves, repeats atomic.Int64
}

// Stats may be called from any goroutine.
func (f *Fold) Stats() Stats {
	s := &f.stats
	return Stats{
		Live: s.live.Load(), Orphans: s.orphans.Load(), Tuples: s.tuples.Load(), Forgotten: s.forgotten.Load(),
		Late: s.late.Load(), Moves: s.moves.Load(), Repeats: s.repeats.Load(),
	}
}
