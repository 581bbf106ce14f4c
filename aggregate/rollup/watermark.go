package rollup

import (
	"fmt"

	"github.com/bluetick/bluetick/schemas"
)

const (
	// maxSources bounds the partitions of `events` this fold accepts, so that a
	// nonsense Progress cannot make it allocate: many times what one account's
	// stream needs, and what a Kafka cluster likes.
	maxSources = 4096
	// unheard is the next offset of a source that has sent no Progress yet.
	unheard = -1
)

// source is how far one source partition has come.
type source struct {
	nextOffset int64
	completeTo schemas.Instant
}

// sources is what Progress has been heard of each source partition. Its zero
// value has heard nothing, not even how many there are.
type sources struct {
	heard []source
}

// hear takes in what a source says of itself. It reports false for one that
// says less than it said before: a restarted source that is replaying, or a
// second owner that lags behind. Its rows are true and are folded (I4 orders
// them), but its word on completeness is already known.
func (s *sources) hear(p *schemas.Progress) (news bool, err error) {
	if p.Sources > maxSources {
		return false, fmt.Errorf("%d sources, at most %d", p.Sources, maxSources)
	}
	if s.heard == nil {
		s.heard = make([]source, p.Sources)
		for i := range s.heard {
			s.heard[i].nextOffset = unheard
		}
	}
	if int(p.Sources) != len(s.heard) {
		return false, fmt.Errorf("%d sources after %d in one epoch", p.Sources, len(s.heard))
	}
	h := &s.heard[p.Source]
	if p.NextOffset < h.nextOffset {
		return false, nil
	}
	if h.nextOffset == unheard || p.CompleteTo > h.completeTo {
		h.completeTo = p.CompleteTo
	}
	h.nextOffset = p.NextOffset
	return true, nil
}

// watermark is the least complete_to of all sources; there is none until each
// has been heard.
func (s *sources) watermark() (least schemas.Instant, ok bool) {
	for i, h := range s.heard {
		if h.nextOffset == unheard {
			return 0, false
		}
		if i == 0 || h.completeTo < least {
			least = h.completeTo
		}
	}
	return least, len(s.heard) > 0
}
