package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// list answers for offsets that stand in packs: the first of a log, and the
// first record at or after a time.
func (p *packs) list(req *kmsg.ListOffsetsRequest) (kmsg.Response, error, bool) {
	if req.ReplicaID == tailOnly || req.Version == 0 {
		return nil, nil, false
	}
	for _, t := range req.Topics {
		for _, part := range t.Partitions {
			if p.answers(place{t.Topic, part.Partition}, part.Timestamp) {
				resp, err := p.run(func() (kmsg.Response, error) { return p.listPacked(req) })
				return resp, err, true
			}
		}
	}
	return nil, nil, false
}

// answers says whether the packs know the answer for a timestamp.
func (p *packs) answers(at place, timestamp int64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	l := p.mu.logs[at]
	if l == nil || l.start >= l.end() {
		return false
	}
	if timestamp == -2 {
		return true
	}
	for _, f := range l.files {
		if timestamp >= 0 && f.maxTime >= timestamp {
			return true
		}
	}
	return false
}

func (p *packs) listPacked(req *kmsg.ListOffsetsRequest) (kmsg.Response, error) {
	type known struct{ offset, time int64 }
	answers := map[place]known{}
	ask := kmsg.NewPtrListOffsetsRequest()
	ask.ReplicaID, ask.IsolationLevel, ask.TimeoutMillis = tailOnly, req.IsolationLevel, req.TimeoutMillis
	for _, t := range req.Topics {
		out := kmsg.NewListOffsetsRequestTopic()
		out.Topic = t.Topic
		for _, part := range t.Partitions {
			at := place{t.Topic, part.Partition}
			if p.answers(at, part.Timestamp) {
				offset, time, ok, err := p.first(at, part.Timestamp)
				if err != nil {
					return nil, fmt.Errorf("look for a time in the packs of %s-%d: %w", at.topic, at.partition, err)
				}
				if ok {
					answers[at], part.Timestamp = known{offset, time}, tailStart
				}
			}
			out.Partitions = append(out.Partitions, part)
		}
		ask.Topics = append(ask.Topics, out)
	}
	answer, err := p.ask(ask)
	if err != nil {
		return nil, fmt.Errorf("list offsets of the tail: %w", err)
	}
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	resp.Topics = answer.(*kmsg.ListOffsetsResponse).Topics
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			part := &t.Partitions[i]
			if k, ok := answers[place{t.Topic, part.Partition}]; ok && part.ErrorCode == 0 {
				part.Offset, part.Timestamp = k.offset, k.time
			}
		}
	}
	return resp, nil
}

// first finds the first offset of a log (-2), or the first record at or after a
// time. ok is false when it stands in the tail.
func (p *packs) first(at place, timestamp int64) (offset, time int64, ok bool, err error) {
	var path string
	var from, to int64
	p.mu.RLock()
	l := p.mu.logs[at]
	if l == nil {
		p.mu.RUnlock()
		return 0, 0, false, nil
	}
	start := l.start
	for _, f := range l.files {
		if timestamp == -2 || f.maxTime < timestamp {
			continue
		}
		for i, b := range f.batches {
			if next, end := f.end(i); path == "" && b.maxTime >= timestamp && next > start {
				path, from, to = f.path, int64(b.pos), end
			}
		}
		if path != "" {
			break
		}
	}
	p.mu.RUnlock()
	if timestamp == -2 {
		return start, -1, true, nil
	}
	if path == "" {
		return 0, 0, false, nil
	}
	raw, err := readPart(path, from, to)
	if err != nil {
		return 0, 0, false, err
	}
	b, whole := batchAt(raw, 0)
	if !whole {
		return 0, 0, false, fmt.Errorf("%w: %s, byte %d", ErrDamaged, path, from)
	}
	err = entries(raw, b, kgo.DefaultDecompressor(), func(e entry) {
		if !ok && e.time >= timestamp && e.offset >= start {
			offset, time, ok = e.offset, e.time, true
		}
	})
	if err == nil && !ok { // only deleted ones are as young: what follows is not older than they are said to be
		return max(start, b.first), b.maxTime, true, nil
	}
	return offset, time, ok, err
}

// remove deletes records that are packed, and has kfake delete those of the tail.
func (p *packs) remove(req *kmsg.DeleteRecordsRequest) (kmsg.Response, error, bool) {
	if req.TimeoutMillis == tailOnly {
		return nil, nil, false
	}
	for _, t := range req.Topics {
		for _, part := range t.Partitions {
			if p.answers(place{t.Topic, part.Partition}, -2) {
				resp, err := p.run(func() (kmsg.Response, error) { return p.removePacked(req) })
				return resp, err, true
			}
		}
	}
	return nil, nil, false
}

// removePacked deletes packs before kfake deletes: after a crash between the two
// more is left than was asked for, and no hole.
func (p *packs) removePacked(req *kmsg.DeleteRecordsRequest) (kmsg.Response, error) {
	ends, err := p.ends(req)
	if err != nil {
		return nil, err
	}
	ask := kmsg.NewPtrDeleteRecordsRequest()
	ask.TimeoutMillis = tailOnly
	answers := map[place]kmsg.DeleteRecordsResponseTopicPartition{}
	for _, t := range req.Topics {
		out := kmsg.NewDeleteRecordsRequestTopic()
		out.Topic = t.Topic
		for _, part := range t.Partitions {
			at := place{t.Topic, part.Partition}
			end, known := ends[at]
			to := part.Offset
			if to == -1 {
				to = end
			}
			p.mu.RLock()
			start, packsEnd := int64(0), p.mu.logs[at].end()
			if packsEnd > 0 {
				start = p.mu.logs[at].start
			}
			p.mu.RUnlock()
			one := kmsg.NewDeleteRecordsResponseTopicPartition()
			one.Partition, one.LowWatermark = part.Partition, to
			switch {
			case !known || packsEnd == 0: // kfake knows what is wrong, or nothing is packed
				out.Partitions = append(out.Partitions, part)
			case to < start || to > end:
				one.LowWatermark, one.ErrorCode = -1, kerr.OffsetOutOfRange.Code
				answers[at] = one
			default:
				if err := p.drop(at, to); err != nil {
					return nil, err
				}
				if to < packsEnd {
					answers[at] = one
				} else {
					out.Partitions = append(out.Partitions, part)
				}
			}
		}
		ask.Topics = append(ask.Topics, out)
	}
	if err := p.did("packs deleted, the tail not"); err != nil {
		return nil, err
	}
	answer, err := p.ask(ask)
	if err != nil {
		return nil, fmt.Errorf("delete records of the tail: %w", err)
	}
	for _, t := range answer.(*kmsg.DeleteRecordsResponse).Topics {
		for _, part := range t.Partitions {
			answers[place{t.Topic, part.Partition}] = part
		}
	}
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, t := range req.Topics {
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, part := range t.Partitions {
			out.Partitions = append(out.Partitions, answers[place{t.Topic, part.Partition}])
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

// ends asks for the ends of the partitions of req.
func (p *packs) ends(req *kmsg.DeleteRecordsRequest) (map[place]int64, error) {
	return p.offsets(-1, func(ask func(place)) {
		for _, t := range req.Topics {
			for _, part := range t.Partitions {
				ask(place{t.Topic, part.Partition})
			}
		}
	})
}

// offsets asks kfake for one offset of each place.
func (p *packs) offsets(which int64, places func(ask func(place))) (map[place]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = tailOnly
	places(func(at place) {
		t := kmsg.NewListOffsetsRequestTopic()
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp = at.partition, which
		t.Topic, t.Partitions = at.topic, append(t.Partitions, part)
		req.Topics = append(req.Topics, t)
	})
	answer, err := p.ask(req)
	if err != nil {
		return nil, fmt.Errorf("list offsets of the tail: %w", err)
	}
	offsets := map[place]int64{}
	for _, t := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, part := range t.Partitions {
			if part.ErrorCode == 0 {
				offsets[place{t.Topic, part.Partition}] = part.Offset
			}
		}
	}
	return offsets, nil
}
