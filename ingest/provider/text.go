package provider

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what a provider or a sender can make us keep.
const (
	// maxValue bounds a dimension, an id of a button or link, an account.
	maxValue = 256
	// maxName bounds a raw name and a key of the free map.
	maxName = 64
	// maxTitle bounds the short title of a failure.
	maxTitle = 128
)

// clean is s as valid UTF-8 without control characters, trimmed, and cut to at
// most limit bytes between two characters.
func clean(s string, limit int) string {
	if len(s) <= limit && plain(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	s = strings.TrimSpace(s)
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = strings.TrimSpace(s[:limit])
	}
	return s
}

// plain reports whether s is printable ASCII without white space at its ends:
// what nearly every value is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}

// A text that holds one of these is about the person or message it came with.
// Shorter ones would hit by chance.
const (
	minSecretDigits = 7
	minSecretID     = 8
)

// secrets are the phone numbers and ids an item names: what must not leave with
// any text the sender or the provider chose.
type secrets struct {
	phones []string // digits only
	ids    []string
}

func (s *secrets) addPhone(digits string) {
	if len(digits) >= minSecretDigits {
		s.phones = append(s.phones, digits)
	}
}

func (s *secrets) addID(id string) {
	if len(id) >= minSecretID {
		s.ids = append(s.ids, id)
	}
}

// in reports whether v holds one of the secrets, or a phone number in
// international form.
func (s *secrets) in(v string) bool {
	if len(v) < minSecretDigits {
		return false
	}
	for _, id := range s.ids {
		if strings.Contains(v, id) {
			return true
		}
	}
	d := digits(v)
	if len(d) < minSecretDigits {
		return false
	}
	for _, p := range s.phones {
		if strings.Contains(d, p) {
			return true
		}
	}
	return international(v)
}

// international reports whether v starts like +49 30 1234567.
func international(v string) bool {
	rest, found := strings.CutPrefix(v, "+")
	if !found {
		return false
	}
	n := 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case c >= '0' && c <= '9':
			n++
		case c != ' ' && c != '-' && c != '.' && c != '(' && c != ')':
			return false
		}
	}
	return n >= minSecretDigits && n <= maxPhoneDigits
}

// digits is every ASCII digit of s.
func digits(s string) string {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	if n == len(s) {
		return s
	}
	b := make([]byte, 0, n)
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// maskTitle replaces links and long numbers of a provider's error title: they
// can name a person, and would make a title of every failure its own.
func maskTitle(s string) string {
	s = clean(s, 4*maxTitle)
	if !strings.ContainsAny(s, "0123456789/") {
		return clean(s, maxTitle)
	}
	words := strings.Fields(s)
	for i, w := range words {
		switch {
		case strings.Contains(w, "://"):
			words[i] = "[link]"
		case len(digits(w)) >= minSecretDigits:
			words[i] = "[number]"
		}
	}
	return clean(strings.Join(words, " "), maxTitle)
}
