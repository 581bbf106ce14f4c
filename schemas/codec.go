package schemas

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
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
	SchemaHeartbeat  = "Heartbeat/1"
	SchemaReports    = "Reports/1"
)

// marshal encodes deterministically, so that an equal value is equal bytes.
// The messages are built from our own types and hold valid UTF-8 by the time
// they come here; text repairs what does not (a provider's broken bytes).
func marshal(m proto.Message) []byte { return appendMessage(nil, m) }

// appendMessage is marshal, appended to b.
func appendMessage(b []byte, m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m)
	if err != nil {
		panic(fmt.Sprintf("BUG: encode %T: %v", m, err))
	}
	return b
}

// text makes s valid UTF-8, which Protobuf demands of strings.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

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
