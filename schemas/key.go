package schemas

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// Key is a 16-byte identity: of an event, a message, an inbound message, a
// contact or a series. The zero Key means "none". At the 9·10⁹ ids of a large
// account 64 bits would expect a collision; 128 do not.
type Key [16]byte

// IsZero reports whether the key is absent.
func (k Key) IsZero() bool { return k == Key{} }

// String returns 32 lower-case hex digits, the form logs, headers and SQL
// (`hex(message_key)`, lower-cased) show.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Compare orders keys by their bytes.
func (k Key) Compare(o Key) int { return bytes.Compare(k[:], o[:]) }

// DigestKey is the first 16 bytes of SHA-256 over the parts, 0-separated. One
// SQL expression gives the same:
//
//	substring(SHA256(concat(channel, '\0', account, '\0', provider_id)), 1, 16)
func DigestKey(parts ...string) Key {
	h := sha256.New()
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write([]byte(p))
	}
	var k Key
	copy(k[:], h.Sum(nil))
	return k
}

// MessageKey derives the key of an outbound message (and, with an inbound
// message's own id, an inbound key) from the provider's id, which never leaves
// ingest: a wamid contains the phone number in clear.
func MessageKey(channel Channel, account, providerID string) Key {
	return DigestKey(string(channel), account, providerID)
}

// SeriesKey is the identity of a series in rates and alerts: the digest over
// the grouping's columns in this order, empty where the grouping has no such
// column.
func SeriesKey(channel Channel, sender, campaign, variant string) Key {
	return DigestKey(string(channel), sender, campaign, variant)
}

// EventKey is the Kafka key of an event: its message, else its least contact,
// else its own id.
func EventKey(e *Event) []byte { return bytes.Clone(eventKey(e)) }

// HasEventKey reports whether key is the Kafka key of e.
func HasEventKey(key []byte, e *Event) bool { return bytes.Equal(key, eventKey(e)) }

func eventKey(e *Event) []byte {
	switch {
	case !e.MessageKey.IsZero():
		return e.MessageKey[:]
	case len(e.ContactKeys) > 0:
		return e.ContactKeys[0][:]
	default:
		return e.ID[:]
	}
}
