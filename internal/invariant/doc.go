// Package invariant asserts what the design promises. The checks run in builds
// with the tag `invariants` and under the race detector, and cost nothing
// elsewhere: guard an expensive condition with `if invariant.Enabled`.
//
// A broken invariant is a mistake in the program, never bad input or a broken
// network: Check panics, and the text starts with BUG.
package invariant

import "fmt"

// Check panics with the formatted text when cond is false and checks are
// enabled. Name the invariant first: "I3: checkpoint at %d before ...".
func Check(cond bool, format string, args ...any) {
	if Enabled && !cond {
		panic("BUG: " + fmt.Sprintf(format, args...))
	}
}
