package kafka

import (
	"fmt"
	"log/slog"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// diskReserve is what stays free for everything but records: 64 MiB hold
// hundreds of thousands of group commits and the snapshot of Close. A disk that
// is full to the last byte hurts kfake in two ways: a commit cut in the middle
// hides the later ones after a kill, and a refused batch that is sent again with
// its old sequence number is taken for a duplicate and acknowledged.
const diskReserve = 64 << 20

// freeBytes returns what is left for this process on the disk of dir.
func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil //nolint:unconvert // the types differ between systems
}

// diskGuard refuses produce requests while the disk is nearly full. It is owned
// by the broker's one request goroutine.
type diskGuard struct {
	dir  string
	free func(dir string) (uint64, error)
	log  *slog.Logger
	full bool
}

// check answers req when the disk has no room for it. handled is false when the
// broker shall go on with it.
func (g *diskGuard) check(req *kmsg.ProduceRequest) (resp kmsg.Response, handled bool) {
	free, err := g.free(g.dir)
	full := err == nil && free < diskReserve // unknown is not full: the write itself will tell
	if full != g.full {
		g.full = full
		if full {
			g.log.Error("disk nearly full, records are refused until there is room", "dir", g.dir, "free_bytes", free, "needed_bytes", diskReserve)
		} else {
			g.log.Info("disk has room again, records are accepted", "dir", g.dir, "free_bytes", free)
		}
	}
	if !full || req.Acks == 0 { // who wants no answer gets none; the broker drops or keeps it
		return nil, false
	}
	return refuse(req, fmt.Sprintf("the broker's disk has %d bytes left and needs %d", free, diskReserve)), true
}

// refuse answers every partition of req with UNKNOWN_SERVER_ERROR, what kfake
// answers to a failed write: clients give up on it at once. KAFKA_STORAGE_ERROR
// would say it better but makes them try for ever.
func refuse(req *kmsg.ProduceRequest, why string) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition = p.Partition
			rp.ErrorCode = kerr.UnknownServerError.Code
			rp.ErrorMessage = &why
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
