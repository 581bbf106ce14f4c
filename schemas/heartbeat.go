package schemas

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// Heartbeat is a door's sign of life. While it answers 200, a door writes one into
// every partition of `events` every few seconds: what it took in before Through is
// acknowledged, and so lies before the heartbeat in the log. Only this tells a
// world in which nothing happens from one that is not heard.
type Heartbeat struct {
	// Door names one run of one door; another process, another Door.
	Door Key
	// Opened is since when it has been taking webhooks.
	Opened Instant
	// At is the door's clock, the same that stamps received_at.
	At Instant
	// Held is the received_at of the oldest body that is not acknowledged yet; 0 if
	// there is none.
	Held Instant
	// Settling is how long, in milliseconds of the door's clock, a webhook may
	// travel before it reaches the door.
	Settling int64
	// Patience is how long, in the same, a door may be silent before it counts as
	// shut since its last heartbeat.
	Patience int64
	// Closing marks the last heartbeat of a door that stops in good order.
	Closing bool
}

// Through is the instant before which everything the door took in is in the log.
func (h *Heartbeat) Through() Instant {
	if h.Held > 0 {
		return min(h.At, h.Held)
	}
	return h.At
}

// EncodeHeartbeat returns the wire form of h.
func EncodeHeartbeat(h *Heartbeat) []byte {
	return marshal(&pb.Heartbeat{
		Door: h.Door[:], Opened: int64(h.Opened), At: int64(h.At), Held: int64(h.Held),
		Settling: h.Settling, Patience: h.Patience, Closing: h.Closing,
	})
}

// DecodeHeartbeat reads the wire form.
func DecodeHeartbeat(b []byte) (Heartbeat, error) {
	var m pb.Heartbeat
	if err := proto.Unmarshal(b, &m); err != nil {
		return Heartbeat{}, fmt.Errorf("decode heartbeat: %w", err)
	}
	door, err := keyOf("door", m.Door, true)
	if err != nil {
		return Heartbeat{}, fmt.Errorf("decode heartbeat: %w", err)
	}
	if m.Opened <= 0 || m.At < m.Opened || m.Held < 0 || m.Settling < 0 || m.Patience <= 0 {
		return Heartbeat{}, fmt.Errorf("decode heartbeat: opened %d, at %d, held %d, settling %d, patience %d",
			m.Opened, m.At, m.Held, m.Settling, m.Patience)
	}
	return Heartbeat{door, Instant(m.Opened), Instant(m.At), Instant(m.Held), m.Settling, m.Patience, m.Closing}, nil
}
