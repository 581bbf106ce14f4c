package kafka

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// tailOnly marks our own questions to kfake, which packs do not touch: as the
	// replica of a fetch or of a list of offsets, and as the time limit of a deletion.
	tailOnly = -2
	// tailStart asks ListOffsets for the first offset of the tail; Kafka has this
	// for brokers that keep the older part of a log elsewhere.
	tailStart = -4
	// packedAnswer bounds what one answer takes from the packs of a partition: some
	// megabytes once they are decompressed.
	packedAnswer = 256 << 10
	// mostWait is how long a fetch may wait for records, whatever it asks for: less
	// than a pass takes to come, so that what kfake looks for when the wait is over
	// has not been let go of meanwhile.
	mostWait = sweepEvery / 3
)

// fetch serves what is packed, and has kfake answer for the rest of the request.
func (p *packs) fetch(req *kmsg.FetchRequest) (kmsg.Response, error, bool) {
	// With a session a request names only what changed, and what it does not name
	// could be packed. Without one it names all. A session that another build gave
	// out is unknown here, and its client begins anew.
	if req.SessionID != 0 && req.SessionEpoch > 0 {
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
		return resp, nil, true
	}
	req.SessionID, req.SessionEpoch, req.ForgottenTopics = 0, -1, nil
	req.MaxWaitMillis = min(req.MaxWaitMillis, int32(p.mostWait.Milliseconds()))
	if req.ReplicaID == tailOnly || !p.anyPacked(req) {
		return nil, nil, false
	}
	resp, err := p.run(func() (kmsg.Response, error) { return p.fetchPacked(req) })
	return resp, err, true
}

func (p *packs) topicOf(t kmsg.FetchRequestTopic) string {
	if t.Topic != "" {
		return t.Topic
	}
	return p.name(t.TopicID)
}

func (p *packs) anyPacked(req *kmsg.FetchRequest) bool {
	for _, t := range req.Topics {
		topic := p.topicOf(t)
		for _, part := range t.Partitions {
			if _, ok := p.find(place{topic, part.Partition}, part.FetchOffset); ok {
				return true
			}
		}
	}
	return false
}

// found is where a reader goes on: in a pack, at a batch.
type found struct {
	pack            packFile
	batch           int
	start, packsEnd int64 // of the log
}

func (p *packs) find(at place, offset int64) (found, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	l := p.mu.logs[at]
	f := l.holding(offset)
	if f == nil {
		return found{}, false
	}
	i := len(f.batches) - 1
	for f.batches[i].first > offset { // the last that begins at or before it
		i--
	}
	return found{pack: *f, batch: i, start: l.start, packsEnd: l.end()}, true
}

// fetchPacked asks kfake for everything, of packed partitions as if they were
// wanted from where their tail begins, and puts the packed records in.
func (p *packs) fetchPacked(req *kmsg.FetchRequest) (kmsg.Response, error) {
	ask := kmsg.NewPtrFetchRequest()
	ask.ReplicaID, ask.MaxBytes, ask.IsolationLevel, ask.SessionEpoch = tailOnly, req.MaxBytes, req.IsolationLevel, -1
	packed := map[place]found{}
	var others []kmsg.FetchRequestTopic
	for _, t := range req.Topics {
		old, young := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopic()
		old.Topic = p.topicOf(t)
		young.Topic = old.Topic
		for _, part := range t.Partitions {
			f, ok := p.find(place{old.Topic, part.Partition}, part.FetchOffset)
			if !ok {
				young.Partitions = append(young.Partitions, part)
				continue
			}
			packed[place{old.Topic, part.Partition}] = f
			part.FetchOffset, part.PartitionMaxBytes = f.packsEnd, 1
			old.Partitions = append(old.Partitions, part)
		}
		if len(old.Partitions) > 0 {
			ask.Topics = append(ask.Topics, old)
		}
		if len(young.Partitions) > 0 {
			others = append(others, young)
		}
	}
	ask.Topics = append(ask.Topics, others...) // an answer that gets full ends; the packed ones ask for next to nothing
	answer, err := p.ask(ask)
	if err != nil {
		return nil, fmt.Errorf("fetch of the tail: %w", err)
	}
	tail := map[place]kmsg.FetchResponseTopicPartition{}
	room := int64(req.MaxBytes)
	for _, t := range answer.(*kmsg.FetchResponse).Topics {
		for _, part := range t.Partitions {
			at := place{t.Topic, part.Partition}
			if _, ok := packed[at]; ok {
				part.RecordBatches, part.AbortedTransactions = []byte{}, nil
			}
			tail[at], room = part, room-int64(len(part.RecordBatches))
		}
	}
	return p.assemble(req, packed, tail, room), nil
}

// assemble makes the answer to req from that of kfake and from the packs.
func (p *packs) assemble(req *kmsg.FetchRequest, packed map[place]found, tail map[place]kmsg.FetchResponseTopicPartition, room int64) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	served := false
	for _, t := range req.Topics {
		topic := p.topicOf(t)
		out := kmsg.NewFetchResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		for _, want := range t.Partitions {
			at := place{topic, want.Partition}
			part, ok := tail[at]
			if !ok && topic != "" {
				continue // kfake's answer was full before it came to this one
			}
			if !ok {
				part = kmsg.NewFetchResponseTopicPartition()
				part.Partition, part.ErrorCode = want.Partition, kerr.UnknownTopicID.Code
			}
			if f, isPacked := packed[at]; isPacked && part.ErrorCode == 0 {
				part.LogStartOffset = f.start
				limit := min(int64(want.PartitionMaxBytes), packedAnswer, room)
				if limit > 0 || !served {
					part.RecordBatches, part.ErrorCode = p.read(at, f, want.FetchOffset, limit)
					room -= int64(len(part.RecordBatches))
					served = served || len(part.RecordBatches) > 0
				}
			}
			out.Partitions = append(out.Partitions, part)
		}
		if len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
	}
	return resp
}

// read returns whole batches from the one that holds the offset on, at least
// one, and no more than limit bytes otherwise.
func (p *packs) read(at place, f found, offset, limit int64) (raw []byte, code int16) {
	from := int64(f.pack.batches[f.batch].pos)
	_, to := f.pack.end(f.batch)
	for i := f.batch + 1; i < len(f.pack.batches); i++ {
		_, end := f.pack.end(i)
		if end-from > limit {
			break
		}
		to = end
	}
	raw, err := readPart(f.pack.path, from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return []byte{}, 0 // deleted this moment; the next fetch is told so
	}
	for pos := 0; err == nil && pos < len(raw); {
		b, ok := batchAt(raw, pos)
		if !ok {
			err = fmt.Errorf("%w: %s, byte %d", ErrDamaged, f.pack.path, from+int64(pos))
		}
		pos += b.size
	}
	if err != nil {
		p.log.Error("a pack of the log does not read, its readers wait; stop, and start again for what to do",
			"topic", at.topic, "partition", at.partition, "offset", offset, "err", err)
		return []byte{}, kerr.KafkaStorageError.Code
	}
	return raw, 0
}

func readPart(path string, from, to int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw := make([]byte, to-from)
	_, err = f.ReadAt(raw, from)
	return raw, err
}
