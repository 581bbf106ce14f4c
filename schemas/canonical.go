package schemas

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
)

// EventID is the identity of an event: the first 16 bytes of SHA-256 over all
// its fields but ID, ReceivedAt, SourceRevision and Clamped. It is made before
// clamping: a provider's retry has the same id; other content is another event.
//
// Canonical encoding: the non-empty fields in the order of their numbers in
// bluetick.proto, each as uvarint number ‖ uvarint length ‖ bytes. Integers
// are 8 bytes big-endian, enums and booleans one byte, a nested message its own
// canonical encoding, a map its keys in order as key, value pairs (numbers 1
// and 2), contact keys sorted and concatenated.
func EventID(e *Event) Key {
	sum := sha256.Sum256(appendCanonical(make([]byte, 0, 256), e))
	var k Key
	copy(k[:], sum[:])
	return k
}

func appendCanonical(b []byte, e *Event) []byte {
	b = appendField(b, 2, []byte{byte(e.Type)})
	b = appendText(b, 3, string(e.Channel))
	b = appendText(b, 4, e.Account)
	b = appendText(b, 5, e.Sender)
	b = appendKey(b, 6, e.MessageKey)
	b = appendKey(b, 7, e.InboundKey)
	b = appendField(b, 8, sortedKeys(e.ContactKeys))
	b = appendInt(b, 9, int64(e.OccurredAt))
	b = appendText(b, 11, e.Dimensions.Campaign)
	b = appendText(b, 12, e.Dimensions.Template)
	b = appendText(b, 13, e.Dimensions.Variant)
	b = appendText(b, 14, e.Dimensions.Segment)
	b = appendText(b, 15, e.Dimensions.Language)
	if e.DimensionSource != DimensionNone {
		b = appendField(b, 16, []byte{byte(e.DimensionSource)})
	}
	b = appendText(b, 17, e.Country)
	b = appendField(b, 18, canonicalMap(e.Extra))
	if f := e.Failure; f != nil {
		n := appendInt(nil, 1, int64(f.Code))
		n = appendText(n, 2, f.Category)
		n = appendText(n, 3, f.Title)
		b = appendField(b, 19, n)
	}
	if c := e.Cost; c != nil {
		n := appendText(nil, 1, c.Category)
		n = appendBool(n, 2, c.Billable)
		n = appendBool(n, 3, c.HasAmount)
		n = appendInt(n, 4, c.Micros)
		n = appendText(n, 5, c.Currency)
		b = appendField(b, 20, n)
	}
	if c := e.Click; c != nil {
		n := appendText(nil, 1, c.Kind)
		n = appendText(n, 2, c.ID)
		b = appendField(b, 21, n)
	}
	b = appendText(b, 22, e.RawName)
	b = appendText(b, 23, e.Road)
	if e.MayBeOptOut {
		b = appendField(b, 26, []byte{1})
	}
	return b
}

func sortedKeys(keys []Key) []byte {
	sorted := slices.SortedFunc(slices.Values(keys), Key.Compare)
	var b []byte
	for _, k := range sorted {
		b = append(b, k[:]...)
	}
	return b
}

func canonicalMap(m map[string]string) []byte {
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendField(b, 1, []byte(k))
		b = appendField(b, 2, []byte(m[k]))
	}
	return b
}

func appendField(b []byte, number uint64, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, number)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendText(b []byte, number uint64, v string) []byte { return appendField(b, number, []byte(v)) }

func appendKey(b []byte, number uint64, k Key) []byte {
	if k.IsZero() {
		return b
	}
	return appendField(b, number, k[:])
}

func appendInt(b []byte, number uint64, v int64) []byte {
	if v == 0 {
		return b
	}
	return appendField(b, number, binary.BigEndian.AppendUint64(nil, uint64(v)))
}

func appendBool(b []byte, number uint64, v bool) []byte {
	if !v {
		return b
	}
	return appendField(b, number, []byte{1})
}
