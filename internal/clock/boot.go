//go:build linux || darwin

package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boot is the time since the machine started, sleep included. It goes on evenly
// whatever is done to the wall clock. ok is false if the system does not tell.
func Boot() (since time.Duration, ok bool) {
	var at unix.Timespec
	if err := unix.ClockGettime(bootClock, &at); err != nil {
		return 0, false
	}
	return time.Duration(at.Nano()), true
}
