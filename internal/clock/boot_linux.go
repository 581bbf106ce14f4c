package clock

import "golang.org/x/sys/unix"

// bootClock runs on while the machine sleeps, and nobody can set it.
const bootClock = unix.CLOCK_BOOTTIME
