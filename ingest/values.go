package ingest

import (
	"hash/maphash"
	"iter"
	"maps"
	"sync"

	"github.com/bluetick/bluetick/schemas"
)

// ValueLimits are how many different new values of each dimension, and new
// combinations of campaign, template, variant and segment, an account may bring
// in a day.
type ValueLimits struct {
	Campaign int `yaml:"campaign"`
	Template int `yaml:"template"`
	Variant  int `yaml:"variant"`
	Segment  int `yaml:"segment"`
	Language int `yaml:"language"`
	Tuples   int `yaml:"tuples"`
}

// dimension is one of what is limited. The names are those of the settings, of
// the metric and of the marks in an event's free map.
type dimension uint8

const (
	campaign dimension = iota
	template
	variant
	segment
	language
	tuple
	dimensions // their number
)

func (d dimension) String() string {
	return [dimensions]string{"campaign", "template", "variant", "segment", "language", "tuples"}[d]
}

func (d dimension) of(e *schemas.Dimensions) *string {
	return [...]*string{&e.Campaign, &e.Template, &e.Variant, &e.Segment, &e.Language}[d]
}

func (l *ValueLimits) of(d dimension) int {
	return [dimensions]int{l.Campaign, l.Template, l.Variant, l.Segment, l.Language, l.Tuples}[d]
}

// byName yields each limit.
func (l *ValueLimits) byName() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for d := range dimensions {
			if !yield(d.String(), l.of(d)) {
				return
			}
		}
	}
}

// coarsened is the order in which a combination that is one too many loses its
// parts, the least useful first: no rate is computed by segment or template, a
// variant is compared only within its campaign, and the campaign is what people
// look at and alerts watch.
var coarsened = [...]dimension{segment, template, variant, campaign}

// maxHashes bounds the hashes of all accounts and two days, 8 bytes each and as
// much again for the maps: some 100 MB. Beyond it an account that holds more
// than its share brings nothing new.
const maxHashes = 5_000_000

// exceeded is called for an event with something beyond a limit, with the lock
// held. first is true for the account's first of the dimension that day.
type exceeded func(account string, d dimension, limit int, first bool)

// values counts the different values of each dimension and account by day of
// received_at (UTC). Many are a mistake, such as an id per message in place of a
// campaign, and each would cost a tuple in every fold for weeks: beyond the limit
// a value becomes schemas.OtherValue, and the value itself goes to the free map.
// What an account has used today or the day before stays admitted, so that a
// flood of new values does not take the place of those in use; and no account
// takes another's, whatever source they share.
type values struct {
	limits ValueLimits
	most   int // of hashes, see maxHashes
	seed   maphash.Seed

	mu struct {
		sync.Mutex
		day      int64
		accounts map[string]*seen
		hashes   int
	}
}

type hashes map[uint64]struct{}

// seen is what one account has used.
type seen struct {
	today, before [dimensions]hashes
	// fresh is how many of today's values were not used the day before.
	fresh  [dimensions]int
	warned [dimensions]bool
}

func (s *seen) size() (n int) {
	for d := range dimensions {
		n += len(s.today[d]) + len(s.before[d])
	}
	return n
}

func newValues(limits ValueLimits) *values {
	v := &values{limits: limits, most: maxHashes, seed: maphash.MakeSeed()}
	v.mu.accounts = map[string]*seen{}
	return v
}

// cap replaces what is beyond the limits in the events of one body, and then
// makes the ids that come from the content anew, since the event now says
// "(other)". The provider's own ids stay.
func (v *values) cap(at schemas.Instant, events []schemas.Event, tell exceeded) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.turn(at.Seconds() / 86400)
	for i := range events {
		e := &events[i]
		if e.Dimensions == (schemas.Dimensions{}) {
			continue
		}
		marks := v.judge(e.Account, &e.Dimensions, tell)
		if marks == nil {
			continue
		}
		was := events[i]
		was.Dimensions = marks.was
		ofContent := e.ID == schemas.EventID(&was)
		e.Extra = maps.Clone(e.Extra)
		if e.Extra == nil {
			e.Extra = map[string]string{}
		}
		maps.Copy(e.Extra, marks.originals)
		if ofContent {
			e.ID = schemas.EventID(e)
		}
	}
}

// recall takes in what an account used before this door opened. Nothing of it counts
// as new.
func (v *values) recall(now schemas.Instant, e *schemas.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.turn(now.Seconds() / 86400)
	ago := v.mu.day - e.ReceivedAt.Seconds()/86400
	if ago < 0 || ago > 1 || e.Dimensions == (schemas.Dimensions{}) {
		return
	}
	s := v.account(e.Account)
	used := &s.today
	if ago == 1 {
		used = &s.before
	}
	keep := func(d dimension, h uint64) {
		if _, ok := used[d][h]; ok || len(used[d]) >= 2*v.limits.of(d) || v.full(s) {
			return
		}
		if used[d] == nil {
			used[d] = hashes{}
		}
		used[d][h] = struct{}{}
		v.mu.hashes++
	}
	for d := range tuple {
		if value := *d.of(&e.Dimensions); value != "" && value != schemas.OtherValue {
			keep(d, maphash.String(v.seed, value))
		}
	}
	keep(tuple, v.tupleHash(&e.Dimensions))
}

// turn begins a day. A day slightly in the past, as with bodies around midnight,
// counts as the present one; a clock that was set back by more begins anew without
// forgetting.
func (v *values) turn(day int64) {
	switch {
	case day == v.mu.day || day == v.mu.day-1:
		return
	case day < v.mu.day:
		v.mu.day = day
		return
	}
	next := day == v.mu.day+1
	v.mu.day, v.mu.hashes = day, 0
	for account, s := range v.mu.accounts {
		before := s.today
		if !next {
			before = [dimensions]hashes{}
		}
		*s = seen{before: before}
		if n := s.size(); n == 0 {
			delete(v.mu.accounts, account)
		} else {
			v.mu.hashes += n
		}
	}
}

// changes are what judge has done to the dimensions of an event.
type changes struct {
	was schemas.Dimensions
	// originals go to the free map: "other.<why>.<dimension>" → the value.
	originals map[string]string
}

// judge replaces what is too much; nil if nothing is.
func (v *values) judge(account string, d *schemas.Dimensions, tell exceeded) *changes {
	s := v.account(account)
	var c *changes
	replace := func(dim dimension, why string) {
		if c == nil {
			c = &changes{was: *d, originals: map[string]string{}}
		}
		c.originals[why+dim.String()] = *dim.of(d)
		*dim.of(d) = schemas.OtherValue
	}
	for dim := range tuple {
		value := *dim.of(d)
		if value == "" || value == schemas.OtherValue {
			continue
		}
		limit := v.limits.of(dim)
		if !v.admit(s, dim, maphash.String(v.seed, value), limit) {
			v.tell(account, s, dim, tell)
			replace(dim, schemas.MarkValues)
		}
	}
	limit := v.limits.Tuples
	if d.Campaign == "" && d.Template == "" && d.Variant == "" && d.Segment == "" ||
		v.admit(s, tuple, v.tupleHash(d), limit) {
		return c
	}
	v.tell(account, s, tuple, tell)
	// A tenth of the limit is kept for each coarser form, so that what a campaign
	// with too many segments becomes is still the campaign.
	for i, dim := range coarsened {
		if value := *dim.of(d); value == "" || value == schemas.OtherValue {
			continue
		}
		replace(dim, schemas.MarkTuples)
		if v.admit(s, tuple, v.tupleHash(d), limit+(i+1)*limit/10) {
			break
		}
	}
	return c
}

func (v *values) tell(account string, s *seen, d dimension, tell exceeded) {
	tell(account, d, v.limits.of(d), !s.warned[d])
	s.warned[d] = true
}

func (v *values) tupleHash(d *schemas.Dimensions) uint64 {
	return maphash.Comparable(v.seed, [...]string{d.Campaign, d.Template, d.Variant, d.Segment})
}

func (v *values) account(name string) *seen {
	s := v.mu.accounts[name]
	if s == nil {
		s = &seen{}
		v.mu.accounts[name] = s
	}
	return s
}

// admit reports whether the account may use the value: one in use, or a new one
// within the limit. At most twice the limit is held for a day.
func (v *values) admit(s *seen, d dimension, h uint64, limit int) bool {
	if _, found := s.today[d][h]; found {
		return true
	}
	_, known := s.before[d][h]
	if len(s.today[d]) >= 2*limit || !known && (s.fresh[d] >= limit || v.full(s)) {
		return false
	}
	if !known {
		s.fresh[d]++
	}
	if s.today[d] == nil {
		s.today[d] = hashes{}
	}
	s.today[d][h] = struct{}{}
	v.mu.hashes++
	return true
}

// full reports whether all room is taken and the account has its share of it.
func (v *values) full(s *seen) bool {
	return v.mu.hashes >= v.most && s.size() >= v.most/len(v.mu.accounts)
}
