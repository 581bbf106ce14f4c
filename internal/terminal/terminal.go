// Package terminal makes text that others wrote safe to show. Campaign names,
// error titles and callback data come from webhooks; on a terminal an escape
// sequence in one of them could move the cursor, rewrite what stands above,
// change the title or answer for the operator, and a bidirectional control could
// make a name read as another.
package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Clean returns s with every character that a terminal acts upon, or that
// reorders or hides text, as a visible escape: \x1b, \u202e. It is one line
// afterwards.
func Clean(s string) string { return escape(s, false) }

// CleanLines is Clean for text of several lines, such as an error: line breaks
// and tabs stay.
func CleanLines(s string) string { return escape(s, true) }

func escape(s string, lines bool) string {
	first := strings.IndexFunc(s, func(r rune) bool { return acts(r) && (!lines || !breaks(r)) })
	if first < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, width := 0, 0; i < len(s); i += width {
		var r rune
		r, width = utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			// A terminal that is not in UTF-8 reads some of these bytes as controls.
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case lines && breaks(r), !acts(r):
			b.WriteString(s[i : i+width])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func breaks(r rune) bool { return r == '\n' || r == '\t' }

// acts says whether a terminal does something else with r than to show it. The
// joiners inside emoji and scripts (U+200C, U+200D) are not among them.
func acts(r rune) bool {
	switch {
	case r < ' ', r == 0x7f, r >= 0x80 && r <= 0x9f: // C0, DEL, C1
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // bidirectional
		return true
	case r == 0x2028, r == 0x2029, r == 0x200b, r == 0x2060, r == 0xfeff: // lines, and what has no width
		return true
	case r >= 0xe0000 && r <= 0xe007f: // tags, which are invisible
		return true
	}
	return false
}

// JSON returns one JSON document with the same characters as escapes inside its
// strings: a program that reads it gets the same values. Outside of strings JSON
// has none of them but line breaks and blanks, which stay.
func JSON(doc []byte) []byte {
	if !strings.ContainsFunc(string(doc), func(r rune) bool { return r >= 0x7f && acts(r) }) {
		return doc
	}
	var b strings.Builder
	for _, r := range string(doc) {
		switch {
		case r < 0x7f || !acts(r):
			b.WriteRune(r)
		case r > 0xffff: // as a pair of surrogates
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

// JSONWriter writes documents to w as JSON makes them. Each Write must be given
// whole documents, as encoders and loggers do.
type JSONWriter struct{ W io.Writer }

// Write implements io.Writer.
func (j JSONWriter) Write(p []byte) (int, error) {
	if _, err := j.W.Write(JSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SafeCell returns a value for a CSV file that a spreadsheet will open: text that
// the spreadsheet would take for a formula gets an apostrophe before it.
func SafeCell(s string) string {
	trimmed := strings.TrimLeft(s, " \u00a0")
	if trimmed != "" && strings.ContainsAny(firstRune(trimmed), "=+-@\t\r\n|%＝＋－＠") {
		return "'" + s
	}
	return s
}

func firstRune(s string) string {
	_, width := utf8.DecodeRuneInString(s)
	return s[:width]
}
