package schemas

import "time"

// Instant is a point in time in milliseconds since the Unix epoch, UTC: the
// form on the wire. Counting uses whole seconds rounded down, see Seconds.
type Instant int64

// InstantOf rounds t down to the millisecond.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMilli()) }

// Time returns the instant in UTC.
func (i Instant) Time() time.Time { return time.UnixMilli(int64(i)).UTC() }

// Seconds is the instant in whole seconds, rounded down (also before 1970).
func (i Instant) Seconds() int64 {
	s := int64(i) / 1000
	if int64(i)%1000 < 0 {
		s--
	}
	return s
}

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

// DimensionSource says how an event came by its campaign, template, variant,
// segment and language. The greater rank wins when events of one message
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

// Roads by which an opt-out or opt-in reaches us.
const (
	RoadPreference = "user_preferences"
	RoadWord       = "word"
	RoadButton     = "button"
)

// Event is one immutable fact about one message or one contact, after
// normalising. Facts join: an event can be repeated or reordered and every
// consumer comes to the same result.
//
// It holds no phone number and no provider id in clear.
type Event struct {
	// ID is EventID of the event: equal content, equal ID.
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
	// RawName is the provider's name of what TypeOther and TypeQuality keep.
	RawName string
	// Road says how an opt-out or opt-in came.
	Road string
	// SourceRevision is the decoder's revision. Not part of ID.
	SourceRevision uint8
}
