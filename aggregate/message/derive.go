package message

import (
	"math"

	"github.com/bluetick/bluetick/schemas"
)

// never stands for a time that has not come, greater than every other.
const never = math.MaxInt64

// slot is a delay bucket plus one; 0 is "did not happen".
type slot uint8

// outcome is all that is derived of a message: when it was sent, in which bucket
// of which histogram it counts, and the numbers beside them. It is small
// and comparable: two equal outcomes add the same to a pane.
type outcome struct {
	known bool
	// send is the send time in seconds.
	send  int64
	slots [schemas.OutcomeCount]slot
	// recovered is the slot in which a failed message ceased to be one.
	recovered slot
	// late is the number of explicit outcome facts beyond the horizon.
	late uint8
	// category of the failure, if failed within the horizon.
	category string
	// charged is true if micros of currency are known.
	charged  bool
	currency string
	micros   int64
	// billed is true if the provider charges for the message, under billing.
	billed  bool
	billing string
}

// sendTime is sent, else dispatched, else the least of failed and delivered.
// It means something for known messages only.
func (s *State) sendTime() int64 {
	switch {
	case s.has(factSent):
		return s.at[factSent]
	case s.has(factDispatched):
		return s.at[factDispatched]
	default:
		return min(s.time(factFailed), s.time(factDelivered))
	}
}

func (s *State) time(f fact) int64 {
	if !s.has(f) {
		return never
	}
	return s.at[f]
}

// derive computes the outcome. What makes a message known and when it was sent
// come from all facts; outcomes beyond the horizon are then treated as absent
// for everything else, recovery included.
func (s *State) derive() outcome {
	if !s.known() {
		return outcome{}
	}
	o := outcome{known: true, send: s.sendTime()}
	var t [facts]int64
	for f := factDelivered; f < facts; f++ {
		t[f] = s.time(f)
		if t[f] != never && t[f]-o.send > schemas.HorizonSeconds {
			t[f] = never
			o.late++
		}
	}
	engaged := min(t[factClicked], t[factReplied])
	opened := min(t[factRead], engaged, t[factOptedOut])
	delivered := min(t[factDelivered], opened)

	o.slots = [schemas.OutcomeCount]slot{
		schemas.OutcomeDelivered: o.slot(delivered),
		schemas.OutcomeOpened:    o.slot(opened),
		schemas.OutcomeRead:      o.slot(t[factRead]),
		schemas.OutcomeClicked:   o.slot(t[factClicked]),
		schemas.OutcomeReplied:   o.slot(t[factReplied]),
		schemas.OutcomeEngaged:   o.slot(engaged),
		schemas.OutcomeOptedOut:  o.slot(t[factOptedOut]),
		schemas.OutcomeFailed:    o.slot(t[factFailed]),
	}
	if failed := t[factFailed]; failed != never {
		o.category = s.failCategory
		if schemas.Withheld(o.category) {
			o.slots[schemas.OutcomeWithheld] = o.slots[schemas.OutcomeFailed]
		}
		if delivered != never {
			o.recovered = o.slot(max(failed, delivered))
		}
	}
	if c := &s.charge.cost; s.charge.set {
		if c.HasAmount {
			o.charged, o.currency, o.micros = true, c.Currency, c.Micros
		}
		if c.Billable && delivered != never {
			o.billed, o.billing = true, c.Category
		}
	}
	return o
}

// slot is where an outcome at time t counts. Outcomes before the send time (two
// clocks at the provider) have a delay of 0.
func (o *outcome) slot(t int64) slot {
	if t == never {
		return 0
	}
	b, ok := schemas.BucketOf(t - o.send)
	if !ok {
		return 0
	}
	return slot(b + 1)
}

// minute is the start of the send minute in minutes since the epoch.
func (o *outcome) minute() uint32 { return uint32(o.send / 60) }
