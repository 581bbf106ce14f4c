package provider

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

// Dialect is what the general half of decoding must know of a provider. Make one
// for each provider and keep it: it holds buffers for use again. It is safe for
// concurrent use; its fields are immutable.
type Dialect struct {
	// Provider is the provider's name.
	Provider string
	// Channel is the medium of its messages. A provider of several sets
	// Decoder.Channel for each item.
	Channel schemas.Channel
	// Revision is raised whenever decoding makes something else of the same
	// bytes.
	Revision uint8
	// IDMarks are the prefixes by which any message id of this provider is
	// recognised. A text that holds one never leaves.
	IDMarks []string

	parsers fastjson.ParserPool // for JSON inside strings
}

// Decoder is the decoding of one request. It is used by one goroutine.
type Decoder struct {
	// These apply to every event until the provider sets them again.
	Channel         schemas.Channel
	Account, Sender string
	// Person is who the present item names.
	Person *Person

	dialect    *Dialect
	in         *Input
	receivedAt schemas.Instant
	res        Result
	items      int
	// foreign is true while items are of an account that the source may not speak
	// for; refused is where the last letter for that was written.
	foreign bool
	refused string
	// full is set once MaxItems is reached.
	full bool
	// withheld and cut are the numbers of texts of the present item that were left
	// out, and cut to their limit.
	withheld, cut int
}

// NewDecoder begins the decoding of r.
func (d *Dialect) NewDecoder(r *Request, in *Input) *Decoder {
	return &Decoder{
		dialect: d, in: in, receivedAt: r.ReceivedAt, Channel: d.Channel,
		Person: newPerson(in.Pepper, d.IDMarks),
	}
}

// Item is one status, message, preference or the like, and its place in the body.
type Item struct {
	// JSON is the item; nil if it is not JSON.
	JSON *fastjson.Value
	// Raw is the item's bytes where JSON is nil.
	Raw []byte
	// Pointer is the item's place in the body, as a JSON pointer if it is JSON.
	// For an item of a list it is the place of the list's parent, and List and
	// Index say which item of which list it is; Index -1 is the list itself, where
	// a single item stands in its place.
	Pointer, List string
	Index         int
	// OwnID is the provider's own id of the event: the same in every retry, and
	// different from that of every other event of the account. If it is empty the
	// id is made of the event's content.
	OwnID string
}

func (it *Item) where() string {
	switch {
	case it.List == "":
		return it.Pointer
	case it.Index < 0:
		return it.Pointer + "/" + it.List
	}
	return fmt.Sprintf("%s/%s/%d", it.Pointer, it.List, it.Index)
}

// Begin starts on the next item: whoever was named before is forgotten.
func (d *Decoder) Begin() {
	d.Person.reset()
	d.withheld, d.cut = 0, 0
}

// Result is what was decoded.
func (d *Decoder) Result() Result { return d.res }

// ReceivedAt is when the request arrived.
func (d *Decoder) ReceivedAt() schemas.Instant { return d.receivedAt }

// Oldest is the earliest time that an event may have.
func (d *Decoder) Oldest() schemas.Instant {
	return d.receivedAt - schemas.Instant(d.in.MaxEventAge.Milliseconds())
}

// Full reports whether MaxItems was reached: nothing more is taken.
func (d *Decoder) Full() bool { return d.full }

// Admit counts an item and refuses all beyond MaxItems, once with a letter.
func (d *Decoder) Admit(where string) bool {
	if d.full {
		return false
	}
	d.items++
	if d.items > MaxItems {
		d.full = true
		d.LetterAt(where, ReasonTooManyItems, fmt.Sprintf("the body has more than %d items; from here on it was not read", MaxItems), nil)
		return false
	}
	return true
}

// Ignore counts something that holds nothing bluetick keeps.
func (d *Decoder) Ignore() { d.res.Stats.Ignored++ }

// Misplace counts a list with a known name at a place where none is known: the
// provider has moved it, and what it holds is not read.
func (d *Decoder) Misplace() { d.res.Stats.Misplaced++ }

// Letter keeps an item that cannot become an event, with one of the reasons.
// detail must not quote the item.
func (d *Decoder) Letter(it Item, reason, detail string) {
	kept := it.Raw
	if it.JSON != nil {
		kept = it.JSON.MarshalTo(nil)
	}
	d.LetterAt(it.where(), reason, detail, kept)
}

// LetterAt is Letter for something that is not an item, such as a whole body. The
// bytes are copied.
func (d *Decoder) LetterAt(where, reason, detail string, kept []byte) {
	if len(kept) > MaxLetterItem {
		detail = fmt.Sprintf("%s (the first %d of %d bytes are kept)", detail, MaxLetterItem, len(kept))
		kept = kept[:MaxLetterItem]
	}
	var digest schemas.Key
	if len(kept) > 0 {
		digest = keyed(d.Person.mac, []byte("letter"), kept)
	}
	d.res.Letters = append(d.res.Letters, schemas.DeadLetter{
		Stage: schemas.StageIngest, Source: d.in.Source, Provider: d.dialect.Provider, Reason: reason, Detail: detail,
		Where: where, ReceivedAt: d.receivedAt, Item: append([]byte(nil), kept...), Digest: digest, Account: d.Account,
	})
}

// Emit completes and keeps an event: identities, age, its id, and last of all
// clamping. An event of an account that is not the source's is not kept, and its
// item becomes one letter, however many events it makes.
func (d *Decoder) Emit(it Item, e schemas.Event) {
	if d.foreign {
		if where := it.where(); d.refused != where {
			d.refused = where
			d.Letter(it, ReasonForeignAccount, "the source is pinned to other accounts")
		}
		return
	}
	e.Channel = d.Channel
	e.Account, e.Sender = d.Account, d.Sender
	e.ReceivedAt = d.receivedAt
	e.SourceRevision = d.dialect.Revision
	e.ContactKeys, e.Country = d.Person.keys, d.Person.where()
	if e.OccurredAt < d.Oldest() {
		d.Letter(it, ReasonTooOld, fmt.Sprintf("it occurred more than %s before it was received", d.in.MaxEventAge))
		return
	}
	d.mark(&e)
	if it.OwnID == "" {
		e.ID = schemas.EventID(&e)
	} else {
		// Keyed, since a provider's id can be a phone number and little else.
		e.ID = keyed(d.Person.mac, []byte("event"), []byte(d.dialect.Provider), []byte(d.Account), []byte(it.OwnID))
	}
	d.res.Newest = max(d.res.Newest, e.OccurredAt)
	if e.OccurredAt > e.ReceivedAt {
		e.OccurredAt, e.Clamped = e.ReceivedAt, true
		d.res.Stats.Clamped++
	}
	d.res.Events = append(d.res.Events, e)
}

// mark has the event say in its free map how many texts of its item were left out or
// cut, so that a sender can be shown its mistake.
func (d *Decoder) mark(e *schemas.Event) {
	if d.withheld == 0 && d.cut == 0 {
		return
	}
	e.Extra = maps.Clone(e.Extra)
	if e.Extra == nil {
		e.Extra = map[string]string{}
	}
	for name, n := range map[string]int{schemas.MarkWithheld: d.withheld, schemas.MarkCut: d.cut} {
		if n > 0 {
			e.Extra[name] = strconv.Itoa(n)
		}
	}
}

// AccountOr is the account of an item: the one configured for the source, else
// the provider's own id of it, cleaned; empty if neither names one. From then on
// items count as foreign unless the source may speak for the account with that
// id.
func (d *Decoder) AccountOr(id string) string {
	d.foreign = len(d.in.Accounts) > 0 && !slices.Contains(d.in.Accounts, Clean(id, MaxValue))
	if d.in.Account != "" {
		return d.in.Account
	}
	return Clean(id, MaxValue)
}

// Meaning says whether a text is an opt-out or opt-in word: the type of event it
// makes, or 0.
func (d *Decoder) Meaning(text string) schemas.EventType { return d.in.Words.Meaning(text) }

// MayBeOptOut says whether a text is short and holds an opt-out word without being
// one.
func (d *Decoder) MayBeOptOut(text string) bool { return d.in.Words.MayBeOptOut(text) }

// Public is a text that may leave: cleaned, bounded, and withheld if it holds a
// phone number or an id of the item it came with. Where cleaning changed it both
// forms are looked at: the first half of an id that was cut holds the number as
// well.
func (d *Decoder) Public(s string, limit int) string {
	return d.unless(d.Person.secrets.in, s, limit)
}

// PublicName is Public for the name of a campaign or another dimension. People
// write dates and prices into names, so one is withheld only if it holds
// this item's own number or ids, or is nothing but a phone number.
func (d *Decoder) PublicName(s string) string {
	return d.unless(func(v string) bool { return d.Person.secrets.own(v) || wholePhone(v) }, s, MaxValue)
}

func (d *Decoder) unless(secret func(string) bool, s string, limit int) string {
	c := Clean(s, limit)
	if secret(c) || c != s && secret(s) {
		d.res.Stats.Withheld++
		d.withheld++
		return ""
	}
	if len(s) > limit && len(Clean(s, len(s))) > len(c) {
		d.cut++
	}
	return c
}

// MessageKey is the key of the message with that provider id, zero if id is
// empty. The id becomes a secret of the item.
func (d *Decoder) MessageKey(id string) schemas.Key {
	if id == "" {
		return schemas.Key{}
	}
	d.Person.Hide(id)
	return schemas.MessageKey(d.Channel, d.Account, id)
}
