package store

import (
	"slices"
	"strings"
)

// span is the key range [lo, hi).
type span struct{ lo, hi string }

// spans are ranges in key order that neither overlap nor touch.
type spans []span

// add unites [lo, hi) with what is there.
func (s *spans) add(lo, hi string) {
	from, _ := slices.BinarySearchFunc(*s, lo, func(e span, k string) int { return strings.Compare(e.hi, k) })
	to := from
	for to < len(*s) && (*s)[to].lo <= hi {
		lo, hi = min(lo, (*s)[to].lo), max(hi, (*s)[to].hi)
		to++
	}
	*s = slices.Replace(*s, from, to, span{lo, hi})
}

// covering returns the end of the range that holds key.
func (s spans) covering(key []byte) (end string, in bool) {
	if len(s) == 0 {
		return "", false
	}
	// The first range that ends after key is the only one that can hold it.
	i, j := 0, len(s)
	for i < j {
		if m := (i + j) / 2; s[m].hi <= string(key) {
			i = m + 1
		} else {
			j = m
		}
	}
	if i < len(s) && s[i].lo <= string(key) {
		return s[i].hi, true
	}
	return "", false
}

func (s spans) covers(key []byte) bool {
	_, in := s.covering(key)
	return in
}
