package task

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// commitTimeout bounds one commit to the group, and with it how much longer a
// stop takes when the brokers are away.
const commitTimeout = 2 * time.Second

// groupReporter commits next offsets to a consumer group that has no members,
// so that any Kafka tool shows the lag. Nobody reads them back: the position is
// the offset in the state. One goroutine sends; tasks only leave a note.
type groupReporter struct {
	admin *kadm.Client
	group string
	topic string
	log   *slog.Logger
	wake  chan struct{} // capacity 1: a note is waiting; never closed
	mu    struct {
		sync.Mutex
		next map[int32]int64
	}
}

// GroupName is the consumer group in which a stage shows its lag.
func GroupName(stage string, epoch uint32) string {
	return fmt.Sprintf("bluetick-%s-%d", stage, epoch)
}

func newGroupReporter(admin *kadm.Client, group, topic string, log *slog.Logger) *groupReporter {
	g := &groupReporter{admin: admin, group: group, topic: topic, log: log, wake: make(chan struct{}, 1)}
	g.mu.next = map[int32]int64{}
	return g
}

// note takes the newest next offset of a partition.
func (g *groupReporter) note(partition int32, next int64) {
	g.mu.Lock()
	g.mu.next[partition] = next
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run sends notes until ctx ends, and then the last ones.
func (g *groupReporter) run(ctx context.Context) {
	for {
		select {
		case <-g.wake:
			g.send(ctx)
		case <-ctx.Done():
			g.send(ctx)
			return
		}
	}
}

// send commits the notes. It outlives ctx, so that a stop does not cut off the
// last commit.
func (g *groupReporter) send(ctx context.Context) {
	g.mu.Lock()
	notes := g.mu.next
	g.mu.next = map[int32]int64{}
	g.mu.Unlock()
	if len(notes) == 0 {
		return
	}
	offsets := kadm.Offsets{}
	for partition, next := range notes {
		offsets.AddOffset(g.topic, partition, next, -1)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	answers, err := g.admin.CommitOffsets(ctx, g.group, offsets)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		g.log.Warn("lag is not shown, the commit to the group did not succeed", "group", g.group, "err", err)
	}
}
