package provider

import (
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// Provider is one messaging provider. Its methods are safe for concurrent use.
type Provider interface {
	// Name is the provider's name in routes, dead letters and configuration.
	Name() string
	// Open checks the settings of one source and makes them ready. The error
	// names every mistake and never a secret.
	Open(s Settings) (Endpoint, error)
}

// Endpoint takes the requests to the URL of one source. Its methods are safe for
// concurrent use and keep no reference to the request or its body.
type Endpoint interface {
	// Methods are the HTTP methods it takes, in the order of the Allow header.
	Methods() []string
	// Handshake answers the request with which the provider makes sure that the
	// URL is ours. It is asked before the body is read. A provider without one
	// returns NoHandshake.
	Handshake(r *Request) (Handshake, Reply)
	// Claim looks for the signature before the body is read. VerdictOK means that
	// there is one and the body is worth reading, and proves nothing: Verify does.
	// Any other verdict ends the request, and its body is never read.
	Claim(r *Request) Verdict
	// Verify checks the request against every secret of the source, in a time
	// that does not depend on which of them fits.
	Verify(r *Request) Verdict
	// Decode turns an authentic request into events. It never fails: what it
	// cannot decode is in Result.Letters.
	Decode(r *Request, in *Input) Result
}

// Request is what a provider sees of an HTTP request.
type Request struct {
	Method string
	// URL is absolute. Scheme and host are those by which the client reached the
	// door.
	URL    *url.URL
	Header http.Header
	// Body is the body as received, empty for Handshake and Claim. It is valid only
	// during the call.
	Body []byte
	// ReceivedAt is our clock when the body had been read.
	ReceivedAt schemas.Instant
}

// Settings are what the operator configured for one source and only its
// provider understands.
type Settings struct {
	// Secrets sign the requests; several at once for rotation.
	Secrets []string
	// VerifyToken is the word that a handshake has to give; empty refuses it.
	VerifyToken string
}

// Verdict is the outcome of checking who sent a request.
type Verdict uint8

// The verdicts. The zero value is not authentic.
const (
	VerdictBad     Verdict = iota // a signature that none of the secrets made
	VerdictMissing                // no signature at all
	VerdictOK
)

// Handshake is the outcome of looking at a request as a handshake.
type Handshake uint8

// The outcomes of a handshake.
const (
	NoHandshake      Handshake = iota // another request: go on with Verify
	HandshakeOK                       // ours; answered with the Reply
	HandshakeBad                      // lacks what a handshake must have
	HandshakeRefused                  // its token is wrong, or the source has none
)

// Reply is the answer that a provider asks for. The zero Reply leaves it to
// the door.
type Reply struct {
	// Status is from 200 to 399, or 0 for the zero Reply: refusals are answered by
	// the door.
	Status int
	// Location is where a redirect leads; empty for none.
	Location string
	// Text is sent as plain text; empty sends no body.
	Text string
}

// Input is what decoding must know besides the request. It is the same for all
// requests of a source.
type Input struct {
	// Source is the configured source's name.
	Source string
	// Account, if not empty, replaces the provider's account id.
	Account string
	// Accounts, if any, are the provider's own ids of the accounts that the source
	// may speak for.
	Accounts []string
	// CampaignPattern matches the bare callback values that are campaigns; nil: none.
	// See CompileCampaignPattern.
	CampaignPattern *regexp.Regexp
	// MaxEventAge is how long before ReceivedAt an event may have occurred.
	MaxEventAge time.Duration
	// Pepper is the key of the contact pseudonyms.
	Pepper []byte
	// Words are the opt-out and opt-in words; never nil.
	Words *schemas.OptOutWords
}

// Result is what a request contained.
type Result struct {
	// Newest is the latest time that the body gives for an event, by the provider's
	// clock, before clamping; 0 if there is none.
	Newest  schemas.Instant
	Events  []schemas.Event
	Letters []schemas.DeadLetter
	Stats   Stats
	Reply   Reply
}

// Stats counts what decoding did besides making events and letters.
type Stats struct {
	// Clamped is the number of events whose time lay after ReceivedAt.
	Clamped int
	// Ignored is the number of items that hold nothing bluetick keeps.
	Ignored int
	// Withheld is the number of texts (dimensions, free map, titles, link and
	// button ids) left out because they held a phone number or an id of the
	// person or message they came with.
	Withheld int
	// Misplaced is the number of lists with a known name at an unknown place,
	// which were not read.
	Misplaced int
}

// Reasons of dead letters: the closed list of Stage "ingest".
const (
	ReasonNotJSON        = "not_json"        // the body is not JSON, or nested too deep
	ReasonBadEnvelope    = "bad_envelope"    // JSON, but not the provider's outer form
	ReasonBadItem        = "bad_item"        // an item that is not an object
	ReasonNoAccount      = "no_account"      // neither the body nor the source names an account
	ReasonForeignAccount = "foreign_account" // the source is pinned to other accounts
	ReasonNoMessageID    = "no_message_id"   // a status or message without its id
	ReasonBadTimestamp   = "bad_timestamp"   // a time that is missing or cannot be read
	ReasonTooOld         = "too_old"         // occurred more than MaxEventAge before ReceivedAt
	ReasonTooManyItems   = "too_many_items"  // what lies beyond MaxItems was not read
)

// MaxItems bounds the items of one body. Meta promises at most 1,000 updates;
// ten times that leaves room for others and still bounds what 4 MB of "{}" can
// turn into.
const MaxItems = 10_000

// MaxLetterItem bounds the bytes a dead letter keeps: the largest body taken by
// default, and less than the 5 MiB that the topic allows a record.
const MaxLetterItem = 4 << 20
