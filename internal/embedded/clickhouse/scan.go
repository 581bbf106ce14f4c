package clickhouse

import (
	"strings"
	"unicode/utf8"
)

// tokenKind is what the scanner must tell apart to find the end of a statement's head.
type tokenKind uint8

const (
	tokenEnd     tokenKind = iota
	tokenWord              // SELECT, t, Array, 12e5
	tokenQuoted            // `t` or "t"
	tokenString            // 'x' or $tag$x$tag$
	tokenSymbol            // one character
	tokenInvalid           // a quote or comment without an end
)

type token struct {
	kind       tokenKind
	start, end int // of the source
	depth      int // of the brackets around it; a bracket itself has the depth outside
	text       string
}

// is compares a keyword without regard to case.
func (t token) is(keyword string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, keyword)
}

// scanner splits SQL by the rules of ClickHouse's lexer, as far as strings, quoted names, comments and brackets
// go. It decides where data begins and what to call a result, never whether something may run: the engine's
// parser decides that.
type scanner struct {
	src   string
	pos   int
	depth int
}

func (s *scanner) next() token {
	s.skipBlank()
	if s.pos >= len(s.src) {
		return token{kind: tokenEnd, start: len(s.src), end: len(s.src), depth: s.depth}
	}
	start, c := s.pos, s.src[s.pos]
	kind := tokenSymbol
	depth := s.depth
	switch {
	case strings.HasPrefix(s.src[start:], "/*"): // skipBlank stops only at one without an end
		kind, s.pos = tokenInvalid, len(s.src)
	case c == '\'':
		kind = s.quoted('\'', tokenString)
	case c == '`' || c == '"':
		kind = s.quoted(c, tokenQuoted)
	case c == '$':
		kind = s.heredoc()
	case isWordByte(c):
		kind = tokenWord
		for s.pos < len(s.src) && (isWordByte(s.src[s.pos]) || s.src[s.pos] == '$') {
			s.pos++
		}
	case c == '(' || c == '[' || c == '{':
		s.pos++
		s.depth++
	case c == ')' || c == ']' || c == '}':
		s.pos++
		s.depth = max(0, s.depth-1)
		depth = s.depth
	default:
		_, size := utf8.DecodeRuneInString(s.src[start:])
		s.pos += size
	}
	return token{kind: kind, start: start, end: s.pos, depth: depth, text: s.src[start:s.pos]}
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// skipBlank passes white space and comments. A block comment without an end is left where it is.
func (s *scanner) skipBlank() {
	for s.pos < len(s.src) {
		rest := s.src[s.pos:]
		switch {
		case strings.IndexByte(" \t\n\r\f\v", rest[0]) >= 0:
			s.pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest) - 1
			}
			s.pos += n + 1
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return
			}
			s.pos += n + 4
		default:
			return
		}
	}
}

// quoted passes a quoted text. A backslash escapes any character; a doubled quote is two texts side by side to
// us, which ends in the same place.
func (s *scanner) quoted(quote byte, kind tokenKind) tokenKind {
	for i := s.pos + 1; i < len(s.src); i++ {
		switch s.src[i] {
		case '\\':
			i++
		case quote:
			if i+1 < len(s.src) && s.src[i+1] == quote {
				i++
				continue
			}
			s.pos = i + 1
			return kind
		}
	}
	s.pos = len(s.src)
	return tokenInvalid
}

// heredoc passes $tag$ … $tag$; a dollar sign that opens none is a symbol.
func (s *scanner) heredoc() tokenKind {
	rest := s.src[s.pos+1:]
	n := 0
	for n < len(rest) && isWordByte(rest[n]) {
		n++
	}
	if n == len(rest) || rest[n] != '$' {
		s.pos++
		return tokenSymbol
	}
	tag := "$" + rest[:n+1]
	end := strings.Index(rest[n+1:], tag)
	if end < 0 {
		s.pos = len(s.src)
		return tokenInvalid
	}
	s.pos += 1 + n + 1 + end + len(tag)
	return tokenString
}
