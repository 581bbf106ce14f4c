package schemas

import (
	"cmp"
	"maps"
)

// HorizonDays is the longest delay, in days, that an outcome may have and
// still count: the last edge of the histogram. A change is a new epoch.
const HorizonDays = 30

// HorizonSeconds is HorizonDays in seconds.
const HorizonSeconds = HorizonDays * 24 * 3600

// Buckets is the number of delay buckets of a Histogram.
const Buckets = 12

// Edges are the upper edges of the delay buckets in seconds. Bucket i holds
// Edges[i-1] < delay <= Edges[i]; bucket 0 holds 0 <= delay <= Edges[0].
func Edges() [Buckets]int64 {
	return [Buckets]int64{60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200, 604800, HorizonSeconds}
}

// BucketOf is the bucket of a delay in seconds (negative delays count as 0).
// ok is false beyond the horizon: the outcome is late.
func BucketOf(delay int64) (bucket int, ok bool) {
	for i, e := range Edges() {
		if delay <= e {
			return i, true
		}
	}
	return 0, false
}

// Histogram counts outcomes by delay, signed: +1 in the bucket where the
// outcome became true, -1 in the bucket where it ceased to be.
type Histogram [Buckets]int64

// Total is the count at the horizon.
func (h *Histogram) Total() int64 {
	var n int64
	for _, v := range h {
		n += v
	}
	return n
}

// Upto is the count at the given age in seconds, which must be one of Edges:
// the prefix sum.
func (h *Histogram) Upto(age int64) int64 {
	var n int64
	for i, e := range Edges() {
		if e > age {
			break
		}
		n += h[i]
	}
	return n
}

// Add adds sign times o.
func (h *Histogram) Add(o *Histogram, sign int64) {
	for i, v := range o {
		h[i] += sign * v
	}
}

// Tuple is what a pane is grouped by. The tuple itself is on the wire, never
// an interned id.
type Tuple struct {
	Account  string
	Channel  Channel
	Sender   string
	Country  string
	Campaign string
	Template string
	Variant  string
	Segment  string
}

// Compare orders tuples field by field.
func (t Tuple) Compare(o Tuple) int {
	return cmp.Or(
		cmp.Compare(t.Account, o.Account), cmp.Compare(t.Channel, o.Channel),
		cmp.Compare(t.Sender, o.Sender), cmp.Compare(t.Country, o.Country),
		cmp.Compare(t.Campaign, o.Campaign), cmp.Compare(t.Template, o.Template),
		cmp.Compare(t.Variant, o.Variant), cmp.Compare(t.Segment, o.Segment),
	)
}

// Counts are the absolute counts of unique messages in a pane. The maps hold no
// zero values; nil and empty mean the same.
type Counts struct {
	// Sent is the number of known messages.
	Sent      int64
	Delivered Histogram
	Opened    Histogram
	Read      Histogram
	Clicked   Histogram
	Replied   Histogram
	Engaged   Histogram
	OptedOut  Histogram
	Failed    Histogram
	Withheld  Histogram
	// Recovered is the number of messages that failed and were delivered too.
	Recovered int64
	// Late is the number of explicit outcome facts beyond the horizon, which
	// count nowhere else.
	Late int64
	// Failures counts the messages that failed and never recovered by category;
	// it sums to Failed.Total().
	Failures map[string]int64
	// CostMicros is the known cost per currency in millionths.
	CostMicros map[string]int64
	// Billable counts delivered messages per billing category the provider
	// charges for.
	Billable map[string]int64
}

// Add adds sign times o: +1 a contribution that enters, -1 one that leaves.
func (c *Counts) Add(o *Counts, sign int64) {
	c.Sent += sign * o.Sent
	for _, p := range [...][2]*Histogram{
		{&c.Delivered, &o.Delivered},
		{&c.Opened, &o.Opened},
		{&c.Read, &o.Read},
		{&c.Clicked, &o.Clicked},
		{&c.Replied, &o.Replied},
		{&c.Engaged, &o.Engaged},
		{&c.OptedOut, &o.OptedOut},
		{&c.Failed, &o.Failed},
		{&c.Withheld, &o.Withheld},
	} {
		p[0].Add(p[1], sign)
	}
	c.Recovered += sign * o.Recovered
	c.Late += sign * o.Late
	addMap(&c.Failures, o.Failures, sign)
	addMap(&c.CostMicros, o.CostMicros, sign)
	addMap(&c.Billable, o.Billable, sign)
}

func addMap(dst *map[string]int64, src map[string]int64, sign int64) {
	for k, v := range src {
		if *dst == nil {
			*dst = map[string]int64{}
		}
		if n := (*dst)[k] + sign*v; n != 0 {
			(*dst)[k] = n
		} else {
			delete(*dst, k)
		}
	}
}

// Clone returns a copy that shares nothing.
func (c *Counts) Clone() Counts {
	o := *c
	o.Failures, o.CostMicros, o.Billable = maps.Clone(c.Failures), maps.Clone(c.CostMicros), maps.Clone(c.Billable)
	return o
}

// Pane is the absolute count, as one source partition of `events` knows it, of
// the messages sent in one minute with one tuple. A later version replaces an
// earlier one of the same (Epoch, Source, Minute, Tuple).
type Pane struct {
	Epoch uint32
	// Source is the partition of `events` that counted it.
	Source int32
	// Minute is the start of the send minute, in seconds since the epoch.
	Minute int64
	Tuple  Tuple
	// Version is the offset of the last record applied when the row was emitted.
	Version int64
	// DClock is the D-clock of the source partition at that record; it drives
	// forgetting downstream and nothing else.
	DClock Instant
	Counts Counts
}

// Progress closes a flush: every row that records before NextOffset changed has
// been emitted and acknowledged before it. It is sent to every partition of
// the stage's output topic.
type Progress struct {
	Epoch uint32
	// Stage is StageMessage or StageRollup.
	Stage string
	// Source is the input partition, of Sources in all.
	Source  int32
	Sources int32
	// NextOffset is the first input offset not yet folded.
	NextOffset int64
	// CompleteTo is the instant up to which the source believes it has heard
	// everything. Advisory: it says which `at` may close, never what a count is.
	CompleteTo Instant
}

// Stages that send Progress.
const (
	StageMessage = "message"
	StageRollup  = "rollup"
)
