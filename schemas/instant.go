package schemas

import "time"

// Instant is a point in time in milliseconds since the Unix epoch, UTC: the
// form on the wire. Counting uses whole seconds rounded down, see Seconds.
type Instant int64

// InstantOf rounds t down to the millisecond.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMilli()) }

// Time returns the instant in UTC.
func (i Instant) Time() time.Time { return time.UnixMilli(int64(i)).UTC() }

// Seconds is the instant in whole seconds, rounded down (also before 1970).
func (i Instant) Seconds() int64 {
	s := int64(i) / 1000
	if int64(i)%1000 < 0 {
		s--
	}
	return s
}
