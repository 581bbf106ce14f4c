package ingest

import (
	"hash/maphash"
	"iter"
	"sync"

	"github.com/bluetick/bluetick/schemas"
)

// byName yields each dimension's limit.
func (l ValueLimits) byName() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		_ = yield("campaign", l.Campaign) && yield("template", l.Template) && yield("variant", l.Variant) &&
			yield("segment", l.Segment) && yield("language", l.Language)
	}
}

// values counts the different values of each dimension of one source since the
// last UTC midnight of received_at. Many are a mistake, such as an id per
// message in place of a campaign, and make tables large.
type values struct {
	limits ValueLimits
	seed   maphash.Seed
	// exceed is told of every event with a value beyond the limit, first of the
	// first that day. Called with mu held.
	exceed func(dimension string, limit int, first bool)

	mu struct {
		sync.Mutex
		day    int64
		seen   map[string]map[uint64]struct{}
		warned map[string]bool
	}
}

func newValues(limits ValueLimits, exceed func(dimension string, limit int, first bool)) *values {
	return &values{limits: limits, seed: maphash.MakeSeed(), exceed: exceed}
}

// observe takes note of the events of one body. It keeps at most the limits'
// number of hashes.
func (v *values) observe(at schemas.Instant, events []schemas.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if day := at.Seconds() / 86400; v.mu.seen == nil || v.mu.day != day {
		v.mu.day, v.mu.warned, v.mu.seen = day, map[string]bool{}, map[string]map[uint64]struct{}{}
		for name := range v.limits.byName() {
			v.mu.seen[name] = map[uint64]struct{}{}
		}
	}
	for i := range events {
		d := &events[i].Dimensions
		if *d == (schemas.Dimensions{}) {
			continue
		}
		v.one("campaign", d.Campaign, v.limits.Campaign)
		v.one("template", d.Template, v.limits.Template)
		v.one("variant", d.Variant, v.limits.Variant)
		v.one("segment", d.Segment, v.limits.Segment)
		v.one("language", d.Language, v.limits.Language)
	}
}

func (v *values) one(dimension, value string, limit int) {
	if value == "" {
		return
	}
	seen, h := v.mu.seen[dimension], maphash.String(v.seed, value)
	if _, found := seen[h]; found {
		return
	}
	if len(seen) < limit {
		seen[h] = struct{}{}
		return
	}
	v.exceed(dimension, limit, !v.mu.warned[dimension])
	v.mu.warned[dimension] = true
}
