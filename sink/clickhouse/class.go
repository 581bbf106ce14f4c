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

// The classes. Retryable and ambiguous errors are both answered by the same
// insert again: a repeat is harmless (see the package comment).
const (
	// ClassRetryable: nothing was inserted, and it may work later.
	ClassRetryable Class = "retryable"
	// ClassPermanent: the server, or the driver, refuses these rows as such.
	ClassPermanent Class = "permanent"
	// ClassAmbiguous: it may have been inserted.
	ClassAmbiguous Class = "ambiguous"
)

// classOf sorts the codes of a server (src/Common/ErrorCodes.cpp): those that
// mean "not now", those that leave the outcome unknown, and all others.
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
	default:
		return ClassPermanent
	}
}

// Classify says what an error of Insert means. What is neither an answer of the
// server nor a fault of the network is permanent: the driver could not make a
// block of the rows.
func Classify(err error) Class {
	var exception *ch.Exception
	if errors.As(err, &exception) {
		return classOf(exception.Code)
	}
	// Without an exception the answer is not ClickHouse's but that of a proxy
	// before it, which restarts and overflows like any server.
	var answer *ch.HTTPError
	if errors.As(err, &answer) && (answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusTooManyRequests) {
		return ClassAmbiguous
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return ClassRetryable
	}
	if errors.Is(err, ch.ErrAcquireConnTimeout) || errors.Is(err, ch.ErrAcquireConnNoAddress) {
		return ClassRetryable
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ch.ErrConnectionClosed) {
		return ClassAmbiguous
	}
	return ClassPermanent
}
