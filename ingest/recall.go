package ingest

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/schemas"
)

const (
	// recallFor is how far back the door looks for values in use.
	recallFor = 24 * time.Hour
	// recallLimit bounds how long it looks: some millions of events. It is open
	// meanwhile.
	recallLimit = time.Minute
)

// Past reads the events received since then, in no particular order across
// partitions, until it has come to where the log ended when it began, or ctx ends.
type Past func(ctx context.Context, since time.Time, each func(*schemas.Event)) error

// KafkaPast is the Past of the topic events, through clients made with opts.
func KafkaPast(opts ...kgo.Opt) Past {
	return func(ctx context.Context, since time.Time, each func(*schemas.Event)) error {
		begin, left, err := spanOf(ctx, since, opts)
		if err != nil || len(left) == 0 {
			return err
		}
		client, err := kgo.NewClient(append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{schemas.TopicEvents: begin}))...)
		if err != nil {
			return fmt.Errorf("connect to kafka: %w", err)
		}
		defer client.Close()
		for len(left) > 0 {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return fmt.Errorf("read the events of the last day: %w", err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				if r.Offset+1 >= left[r.Partition] {
					delete(left, r.Partition)
				}
				if e, err := schemas.DecodeEvent(r.Value); err == nil && len(r.Key) > 0 {
					each(&e)
				}
			})
		}
		return nil
	}
}

// spanOf asks where the events since then begin, and where the log ends.
func spanOf(ctx context.Context, since time.Time, opts []kgo.Opt) (begin map[int32]kgo.Offset, ends map[int32]int64, err error) {
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to kafka: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	from, err := admin.ListOffsetsAfterMilli(ctx, since.UnixMilli(), schemas.TopicEvents)
	if err == nil {
		err = from.Error()
	}
	to, err2 := admin.ListEndOffsets(ctx, schemas.TopicEvents)
	if err2 == nil {
		err2 = to.Error()
	}
	if err := cmp.Or(err, err2); err != nil {
		return nil, nil, fmt.Errorf("ask where the events of the last day are: %w", err)
	}
	begin, ends = map[int32]kgo.Offset{}, map[int32]int64{}
	from.Each(func(o kadm.ListedOffset) {
		if end, ok := to.Lookup(o.Topic, o.Partition); ok && o.Offset < end.Offset {
			begin[o.Partition], ends[o.Partition] = kgo.NewOffset().At(o.Offset), end.Offset
		}
	})
	return begin, ends, nil
}

// recall takes in what values were in use before the door opened, so that a restart
// does not make them new: a careless sender could take their place.
func (s *Server) recall(ctx context.Context) {
	if s.past == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, recallLimit)
	defer cancel()
	now, events := s.now(), 0
	err := s.past(ctx, now.Add(-recallFor), func(e *schemas.Event) {
		events++
		s.values.recall(schemas.InstantOf(now), e)
	})
	if err != nil && ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded {
		s.log.Warn("not all values of the last day are known again: some of them count as new ones of today (ingest.values)", "events", events, "err", err)
		return
	}
	s.log.Debug("values of the last day are known again", "events", events)
}
