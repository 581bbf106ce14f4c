package clickhouse

import (
	"errors"
	"io"
	"net"
	"net/http"

	ch "github.com/ClickHouse/clickhouse-go/v2"
)

// Class is what an error of Insert means.
type Class string

// The classes. All but ClassPermanent are answered by the same insert again: a
// repeat is harmless (see the package comment).
const (
	// ClassRetryable: nothing was inserted, and it may work later.
	ClassRetryable Class = "retryable"
	// ClassPermanent: the server, or the driver, refuses these rows as such.
	ClassPermanent Class = "permanent"
	// ClassAmbiguous: it may have been inserted.
	ClassAmbiguous Class = "ambiguous"
	// ClassUnknown: no list knows it. A machine that is short of memory, threads,
	// files or connections says so in words that nobody foresees, and must not end
	// the product by them.
	ClassUnknown Class = "unknown"
)

// Refusal is an error of our own that trying again cannot cure: rows of which the
// driver makes no block, a database that another build has migrated.
type Refusal struct{ Err error }

// Error is the text of the error itself.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap gives the error itself.
func (r *Refusal) Unwrap() error { return r.Err }

// classOf sorts the codes of a server (src/Common/ErrorCodes.cpp): those that
// mean "not now", those that leave the outcome unknown, those that stay the same
// until somebody changes a statement, a table, a setting or a right, and all
// others.
func classOf(code int32) Class {
	switch code {
	case 202, // TOO_MANY_SIMULTANEOUS_QUERIES
		203, // NO_FREE_CONNECTION
		241, // MEMORY_LIMIT_EXCEEDED
		242, // TABLE_IS_READ_ONLY
		243, // NOT_ENOUGH_SPACE
		252, // TOO_MANY_PARTS
		285, // TOO_FEW_LIVE_REPLICAS
		439: // CANNOT_SCHEDULE_TASK
		return ClassRetryable
	case 3, // UNEXPECTED_END_OF_FILE
		159, // TIMEOUT_EXCEEDED
		209, // SOCKET_TIMEOUT
		210, // NETWORK_ERROR
		236, // ABORTED
		286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
		319, // UNKNOWN_STATUS_OF_INSERT
		394, // QUERY_WAS_CANCELLED
		425, // SYSTEM_ERROR
		999: // KEEPER_EXCEPTION
		return ClassAmbiguous
	case 6, 26, 27, 38, 41, 72, // CANNOT_PARSE_TEXT, …_QUOTED_STRING, …_INPUT_ASSERTION_FAILED, …_DATE, …_DATETIME, …_NUMBER
		7, 8, 10, 16, 20, // columns: wrong number, not found in block, not in the table
		36, 42, 43, 44, 69, // BAD_ARGUMENTS, wrong number or type of them, ILLEGAL_COLUMN, ARGUMENT_OUT_OF_BOUND
		46, 47, 48, 50, 53, 63, // unknown function, identifier, feature, type; TYPE_MISMATCH; UNKNOWN_AGGREGATE_FUNCTION
		57, 60, 73, 81, 82, // TABLE_ALREADY_EXISTS, UNKNOWN_TABLE, …_FORMAT, …_DATABASE, DATABASE_ALREADY_EXISTS
		62, 80, // SYNTAX_ERROR, INCORRECT_QUERY
		70, 117, 131, 349, 469, // CANNOT_CONVERT_TYPE, INCORRECT_DATA, TOO_LARGE_STRING_SIZE, null in a column, VIOLATED_CONSTRAINT
		115, 452, // UNKNOWN_SETTING, SETTING_CONSTRAINT_VIOLATION
		164,                     // READONLY: this user may not write
		192, 193, 194, 195, 291, // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED, DATABASE_ACCESS_DENIED
		497, 516: // ACCESS_DENIED, AUTHENTICATION_FAILED
		return ClassPermanent
	default:
		return ClassUnknown
	}
}

// Classify says what an error of Insert means.
func Classify(err error) Class {
	if _, refused := errors.AsType[*Refusal](err); refused {
		return ClassPermanent
	}
	if exception, ok := errors.AsType[*ch.Exception](err); ok {
		return classOf(exception.Code)
	}
	// Without an exception the answer is not ClickHouse's but that of a proxy
	// before it, which restarts and overflows like any server.
	if answer, ok := errors.AsType[*ch.HTTPError](err); ok {
		return classOfStatus(answer.StatusCode)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return ClassRetryable
	}
	if errors.Is(err, ch.ErrAcquireConnTimeout) || errors.Is(err, ch.ErrAcquireConnNoAddress) {
		return ClassRetryable
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ch.ErrConnectionClosed) {
		return ClassAmbiguous
	}
	if errors.Is(err, ch.ErrUnsupportedServerRevision) {
		return ClassPermanent
	}
	return ClassUnknown
}

func classOfStatus(status int) Class {
	switch {
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return ClassAmbiguous
	case status >= http.StatusBadRequest:
		return ClassPermanent
	}
	return ClassUnknown
}
