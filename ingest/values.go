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
// message in place of a campaign, and each would cost a tuple in every fold for
// weeks: beyond the limit a value becomes schemas.OtherValue.
type values struct {
	limits ValueLimits
	seed   maphash.Seed
	// exceed is called, with mu held, for every event with a value beyond the limit.
	// first is true for the first of the dimension that day.
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

// cap replaces what is beyond the limits in the events of one body, and makes
// ids of the content anew: the event itself says "(other)". An id of the
// provider's own stays. It keeps at most the limits' number of hashes.
func (v *values) cap(at schemas.Instant, events []schemas.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if day := at.Seconds() / 86400; v.mu.seen == nil || v.mu.day != day {
		v.mu.day, v.mu.warned, v.mu.seen = day, map[string]bool{}, map[string]map[uint64]struct{}{}
		for name := range v.limits.byName() {
			v.mu.seen[name] = map[uint64]struct{}{}
		}
	}
	for i := range events {
		was := events[i].Dimensions
		if was == (schemas.Dimensions{}) {
			continue
		}
		capped := schemas.Dimensions{
			Campaign: v.one("campaign", was.Campaign, v.limits.Campaign),
			Template: v.one("template", was.Template, v.limits.Template),
			Variant:  v.one("variant", was.Variant, v.limits.Variant),
			Segment:  v.one("segment", was.Segment, v.limits.Segment),
			Language: v.one("language", was.Language, v.limits.Language),
		}
		if capped != was {
			ofContent := events[i].ID == schemas.EventID(&events[i])
			events[i].Dimensions = capped
			if ofContent {
				events[i].ID = schemas.EventID(&events[i])
			}
		}
	}
}

// one is the value to use in place of value.
func (v *values) one(dimension, value string, limit int) string {
	if value == "" || value == schemas.OtherValue {
		return value
	}
	seen, h := v.mu.seen[dimension], maphash.String(v.seed, value)
	if _, found := seen[h]; found {
		return value
	}
	if len(seen) < limit {
		seen[h] = struct{}{}
		return value
	}
	v.exceed(dimension, limit, !v.mu.warned[dimension])
	v.mu.warned[dimension] = true
	return schemas.OtherValue
}
