package ingest

import "time"

const (
	// clockJump is by how much the wall clock may leave the boot-time clock at once,
	// or a provider's, before it is doubted. Clocks that are set by NTP stay within a
	// second of each other.
	clockJump = 5 * time.Minute
	// clockCalm is how long a doubted clock must agree again.
	clockCalm = 5 * time.Minute
	// clockVoices are how many bodies it takes to say that our clock is wrong, or
	// right; the former over at least clockSpan.
	clockVoices = 3
	clockSpan   = time.Minute
)

// ClockDoubt is why the door does not trust its clock; "" while it does.
type ClockDoubt string

// The doubts.
const (
	// ClockJumped: the wall clock has leapt against the boot-time clock, which runs
	// evenly through sleep and is set by nobody.
	ClockJumped ClockDoubt = "jumped"
	// ClockBehind: what providers say has occurred lies ahead of our clock, body after
	// body.
	ClockBehind ClockDoubt = "behind"
)

// clockWatch decides whether the door's clock can be trusted. It is a value: it reads
// no clock itself. boot is the time since the machine started.
//
//	trusted → jumped   the two clocks are more than clockJump apart from where they were
//	trusted → behind   clockVoices bodies in a row, over clockSpan, are clockJump ahead
//	jumped  → trusted  they agree again for clockCalm; or, where the clock was wrong
//	                   before, clockVoices bodies over clockCalm agree with it now
//	behind  → trusted  no body has been ahead for clockCalm
//
// A restart begins anew: that is how an operator says that the clock is right.
type clockWatch struct {
	doubt ClockDoubt
	// offset is wall - boot as it was last trusted, and began that it is known.
	offset time.Duration
	began  bool
	// since is from when on they agree again, by boot; less than 0: they do not.
	since time.Duration
	// jumped is the offset after the jump; vouched counts the bodies that agree with
	// it, from `from` on.
	jumped  time.Duration
	vouched int
	from    time.Duration
	// ahead counts the last bodies in a row that were ahead of our clock, from first
	// to last.
	ahead       int
	first, last time.Duration
}

// look takes in both clocks.
func (w *clockWatch) look(wall time.Time, boot time.Duration) ClockDoubt {
	offset := time.Duration(wall.UnixNano()) - boot
	if !w.began {
		w.offset, w.began = offset, true
	}
	switch {
	case (offset - w.offset).Abs() > clockJump:
		if w.doubt != ClockJumped || (offset-w.jumped).Abs() > clockJump {
			w.doubt, w.jumped, w.vouched = ClockJumped, offset, 0
		}
		w.since = -1
	case w.doubt != ClockJumped:
		w.offset = offset // a clock that is slewed is not one that jumps
	case w.since < 0:
		w.since = boot
	case boot-w.since >= clockCalm:
		w.doubt = ""
	}
	return w.doubt
}

// body takes in the newest time that an authentic body gives for what has occurred.
func (w *clockWatch) body(newest, wall time.Time, boot time.Duration) ClockDoubt {
	w.look(wall, boot)
	if newest.Sub(wall) > clockJump {
		if w.ahead++; w.ahead == 1 {
			w.first = boot
		}
		w.last, w.vouched = boot, 0
		if w.doubt == "" && w.ahead >= clockVoices && boot-w.first >= clockSpan {
			w.doubt = ClockBehind
		}
		return w.doubt
	}
	w.ahead = 0
	switch {
	case w.doubt == ClockBehind && boot-w.last >= clockCalm:
		w.doubt = ""
	case w.doubt == ClockJumped && w.since < 0 && wall.Sub(newest) <= clockJump:
		if w.vouched++; w.vouched == 1 {
			w.from = boot
		}
		if w.vouched >= clockVoices && boot-w.from >= clockCalm {
			w.doubt, w.offset = "", w.jumped
		}
	}
	return w.doubt
}
