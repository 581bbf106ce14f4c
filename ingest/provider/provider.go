// Package provider turns what messaging providers post into events: bytes in,
// events out, no I/O and no clock. One provider is one implementation of
// Provider; everything that is personal (phone numbers, provider ids, names,
// texts) ends here, what leaves are pseudonyms and dimensions.
//
// Decoding is permissive. Unknown fields, types and statuses are never errors:
// they become events of TypeOther with their raw name, or are counted as
// ignored where they say nothing. What cannot become an event although it
// should (no message id, no readable time) becomes a dead letter and does not
// spoil the rest of its body.
package provider

import (
	"net/http"
	"regexp"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// Verdict is the outcome of checking who sent a body.
type Verdict uint8

// The verdicts. The zero value is not authentic.
const (
	VerdictBad     Verdict = iota // a signature that none of the secrets made
	VerdictMissing                // no signature at all
	VerdictOK
)

// Provider verifies and decodes the webhooks of one provider. Its methods are
// safe for concurrent use.
type Provider interface {
	// Name is the provider's name in routes, dead letters and configuration.
	Name() string
	// Verify checks the body as received against every secret, in a time that
	// does not depend on which of them fits.
	Verify(header http.Header, body []byte, secrets [][]byte) Verdict
	// Decode turns an authentic body into events. It never fails: what it cannot
	// decode is in Result.Letters. It keeps no reference to body.
	Decode(body []byte, in Input) Result
}

// Input is what the decoder must know beside the body.
type Input struct {
	// Source is the configured source's name.
	Source string
	// Account replaces the provider's account id unless empty.
	Account string
	// CampaignPattern says which bare callback values are campaigns; nil: none.
	// See CompileCampaignPattern.
	CampaignPattern *regexp.Regexp
	// MaxEventAge is how long before ReceivedAt an event may have occurred.
	MaxEventAge time.Duration
	// Pepper is the key of the contact pseudonyms.
	Pepper []byte
	// Words are the opt-out and opt-in words; never nil.
	Words *schemas.OptOutWords
	// ReceivedAt is our clock when the body had been read.
	ReceivedAt schemas.Instant
}

// Result is what a body says.
type Result struct {
	Events  []schemas.Event
	Letters []schemas.DeadLetter
	Stats   Stats
}

// Stats counts what decoding did beside making events and letters.
type Stats struct {
	// Clamped is the number of events whose time lay after ReceivedAt.
	Clamped int
	// Ignored is the number of items that say nothing bluetick keeps.
	Ignored int
	// Withheld is the number of texts (dimensions, free map, titles, link and
	// button ids) left out because they held a phone number or an id of the
	// person or message they came with.
	Withheld int
}

// Reasons of dead letters: the closed list of Stage "ingest".
const (
	ReasonNotJSON      = "not_json"       // the body is no JSON, or nested too deep
	ReasonBadEnvelope  = "bad_envelope"   // JSON, but not the provider's outer form
	ReasonBadItem      = "bad_item"       // an item that is no object
	ReasonNoAccount    = "no_account"     // neither the body nor the source names an account
	ReasonNoMessageID  = "no_message_id"  // a status or message without its id
	ReasonBadTimestamp = "bad_timestamp"  // a time that is missing or cannot be read
	ReasonTooOld       = "too_old"        // occurred more than MaxEventAge before ReceivedAt
	ReasonTooManyItems = "too_many_items" // what lies beyond maxItems was not read
)

// maxItems bounds the items of one body. Meta promises at most 1,000 updates;
// ten times that leaves room for others and still bounds what 4 MB of "{}" can
// turn into.
const maxItems = 10_000

// maxLetterItem bounds the bytes a dead letter keeps: the largest body taken by
// default, and less than the 5 MiB that the topic allows a record.
const maxLetterItem = 4 << 20
