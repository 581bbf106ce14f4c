package schemas

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// Channel is the medium of a message.
type Channel string

// ChannelWhatsApp is the only channel a provider of this build reports.
const ChannelWhatsApp Channel = "whatsapp"

// EventType says what happened. The numbers are the wire's.
type EventType uint8

// The event types. TypeOther is kept with its raw name and never counted.
const (
	TypeOther      EventType = 1
	TypeDispatched EventType = 2
	TypeSent       EventType = 3
	TypeDelivered  EventType = 4
	TypeRead       EventType = 5
	TypeFailed     EventType = 6
	TypeClicked    EventType = 7
	TypeReplied    EventType = 8
	TypeOptedOut   EventType = 9
	TypeOptedIn    EventType = 10
	TypeConverted  EventType = 11
	TypeQuality    EventType = 12
)

// String is the type's name in ClickHouse, logs and metrics.
func (t EventType) String() string {
	names := [...]string{"", "other", "dispatched", "sent", "delivered", "read", "failed", "clicked", "replied", "opted_out", "opted_in", "converted", "quality"}
	if int(t) >= len(names) || t == 0 {
		return "invalid"
	}
	return names[t]
}

// Valid reports whether t is one of the types above.
func (t EventType) Valid() bool { return t >= TypeOther && t <= TypeQuality }

// DimensionSource is where an event has its campaign, template, variant,
// segment and language from. The greater rank wins when events of one message
// disagree. Country and sender have rank DimensionDispatched on an event of
// TypeDispatched and DimensionIdentity on every other.
type DimensionSource uint8

// The ranks, worst first.
const (
	DimensionNone       DimensionSource = 0
	DimensionIdentity   DimensionSource = 1
	DimensionCallback   DimensionSource = 2
	DimensionDispatched DimensionSource = 3
)

// Marks of the door in an event's free map: how many texts of its item were left out,
// because they held a phone number or an id, and cut to their limit; and, followed by
// the name of a dimension, the value that became OtherValue, because the account
// brought too many values of it, or too many combinations, that day.
const (
	MarkWithheld = "bluetick.withheld"
	MarkCut      = "bluetick.cut"
	MarkValues   = "other.values."
	MarkTuples   = "other.tuples."
)

// OtherValue replaces a dimension's value where ingest found too many
// different ones; it ranks after every other value of the same field.
const OtherValue = "(other)"

// Dimensions are what a message is grouped by. Empty means unknown.
type Dimensions struct {
	Campaign string
	Template string
	Variant  string
	Segment  string
	Language string
}

// Failure is why a message failed: the provider's code, our category of it
// (failure.go) and the provider's short title.
type Failure struct {
	Code     int32
	Category string
	Title    string
}

// Cost is what the provider says a message costs. Amounts are in millionths of
// the currency's unit, so that sums are exact in every order.
type Cost struct {
	Category  string // the provider's billing category, e.g. "marketing"
	Billable  bool
	HasAmount bool
	Micros    int64  // meaningful if HasAmount
	Currency  string // ISO 4217, if HasAmount
}

// Click is what was tapped or followed.
type Click struct {
	Kind string // "button", "list", "form" or "link"
	ID   string // payload, row id or link id; at most 256 bytes
}

// Roads: the ways in which an opt-out or opt-in reaches us.
const (
	RoadPreference = "user_preferences"
	RoadWord       = "word"
	RoadButton     = "button"
)

// Event is one immutable fact about one message or one contact, after
// normalising. Facts join: an event can be repeated or reordered, and every
// consumer comes to the same result.
//
// It holds no phone number and no provider id in clear.
type Event struct {
	// ID is EventID of the event, equal for equal content, or made of the provider's
	// own event id where it has one.
	ID      Key
	Type    EventType
	Channel Channel
	// Account is the provider's account (Meta: the WABA id) or the source's own
	// name for it.
	Account string
	// Sender is the sending identity (Meta: phone_number_id).
	Sender string
	// MessageKey is the outbound message the event names; zero if none.
	MessageKey Key
	// InboundKey is the inbound message that carried the event; zero if none.
	InboundKey Key
	// ContactKeys are the pseudonyms of every identity the event names, sorted,
	// without repeats.
	ContactKeys []Key
	// OccurredAt is the provider's clock, never later than ReceivedAt.
	OccurredAt Instant
	// Clamped marks an event whose OccurredAt is ReceivedAt because the provider's
	// clock was ahead of ours. It is a guess: a time that was not clamped beats it.
	// The ID is made of the provider's own time, so that a retry has the same. Not
	// part of ID.
	Clamped bool
	// ReceivedAt is ours, when ingest hands the event to Kafka. Not part of ID.
	ReceivedAt      Instant
	Dimensions      Dimensions
	DimensionSource DimensionSource
	// Country is ISO 3166 alpha-2, derived from the identity.
	Country string
	// Extra is the small free map of the callback data; kept in `events` only.
	Extra   map[string]string
	Failure *Failure
	Cost    *Cost
	Click   *Click
	// RawName is the provider's own name for an event of TypeOther or TypeQuality.
	RawName string
	// Road is how an opt-out or opt-in came.
	Road string
	// MayBeOptOut marks a short answer or label that holds an opt-out word without
	// being one. The text itself is not kept.
	MayBeOptOut bool
	// SourceRevision is the decoder's revision. Not part of ID.
	SourceRevision uint8
}

// EncodeEvent returns the wire form of e.
func EncodeEvent(e *Event) []byte {
	m := &pb.Event{
		EventId: bytesOf(e.ID), Type: pb.EventType(e.Type), Channel: text(string(e.Channel)),
		Account: text(e.Account), Sender: text(e.Sender),
		MessageKey: bytesOf(e.MessageKey), InboundKey: bytesOf(e.InboundKey),
		OccurredAt: int64(e.OccurredAt), ReceivedAt: int64(e.ReceivedAt),
		Campaign: text(e.Dimensions.Campaign), Template: text(e.Dimensions.Template),
		Variant: text(e.Dimensions.Variant), Segment: text(e.Dimensions.Segment),
		Language:        text(e.Dimensions.Language),
		DimensionSource: pb.DimensionSource(e.DimensionSource), Country: text(e.Country),
		RawName: text(e.RawName), Road: text(e.Road), SourceRevision: uint32(e.SourceRevision),
		MayBeOptOut: e.MayBeOptOut, Clamped: e.Clamped,
	}
	for i := range e.ContactKeys {
		m.ContactKeys = append(m.ContactKeys, e.ContactKeys[i][:])
	}
	for k, v := range e.Extra {
		if m.Extra == nil {
			m.Extra = make(map[string]string, len(e.Extra))
		}
		m.Extra[text(k)] = text(v)
	}
	if f := e.Failure; f != nil {
		m.Failure = &pb.Failure{Code: f.Code, Category: text(f.Category), Title: text(f.Title)}
	}
	if c := e.Cost; c != nil {
		m.Cost = &pb.Cost{Category: text(c.Category), Billable: c.Billable, HasAmount: c.HasAmount, Micros: c.Micros, Currency: text(c.Currency)}
	}
	if c := e.Click; c != nil {
		m.Click = &pb.Click{Kind: text(c.Kind), Id: text(c.ID)}
	}
	return marshal(m)
}

// DecodeEvent reads the wire form. It checks what every consumer relies on:
// an id, a known type, an account, sizes of keys, a time.
func DecodeEvent(b []byte) (Event, error) {
	var m pb.Event
	if err := proto.Unmarshal(b, &m); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	id, err1 := keyOf("event_id", m.EventId, true)
	message, err2 := keyOf("message_key", m.MessageKey, false)
	inbound, err3 := keyOf("inbound_key", m.InboundKey, false)
	e := Event{
		ID: id, Type: EventType(m.Type), Channel: Channel(m.Channel), Account: m.Account, Sender: m.Sender,
		MessageKey: message, InboundKey: inbound,
		OccurredAt: Instant(m.OccurredAt), ReceivedAt: Instant(m.ReceivedAt),
		Dimensions:      Dimensions{m.Campaign, m.Template, m.Variant, m.Segment, m.Language},
		DimensionSource: DimensionSource(m.DimensionSource), Country: m.Country, Extra: m.Extra,
		RawName: m.RawName, Road: m.Road, SourceRevision: uint8(m.SourceRevision),
		MayBeOptOut: m.MayBeOptOut, Clamped: m.Clamped,
	}
	errs := []error{err1, err2, err3, checkEvent(&e, &m)}
	for _, k := range m.ContactKeys {
		key, err := keyOf("contact_key", k, true)
		errs = append(errs, err)
		e.ContactKeys = append(e.ContactKeys, key)
	}
	if f := m.Failure; f != nil {
		e.Failure = &Failure{Code: f.Code, Category: f.Category, Title: f.Title}
	}
	if c := m.Cost; c != nil {
		e.Cost = &Cost{Category: c.Category, Billable: c.Billable, HasAmount: c.HasAmount, Micros: c.Micros, Currency: c.Currency}
	}
	if c := m.Click; c != nil {
		e.Click = &Click{Kind: c.Kind, ID: c.Id}
	}
	if err := errors.Join(errs...); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	return e, nil
}

func checkEvent(e *Event, m *pb.Event) error {
	var errs []error
	if m.Type < 0 || m.Type > math.MaxUint8 || !e.Type.Valid() {
		errs = append(errs, fmt.Errorf("unknown type %d", m.Type))
	}
	if e.Account == "" || e.Channel == "" {
		errs = append(errs, errors.New("no account or channel"))
	}
	if e.OccurredAt <= 0 || e.ReceivedAt <= 0 || e.OccurredAt > e.ReceivedAt {
		errs = append(errs, fmt.Errorf("times out of order: occurred %d, received %d", e.OccurredAt, e.ReceivedAt))
	}
	if m.DimensionSource < 0 || m.DimensionSource > pb.DimensionSource(DimensionDispatched) {
		errs = append(errs, fmt.Errorf("unknown dimension source %d", m.DimensionSource))
	}
	if m.SourceRevision > math.MaxUint8 {
		errs = append(errs, fmt.Errorf("source revision %d", m.SourceRevision))
	}
	return errors.Join(errs...)
}
