package provider

import (
	"crypto/sha256"
	"crypto/subtle"
)

// SameToken compares a token with the right one. It takes the same time wherever
// the two differ, in length too.
func SameToken(given, want string) bool {
	x, y := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
