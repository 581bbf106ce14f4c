package kafka

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// doorReserve is what must be free for facts from outside to be taken in. Below it
	// the line goes on: what it makes of a body, in the topics after the first and in
	// ClickHouse, needs room after the body was acknowledged.
	doorReserve = 64 << 20
	// diskReserve is what stays free for everything but records: 16 MiB hold a
	// hundred thousand group commits and the snapshot of Close. A disk that is full
	// to the last byte hurts kfake in two ways: a commit cut in the middle hides
	// the later ones after a kill, and a refused batch that is sent again with its
	// old sequence number is taken for a duplicate and acknowledged.
	diskReserve = 16 << 20
)

// ErrNoRoom is in the error of Room.
var ErrNoRoom = errors.New("the disk is nearly full: free some room, nothing needs to be started again")

// Room returns nil while there is room for facts from outside, else an error
// that wraps ErrNoRoom. Whoever takes facts in asks before each; a stage that only
// passes them on does not, so that the line can finish what it has begun.
func (b *Broker) Room() error {
	free, err := b.guard.free(b.guard.dir)
	if err == nil && free < doorReserve {
		return fmt.Errorf("%w (%s has %d bytes left and needs %d)", ErrNoRoom, b.guard.dir, free, doorReserve)
	}
	return nil // unknown is not full
}

// diskGuard refuses produce requests while the disk is all but full. Its fields
// are immutable except for full, which the broker's one request goroutine owns.
type diskGuard struct {
	dir  string
	free func(dir string) (uint64, error)
	log  *slog.Logger
	full bool
}

// check answers req when the disk has no room for it. handled is false when the
// broker can go on with it.
func (g *diskGuard) check(req *kmsg.ProduceRequest) (resp kmsg.Response, handled bool) {
	free, err := g.free(g.dir)
	full := err == nil && free < diskReserve // unknown is not full: the write itself will show it
	if full != g.full {
		g.full = full
		if full {
			g.log.Error("disk full, no record is taken until there is room", "dir", g.dir, "free_bytes", free, "needed_bytes", diskReserve)
		} else {
			g.log.Info("disk has room again, records are accepted", "dir", g.dir, "free_bytes", free)
		}
	}
	if !full || req.Acks == 0 { // without acks no answer is expected; the broker drops or keeps it
		return nil, false
	}
	return refuse(req, fmt.Sprintf("the broker's disk has %d bytes left and needs %d", free, diskReserve)), true
}

// refuse answers every partition of req with KAFKA_STORAGE_ERROR: clients try
// again, the same batches in the same order, until there is room or their own
// limit is reached. Nothing of the request has touched the log, so that the
// repeat is not a duplicate.
func refuse(req *kmsg.ProduceRequest, why string) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition = p.Partition
			rp.ErrorCode = kerr.KafkaStorageError.Code
			rp.ErrorMessage = &why
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
