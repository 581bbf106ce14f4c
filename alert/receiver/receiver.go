// Package receiver hands notifications about incidents to the outside.
//
// A receiver may be shown the same notification again, after a crash between its
// answer and the checkpoint. Notification.Key is then the same, so that the other
// side can remove repeats by it.
package receiver

import (
	"context"
	"fmt"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// Receiver takes notifications. Every partition of the alert fold calls it, so
// implementations must be safe for concurrent use.
type Receiver interface {
	// Name is the receiver's name in metrics and dead letters.
	Name() string
	// Send makes one attempt to hand n over, within the time of ctx. nil means
	// that the other side has taken it. After an error another attempt may succeed,
	// unless it is an *Error: then this one was the last. A *Busy tells when to try
	// again. No error text holds a URL or a secret.
	Send(ctx context.Context, n Notification) error
}

// Reason is the closed word for why a notification was given up.
type Reason string

// The reasons.
const (
	// ReasonRefused: the other side answered that a repeat is pointless.
	ReasonRefused Reason = "refused"
	// ReasonUnreachable: every attempt failed in a way that may pass.
	ReasonUnreachable Reason = "unreachable"
)

// Error means that a notification was given up for a receiver. Its text holds
// no URL and no secret: either may give access.
type Error struct {
	Reason Reason
	// Attempts made; Tell counts them.
	Attempts int
	Err      error
}

// Error describes the last attempt.
func (e *Error) Error() string {
	return fmt.Sprintf("%s after %d attempts: %v", e.Reason, e.Attempts, e.Err)
}

// Unwrap returns the last attempt's error.
func (e *Error) Unwrap() error { return e.Err }

// Busy is the error of a receiver that asks for a pause before the next attempt.
type Busy struct {
	After time.Duration
	Err   error
}

// Error describes the attempt.
func (b *Busy) Error() string { return fmt.Sprintf("%v (try again after %s)", b.Err, b.After) }

// Unwrap returns the attempt's error.
func (b *Busy) Unwrap() error { return b.Err }

// Notification is what is said about one transition of an incident. Times are
// UTC; rates are fractions.
type Notification struct {
	// Key is the same each time this notification is sent, and unique to it.
	Key string `json:"key"`
	// Incident is the same in all notifications of one incident.
	Incident string                `json:"incident"`
	Rule     string                `json:"rule"`
	State    schemas.IncidentState `json:"state"`
	Severity schemas.Severity      `json:"severity"`
	// Reason is why it is sent now: opened, raised, still_firing, recovered,
	// no_cohorts or rule_removed.
	Reason string `json:"reason"`

	Account  string           `json:"account"`
	Grouping schemas.Grouping `json:"grouping"`
	Channel  schemas.Channel  `json:"channel,omitempty"`
	Sender   string           `json:"sender,omitempty"`
	Campaign string           `json:"campaign,omitempty"`
	Variant  string           `json:"variant,omitempty"`

	// Title is one line, Text the whole message as plain text.
	Title string `json:"title"`
	Text  string `json:"text"`

	Metric string `json:"metric"`
	// N is the denominator of Rate, K its numerator; Rate is absent if N is 0.
	N    int64    `json:"n"`
	K    int64    `json:"k"`
	Rate *float64 `json:"rate"`
	// AgeSeconds is how old each cohort was when it was judged.
	AgeSeconds      uint32  `json:"age_seconds"`
	Reference       float64 `json:"reference"`
	ReferenceSource string  `json:"reference_source"`
	// Statistic and Threshold are natural logarithms.
	Statistic float64 `json:"log_statistic"`
	Threshold float64 `json:"log_threshold"`

	OpenedAt time.Time `json:"opened_at"`
	At       time.Time `json:"at"`
	// Since is when the first message that counts was sent.
	Since time.Time `json:"since"`
	SQL   string    `json:"sql"`
	// Children are incidents of the same rule under a firing account, at most
	// ten of ChildrenTotal; while it fires they are not notified on their own.
	Children      []string `json:"children,omitempty"`
	ChildrenTotal int      `json:"children_total,omitempty"`
}
