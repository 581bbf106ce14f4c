package ingest

import "net/http"

// Reason is why a request was answered as it was: in the answer's text, in logs
// and as a metric's label.
type Reason uint8

// The reasons. Only after an answer of 503 or 408 can sending the same again
// succeed.
const (
	Accepted         Reason = iota // every record is acknowledged
	Subscribed                     // the handshake's token was right
	UnknownPath                    // no such route
	UnknownSource                  // no such source
	MethodNotAllowed               // not a method of the provider
	BadHandshake                   // a handshake that lacks what one must have
	TokenWrong                     // the handshake's token was wrong
	Overloaded                     // MaxConcurrent requests are being worked on
	EncodingUnknown                // a content encoding other than identity
	BodyTooLarge                   // more than MaxBodyBytes
	BodyTimeout                    // not sent within ReadTimeout
	BodyUnreadable                 // the connection broke, or sent invalid HTTP
	SignatureMissing               // no signature
	SignatureWrong                 // none of the source's secrets made it
	KafkaUnavailable               // not acknowledged within ProduceTimeout, or refused
	ClockDoubted                   // the door does not trust its clock
	reasons                        // their number
)

// String is the reason as label and text.
func (r Reason) String() string {
	if r >= reasons {
		return "invalid"
	}
	return [reasons]string{
		"accepted", "subscribed", "unknown_path", "unknown_source", "method_not_allowed", "bad_handshake", "token_wrong",
		"overloaded", "encoding_unknown", "body_too_large", "body_timeout", "body_unreadable",
		"signature_missing", "signature_wrong", "kafka_unavailable", "clock_doubted",
	}[r]
}

// Status is the HTTP status. Meta takes every one but 200 for "send it again".
func (r Reason) Status() int {
	switch r {
	case Accepted, Subscribed:
		return http.StatusOK
	case UnknownPath, UnknownSource:
		return http.StatusNotFound
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case TokenWrong:
		return http.StatusForbidden
	case EncodingUnknown:
		return http.StatusUnsupportedMediaType
	case BodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case BodyTimeout:
		return http.StatusRequestTimeout
	case SignatureMissing, SignatureWrong:
		return http.StatusUnauthorized
	case Overloaded, KafkaUnavailable, ClockDoubted:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// RetryAfter is the Retry-After header's value, empty for no header. An
// overload passes in moments; brokers need a few seconds to elect a leader; a clock
// must have been right for minutes.
func (r Reason) RetryAfter() string {
	switch r {
	case Overloaded:
		return "1"
	case KafkaUnavailable:
		return "5"
	case ClockDoubted:
		return "60"
	default:
		return ""
	}
}
