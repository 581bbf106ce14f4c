package schemas

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// HeaderSchema is the Kafka record header that names the value's schema.
const HeaderSchema = "schema"

// Schema names and versions. A change that an old reader would misread gets a
// new version.
const (
	SchemaEvent      = "Event/1"
	SchemaPane       = "Pane/1"
	SchemaProgress   = "Progress/1"
	SchemaRate       = "Rate/1"
	SchemaTransition = "Transition/1"
	SchemaDeadLetter = "DeadLetter/1"
)

// marshal encodes deterministically, so that an equal value is equal bytes.
// The messages are built from our own types and hold valid UTF-8 by the time
// they come here; what does not (a provider's byte soup) is mended by text.
func marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("BUG: encode %T: %v", m, err))
	}
	return b
}

func keyOf(field string, b []byte, need bool) (Key, error) {
	if len(b) == 0 && !need {
		return Key{}, nil
	}
	if len(b) != len(Key{}) {
		return Key{}, fmt.Errorf("%s has %d bytes, want %d", field, len(b), len(Key{}))
	}
	return Key(b), nil
}

func bytesOf(k Key) []byte {
	if k.IsZero() {
		return nil
	}
	return k[:]
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
