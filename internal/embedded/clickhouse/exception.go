package clickhouse

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// exception is an error as ClickHouse reports it to its clients.
type exception struct {
	code int
	text string // starts with "Code: N. DB::Exception: "
}

func (e *exception) Error() string { return e.text }

// The codes we raise ourselves. Those of the engine are taken from its text.
const (
	codeBadArguments     = 36
	codeNotImplemented   = 48
	codeSyntaxError      = 62
	codeTimeout          = 159
	codeReadOnly         = 164
	codeTooManyQueries   = 202
	codeNoConnection     = 203
	codeAborted          = 236
	codeNoSession        = 372
	codeSessionLocked    = 373
	codeQueryCancelled   = 394
	codeAuthentication   = 516
	codeUnknownException = 1002
)

func raise(code int, name, format string, args ...any) *exception {
	return &exception{code: code, text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

var codePattern = regexp.MustCompile(`Code: (\d+)\.`)

// asException reads the engine's text. The first code counts: a text that repeats itself repeats its code, and
// what a user wrote comes after it.
func asException(err error) *exception {
	var e *exception
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, errNoConn) {
		// It is short of memory, threads or files; later it may not be.
		return raise(codeNoConnection, "NO_FREE_CONNECTION", "%s: it is short of memory, threads or open files", err)
	}
	text := err.Error()
	if m := codePattern.FindStringSubmatch(text); m != nil && strings.HasPrefix(text, m[0]) {
		if code, err := strconv.Atoi(m[1]); err == nil && code > 0 {
			return &exception{code: code, text: text}
		}
	}
	return raise(codeUnknownException, "UNKNOWN_EXCEPTION", "%s", text)
}

// status is the HTTP status that a server gives with a code.
func (e *exception) status() int {
	switch e.code {
	case 46, 47, 50, 60, 63, 73, 81, 115, 192, codeNoSession: // unknown function, column, type, table, …, setting
		return http.StatusNotFound
	case 3, 6, 7, 26, 27, 36, 38, 41, 42, 43, 53, 62, 69, 70, 72, 117, 130, 131, 306, 456: // cannot parse, wrong arguments
		return http.StatusBadRequest
	case codeReadOnly, 193, 497, codeAuthentication:
		return http.StatusForbidden
	case codeNotImplemented:
		return http.StatusNotImplemented
	case codeTimeout:
		return http.StatusRequestTimeout
	case codeAborted, codeTooManyQueries, codeNoConnection:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
