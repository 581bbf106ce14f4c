package message

import (
	"cmp"
	"math/bits"

	"github.com/bluetick/bluetick/schemas"
)

// fact is one of the explicit facts a message can have: what an event states
// outright, nothing implied.
type fact uint8

const (
	factDispatched fact = iota
	factSent
	factDelivered
	factRead
	factFailed
	factClicked
	factReplied
	factOptedOut
	facts
)

// field is one of the dimensions decided on its own. Account and channel have no
// register, being part of the message's identity; language is in no pane.
type field uint8

const (
	fieldSender field = iota
	fieldCountry
	fieldCampaign
	fieldTemplate
	fieldVariant
	fieldSegment
	fields
)

// origin orders the events that compete for a register: by time, then id.
type origin struct {
	at schemas.Instant
	id schemas.Key
}

func (o origin) compare(p origin) int {
	return cmp.Or(cmp.Compare(o.at, p.at), o.id.Compare(p.id))
}

// register is the best value known of one field and the rank that made it so.
// The zero register holds nothing.
type register struct {
	value    string
	source   schemas.DimensionSource
	revision uint8
	from     origin
}

// beats reports whether r wins against o; an empty value never does. The order
// is total, so the winner of a set does not depend on the order of arrival.
// The value itself decides between copies of one event that agree in all else.
func (r *register) beats(o *register) bool {
	if r.value == "" || o.value == "" {
		return r.value != "" && o.value == ""
	}
	if ro, oo := r.value == schemas.OtherValue, o.value == schemas.OtherValue; ro != oo {
		return oo
	}
	return cmp.Or(
		cmp.Compare(o.source, r.source), cmp.Compare(o.revision, r.revision),
		r.from.compare(o.from), cmp.Compare(r.value, o.value)) < 0
}

// charge is the cost register: a known amount first, then the greatest origin;
// between copies of one event of one time compareCost decides.
type charge struct {
	set  bool
	from origin
	cost schemas.Cost
}

func (c *charge) beats(o *charge) bool {
	if !o.set || c.cost.HasAmount != o.cost.HasAmount {
		return !o.set || c.cost.HasAmount
	}
	if d := c.from.compare(o.from); d != 0 {
		return d > 0
	}
	return compareCost(&c.cost, &o.cost) < 0
}

// compareCost orders costs: billable, then the least category, currency, amount.
func compareCost(a, b *schemas.Cost) int {
	billable := 0
	if a.Billable != b.Billable {
		billable = 1
		if a.Billable {
			billable = -1
		}
	}
	return cmp.Or(billable, cmp.Compare(a.Category, b.Category),
		cmp.Compare(a.Currency, b.Currency), cmp.Compare(a.Micros, b.Micros))
}

// State is what is known of one message: the join of the facts of its events.
// Join is commutative, associative and idempotent, and the zero State is its
// neutral element, so the same set of events gives the same State whatever
// their order and however often they are repeated. States compare with ==.
type State struct {
	account string
	channel schemas.Channel
	// seen has bit f set if fact f is known; at[f] is then its least time in
	// seconds since the epoch and 0 otherwise.
	seen uint8
	at   [facts]int64
	// clamped has bit f set if at[f] is the time of a clamped event: no other gave
	// fact f.
	clamped uint8
	// failCode and failCategory belong to the failure at at[factFailed].
	failCode     int32
	failCategory string
	fields       [fields]register
	charge       charge
}

// Join adds one event of this message. changed is false if the event brings
// nothing new: a repeat, a later copy of a fact, a dimension that does not win.
func (s State) Join(e *schemas.Event) (next State, changed bool) {
	next = s
	next.joinIdentity(e)
	next.joinFact(e)
	next.joinFields(e)
	next.joinCharge(e)
	return next, next != s
}

// joinIdentity takes account and channel. Equal message keys have equal ones;
// should a forged event differ, the least pair keeps the join order-free.
func (s *State) joinIdentity(e *schemas.Event) {
	if s.account == "" || cmp.Or(cmp.Compare(e.Account, s.account), cmp.Compare(e.Channel, s.channel)) < 0 {
		s.account, s.channel = e.Account, e.Channel
	}
}

// factOf is the fact an event of type t states. Events of other types carry
// dimensions and cost only and make no message known.
func factOf(t schemas.EventType) (fact, bool) {
	switch t {
	case schemas.TypeDispatched:
		return factDispatched, true
	case schemas.TypeSent:
		return factSent, true
	case schemas.TypeDelivered:
		return factDelivered, true
	case schemas.TypeRead:
		return factRead, true
	case schemas.TypeFailed:
		return factFailed, true
	case schemas.TypeClicked:
		return factClicked, true
	case schemas.TypeReplied:
		return factReplied, true
	case schemas.TypeOptedOut:
		return factOptedOut, true
	default: // other, opted_in, converted, quality
		return 0, false
	}
}

func (s *State) joinFact(e *schemas.Event) {
	f, ok := factOf(e.Type)
	if !ok {
		return
	}
	at := e.OccurredAt.Seconds()
	if f == factFailed {
		s.joinFailure(at, e.Clamped, e.Failure)
	}
	if !s.has(f) || s.compareTime(f, at, e.Clamped) < 0 {
		s.seen |= 1 << f
		s.at[f] = at
		s.clamped &^= 1 << f
		if e.Clamped {
			s.clamped |= 1 << f
		}
	}
}

// compareTime orders a time against that of a known fact: one that was not clamped
// comes first, then the lesser.
func (s *State) compareTime(f fact, at int64, clamped bool) int {
	if was := s.clamped&(1<<f) != 0; was != clamped {
		if clamped {
			return 1
		}
		return -1
	}
	return cmp.Compare(at, s.at[f])
}

// joinFailure keeps the category of the earliest failure; of several in one
// second the least code gives it, of several with one code (decoders of two
// revisions) the least name.
func (s *State) joinFailure(at int64, clamped bool, f *schemas.Failure) {
	code, category := int32(0), schemas.FailOther
	if f != nil {
		code = f.Code
		if f.Category != "" {
			category = f.Category
		}
	}
	if s.has(factFailed) && cmp.Or(
		s.compareTime(factFailed, at, clamped), cmp.Compare(code, s.failCode),
		cmp.Compare(category, s.failCategory)) >= 0 {
		return
	}
	s.failCode, s.failCategory = code, category
}

func (s *State) joinFields(e *schemas.Event) {
	identity := schemas.DimensionIdentity
	if e.Type == schemas.TypeDispatched {
		identity = schemas.DimensionDispatched
	}
	s.joinField(fieldSender, e, e.Sender, identity)
	s.joinField(fieldCountry, e, e.Country, identity)
	s.joinField(fieldCampaign, e, e.Dimensions.Campaign, e.DimensionSource)
	s.joinField(fieldTemplate, e, e.Dimensions.Template, e.DimensionSource)
	s.joinField(fieldVariant, e, e.Dimensions.Variant, e.DimensionSource)
	s.joinField(fieldSegment, e, e.Dimensions.Segment, e.DimensionSource)
}

func (s *State) joinField(f field, e *schemas.Event, value string, source schemas.DimensionSource) {
	if value == "" {
		return
	}
	r := register{value, source, e.SourceRevision, origin{e.OccurredAt, e.ID}}
	if r.beats(&s.fields[f]) {
		s.fields[f] = r
	}
}

func (s *State) joinCharge(e *schemas.Event) {
	if e.Cost == nil {
		return
	}
	c := charge{true, origin{e.OccurredAt, e.ID}, *e.Cost}
	if !c.cost.HasAmount { // meaningless without an amount, so never compared
		c.cost.Micros, c.cost.Currency = 0, ""
	}
	if c.beats(&s.charge) {
		s.charge = c
	}
}

func (s *State) has(f fact) bool { return s.seen&(1<<f) != 0 }

// known reports whether the message is counted: it has sent, delivered or failed,
// or dispatched with any other fact. Until then it is an orphan.
func (s *State) known() bool { return knownBy(s.seen) }

func knownBy(seen uint8) bool {
	const founding = 1<<factSent | 1<<factDelivered | 1<<factFailed
	return seen&founding != 0 || seen&(1<<factDispatched) != 0 && bits.OnesCount8(seen) > 1
}

// tuple is what the message is grouped by as far as it is known.
func (s *State) tuple() schemas.Tuple {
	return schemas.Tuple{
		Account: s.account, Channel: s.channel,
		Sender: s.fields[fieldSender].value, Country: s.fields[fieldCountry].value,
		Campaign: s.fields[fieldCampaign].value, Template: s.fields[fieldTemplate].value,
		Variant: s.fields[fieldVariant].value, Segment: s.fields[fieldSegment].value,
	}
}
