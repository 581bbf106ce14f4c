package clock

import "golang.org/x/sys/unix"

// bootClock runs on while the machine sleeps, which CLOCK_UPTIME_RAW does not, and
// nobody can set it.
const bootClock = unix.CLOCK_MONOTONIC
