package task

import (
	"fmt"
	"slices"

	"github.com/bluetick/bluetick/schemas"
)

// MaxSources bounds the source partitions a fold listens to, so that a nonsense
// Progress cannot make it allocate: many times what one account's stream needs,
// and what a Kafka cluster likes.
const MaxSources = 4096

// ReasonSources is the Reject of a Progress that counts other sources than those
// before it.
const ReasonSources = "sources_changed"

// SourceStatus is how far one source partition has come, by its own Progress.
type SourceStatus struct {
	Partition int32
	// Heard is false while it has sent no Progress: then nothing is complete.
	Heard bool
	// NextOffset is the first offset of its input that it has not folded; 0 in a
	// fold that does not keep it.
	NextOffset int64
	// CompleteTo never falls.
	CompleteTo schemas.Instant
}

// Sources is what Progress a fold has heard of each partition of the stage
// before it, and with it the watermark. The zero value has heard nothing, not
// even how many there are. It belongs to the fold's goroutine, and is part of
// the fold's state: Status is what to store, RestoreSources reads it back.
type Sources struct {
	// heard is indexed by source partition; nil before the first Progress.
	heard []SourceStatus
}

// Follower is a Fold with Sources. A fold of a topic that is not derived from
// another has none.
type Follower interface {
	// Sources is the status of each source partition, nil before the first
	// Progress. Like every method of a fold it belongs to the fold's goroutine.
	Sources() []SourceStatus
}

// RestoreSources returns the Sources with the given status, in the order of
// partitions, of which there are at most MaxSources.
func RestoreSources(status []SourceStatus) Sources {
	s := Sources{heard: slices.Clone(status)}
	for i := range s.heard {
		s.heard[i].Partition = int32(i)
	}
	return s
}

// Hear takes in the Progress of a source. It reports false for one that has come
// less far than an earlier one: a restarted source that is replaying, or a second
// owner that lags behind. Its rows are true and are folded (I4 orders them), but
// what it says about completeness is already known.
//
// The number of sources is fixed by the first Progress. Another number means that
// the topic before has other partitions now, so that keys have moved and the rows
// of both layouts would count: the error is a *Reject and nothing changes. The
// watermark stands still from then on: a missing result is better than a wrong
// one.
func (s *Sources) Hear(p *schemas.Progress) (news bool, err error) {
	if p.Sources < 1 || p.Sources > MaxSources || p.Source < 0 || p.Source >= p.Sources {
		return false, &Reject{Reason: ReasonSources, Err: fmt.Errorf("progress of stage %s: source %d of %d, at most %d",
			p.Stage, p.Source, p.Sources, MaxSources)}
	}
	if s.heard != nil && int(p.Sources) != len(s.heard) {
		return false, &Reject{Reason: ReasonSources, Err: fmt.Errorf("progress of stage %s: %d sources after %d in one epoch: "+
			"the topic it reads has another number of partitions; make the topics anew with the old number, and start anew",
			p.Stage, p.Sources, len(s.heard))}
	}
	if s.heard == nil {
		*s = RestoreSources(make([]SourceStatus, p.Sources))
	}
	h := &s.heard[p.Source]
	if h.Heard && p.NextOffset < h.NextOffset {
		return false, nil
	}
	if !h.Heard || p.CompleteTo > h.CompleteTo {
		h.CompleteTo = p.CompleteTo
	}
	h.Heard, h.NextOffset = true, p.NextOffset
	return true, nil
}

// Watermark is the least CompleteTo of all sources; there is none until each has
// been heard and knows what is complete.
func (s *Sources) Watermark() (least schemas.Instant, ok bool) {
	for i, h := range s.heard {
		if !h.Heard || h.CompleteTo == 0 {
			return 0, false
		}
		if i == 0 || h.CompleteTo < least {
			least = h.CompleteTo
		}
	}
	return least, len(s.heard) > 0
}

// Len is the number of source partitions; 0 before the first Progress.
func (s *Sources) Len() int { return len(s.heard) }

// Status is a copy of what is known of each source partition, in their order;
// nil before the first Progress. The one with the least CompleteTo, or one not
// heard, holds the watermark.
func (s *Sources) Status() []SourceStatus { return slices.Clone(s.heard) }
