package schemas

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// DeadLetter is something that could not be counted, kept for a human with its
// reason. Item may hold personal data: it stays in Kafka and never reaches
// ClickHouse or a log.
type DeadLetter struct {
	// Stage that gave up, e.g. "ingest", "message", "alert".
	Stage string
	// Source is the configured source's name, or the topic for a stage.
	Source   string
	Provider string
	// Reason is a closed word; Detail a sentence without personal data.
	Reason string
	Detail string
	// Where the item is: a JSON pointer into the body, or topic/partition/offset.
	Where      string
	ReceivedAt Instant
	Item       []byte
	// Digest is equal for equal items, under a secret of the stage that gave up;
	// zero if it has none. Without one a few bytes are found again by trying all.
	Digest Key
	// Account is whose item it is; empty where that is not known.
	Account string
}

// EncodeDeadLetter returns the wire form of d.
func EncodeDeadLetter(d *DeadLetter) []byte {
	return marshal(&pb.DeadLetter{
		Stage: text(d.Stage), Source: text(d.Source), Provider: text(d.Provider), Reason: text(d.Reason),
		Detail: text(d.Detail), Where: text(d.Where), ReceivedAt: int64(d.ReceivedAt), Item: d.Item, Digest: bytesOf(d.Digest), Account: text(d.Account),
	})
}

// DecodeDeadLetter reads the wire form.
func DecodeDeadLetter(b []byte) (DeadLetter, error) {
	var m pb.DeadLetter
	if err := proto.Unmarshal(b, &m); err != nil {
		return DeadLetter{}, fmt.Errorf("decode dead letter: %w", err)
	}
	if m.Stage == "" || m.Reason == "" {
		return DeadLetter{}, errors.New("decode dead letter: no stage or reason")
	}
	digest, err := keyOf("digest", m.Digest, false)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("decode dead letter: %w", err)
	}
	return DeadLetter{m.Stage, m.Source, m.Provider, m.Reason, m.Detail, m.Where, Instant(m.ReceivedAt), m.Item, digest, m.Account}, nil
}
