package schemas

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// normalWord is the form in which words are compared: compatible forms of one
// letter are one (NFKC), case is folded, Latin letters lose their accents, and
// everything is trimmed that people and keyboards add without meaning it.
func normalWord(s string) string {
	s = norm.NFKD.String(strings.Map(withoutLetterEmoji, s))
	s = norm.NFKD.String(cases.Fold().String(s))
	return trimWord(norm.NFC.String(plainLetters(s)))
}

// withoutLetterEmoji makes spaces of the emoji and signs that NFKC turns into
// letters, such as ™ and Ⓜ: around a word they are decoration like any other.
func withoutLetterEmoji(r rune) rune {
	switch {
	case r == '™', r == '℠', r == 'ℹ', r == 'Ⓜ', r == '㊗', r == '㊙', r >= 0x1f200 && r <= 0x1f2ff:
		return ' '
	default:
		return r
	}
}

// keycap is the mark that makes a digit an emoji.
const keycap = '\u20e3'

// plainLetters drops invisible marks and the accents of Latin letters from a
// decomposed text, and makes one space of every run of white space, "_" and
// dashes.
func plainLetters(s string) string {
	b := make([]byte, 0, len(s))
	latin := false // whether the last letter is one
	for _, r := range s {
		switch {
		case invisible(r):
		case r == keycap:
			if n := len(b); n > 0 && (b[n-1] >= '0' && b[n-1] <= '9' || b[n-1] == '#' || b[n-1] == '*') {
				b[n-1] = ' '
			}
		case unicode.Is(unicode.M, r):
			if !latin {
				b = utf8.AppendRune(b, r)
			}
		case separates(r):
			latin = false
			if n := len(b); n == 0 || b[n-1] != ' ' {
				b = append(b, ' ')
			}
		default:
			latin = unicode.Is(unicode.Latin, r)
			b = utf8.AppendRune(b, plainLetter(r))
		}
	}
	return string(b)
}

// plainLetter is the letter people type for one whose stroke or missing dot is
// not an accent that can be taken off, and the plain apostrophe for every other.
func plainLetter(r rune) rune {
	switch r {
	case 'ł':
		return 'l'
	case 'ø':
		return 'o'
	case 'đ':
		return 'd'
	case 'ı':
		return 'i'
	case '’', '‘', 'ʼ', '`', '´':
		return '\''
	default:
		return r
	}
}

// separates holds for what stands between two words: white space, dashes, and
// what identifiers have in their place.
func separates(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Pc, r)
}

// invisible holds for marks that are not seen: of writing direction, of joining,
// of the variant of an emoji.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// trimWord takes everything off both ends that is neither letter nor digit. Marks
// stay with the letter they are on.
func trimWord(s string) string {
	start := strings.IndexFunc(s, sounds)
	if start < 0 {
		return ""
	}
	s = s[start:]
	end := strings.LastIndexFunc(s, sounds)
	_, size := utf8.DecodeRuneInString(s[end:])
	for end += size; end < len(s); end += size {
		var r rune
		if r, size = utf8.DecodeRuneInString(s[end:]); !unicode.Is(unicode.M, r) {
			break
		}
	}
	return s[:end]
}

// sounds holds for letters and digits.
func sounds(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// inWord holds for what a word is made of: letters, digits and their marks.
func inWord(r rune) bool { return sounds(r) || unicode.Is(unicode.M, r) }
