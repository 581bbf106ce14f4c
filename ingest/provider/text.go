package provider

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of what a provider or a sender can make us keep.
const (
	// MaxValue bounds a dimension, an id of a button or link, an account.
	MaxValue = 256
	// MaxName bounds a raw name and a key of the free map.
	MaxName = 64
	// MaxTitle bounds the short title of a failure.
	MaxTitle = 128
)

// Clean is s as valid UTF-8 in composed form (NFC) without control characters,
// trimmed of white space and invisible marks, and cut to at most limit bytes
// between two characters. Two texts that look the same are then the same.
func Clean(s string, limit int) string {
	if len(s) <= limit && plain(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	s = strings.TrimFunc(norm.NFC.String(s), unseen)
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = strings.TrimFunc(s[:limit], unseen)
	}
	return s
}

// unseen holds for white space and for the marks that come with copied text: of
// writing direction, of joining, of byte order. The tags that end some flags are
// none of them.
func unseen(r rune) bool {
	return unicode.IsSpace(r) || r == 0xfeff || r == 0xad || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x206f
}

// plain reports whether s is printable ASCII without white space at its ends: as
// nearly every value is.
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
	// nationalDigits at a number's end are the same in all its spellings: with
	// or without country code, Brazil's ninth digit, Mexico's 1, a leading 0.
	nationalDigits = 8
)

// secrets are the phone numbers and ids an item names: they must not leave in any
// text that the sender or the provider chose.
type secrets struct {
	phones []string // the last nationalDigits of each
	ids    []string
	marks  []string // Dialect.IDMarks
}

func (s *secrets) addPhone(digits string) {
	if len(digits) >= minSecretDigits {
		s.phones = append(s.phones, digits[max(0, len(digits)-nationalDigits):])
	}
}

func (s *secrets) addID(id string) {
	if len(id) >= minSecretID {
		s.ids = append(s.ids, id)
	}
}

// in reports whether v holds one of the secrets, what looks like the provider's
// id of any message, or a phone number in international form.
func (s *secrets) in(v string) bool { return s.own(v) || international(v) }

// own reports whether v holds one of the secrets, or what looks like the
// provider's id of any message.
func (s *secrets) own(v string) bool {
	if len(v) < minSecretDigits {
		return false
	}
	for _, mark := range s.marks {
		if strings.Contains(v, mark) {
			return true
		}
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
	return false
}

// wholePhone reports whether v is nothing but a phone number in international
// form. Digits alone are not taken for one: campaigns are numbered.
func wholePhone(v string) bool {
	return (strings.HasPrefix(v, "+") || strings.HasPrefix(v, "00")) && len(CanonicalPhone(v)) >= minSecretDigits
}

// international reports whether v contains a number like +49 30 1234567.
func international(v string) bool {
	for {
		_, rest, found := strings.Cut(v, "+")
		if !found {
			return false
		}
		if n := leadingDigits(rest); n >= minSecretDigits && n <= maxPhoneDigits {
			return true
		}
		v = rest
	}
}

// leadingDigits counts the digits v begins with, across the separators that people
// write between them.
func leadingDigits(v string) int {
	n := 0
	for i := range len(v) {
		switch c := v[i]; {
		case c >= '0' && c <= '9':
			n++
		case c != ' ' && c != '-' && c != '.' && c != '(' && c != ')':
			return n
		}
	}
	return n
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

// MaskTitle replaces links and long numbers of a provider's error title: they can
// name a person, and they would give every failure a title of its own.
func MaskTitle(s string) string {
	s = Clean(s, 4*MaxTitle)
	if !strings.ContainsAny(s, "0123456789/") {
		return Clean(s, MaxTitle)
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
	return Clean(strings.Join(words, " "), MaxTitle)
}
