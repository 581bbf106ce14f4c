// Package pepper says which peppers are strong enough. The pepper is all that
// stands between a contact key and the phone number: there are so few numbers
// that whoever guesses the pepper finds every one.
package pepper

import (
	"fmt"
	"math"
)

const (
	// leastBits is what few can try out: ten thousand million keys a second take 58
	// years.
	leastBits = 64
	// piece is how long a piece must be to count as said before. Of 64 random hex
	// digits, fewer than one in thirty peppers repeats even one.
	piece = 4
)

// remedy is one command.
const remedy = "make one with: openssl rand -hex 32"

// Check refuses a pepper that can be guessed. It is worth its length times the
// bits of one character, log2 of how many different ones it has; and no more
// than half of it may repeat what came before or go on from it (aaaa, 1234).
// What a generator makes of 16 bytes or more passes, in hex and in base64; a
// password does not. It cannot tell a quotation from a secret.
func Check(pepper string) error {
	different := map[rune]bool{}
	runes := []rune(pepper)
	for _, r := range runes {
		different[r] = true
	}
	bits := 0
	if len(different) > 0 {
		bits = int(float64(len(runes)) * math.Log2(float64(len(different))))
	}
	if bits < leastBits {
		return fmt.Errorf("pepper: too weak: %d characters, %d different ones, are %d bits at most, want %d; %s", len(runes), len(different), bits, leastBits, remedy)
	}
	if n := predictable(runes); 2*n > len(runes) {
		return fmt.Errorf("pepper: too weak: %d of %d characters repeat or continue what came before; %s", n, len(runes), remedy)
	}
	return nil
}

// predictable counts the characters that end a piece that came before, or that
// follow from the two before them by equal steps of at most one.
func predictable(runes []rune) int {
	seen := map[string]bool{}
	n := 0
	for i := range runes {
		step := i >= 2 && runes[i]-runes[i-1] == runes[i-1]-runes[i-2] && abs(runes[i]-runes[i-1]) <= 1
		said := false
		if i >= piece-1 {
			p := string(runes[i-piece+1 : i+1])
			said = seen[p]
			seen[p] = true
		}
		if step || said {
			n++
		}
	}
	return n
}

func abs(r rune) rune { return max(r, -r) }
