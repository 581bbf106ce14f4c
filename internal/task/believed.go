package task

import "github.com/bluetick/bluetick/schemas"

const (
	// leap is the greatest step of a clock that one record is believed.
	leap = 24 * 3600 * 1000
	// leapSpan is how long records must go on beyond a greater one.
	leapSpan = 3600 * 1000
)

// Believed is a running maximum of a clock that other machines set: what a fold
// forgets by, and what it takes for complete. One voice that is days ahead would
// make it forget what is still needed, and nothing brings that back. So a step of
// more than a day is believed only after an hour of records beyond it, by their own
// clock, with none before it. It is a rule of the log: a replay decides the same.
//
// It may be late, never early; and it is late by no more than the records are that
// hold it back, so what is kept because of it is bounded by them. The zero value
// believes the first record.
type Believed struct {
	// Clock is what is believed. It never falls.
	Clock schemas.Instant
	// From and To are the least and the greatest of the records beyond that are not
	// believed yet; 0: there are none.
	From, To schemas.Instant
}

// Advance takes in the clock of the next record, and reports whether Clock moved.
func (b *Believed) Advance(at schemas.Instant) (moved bool) {
	before := b.Clock
	switch {
	case !b.Ahead(at):
		b.Clock = max(b.Clock, at)
		b.From, b.To = 0, 0
	case b.From == 0:
		b.From, b.To = at, at
	default:
		b.From, b.To = min(b.From, at), max(b.To, at)
		if b.To-b.From >= leapSpan {
			// The least of them: what is a day beyond it is doubted in its turn.
			b.Clock, b.From, b.To = b.From, 0, 0
			b.Advance(at)
		}
	}
	return b.Clock != before
}

// Ahead reports whether a record with this clock would not be believed at once.
func (b *Believed) Ahead(at schemas.Instant) bool { return b.Clock != 0 && at > b.Clock+leap }

// Doubts reports whether there are records beyond that are not believed yet.
func (b *Believed) Doubts() bool { return b.From != 0 }
