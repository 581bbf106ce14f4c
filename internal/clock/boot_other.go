//go:build !linux && !darwin

package clock

import "time"

// Boot does not tell on this system.
func Boot() (time.Duration, bool) { return 0, false }
