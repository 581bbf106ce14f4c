package schemas

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
