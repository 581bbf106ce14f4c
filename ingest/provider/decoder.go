package provider

import (
	"fmt"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

// decoder is the decoding of one body. It is used by one goroutine.
type decoder struct {
	in      *Input
	res     Result
	person  *person
	parsers *fastjson.ParserPool // for JSON inside strings
	items   int
	// full is set once maxItems is reached.
	full bool
	// What holds for every item of the present change.
	account, sender string
	contacts        contacts
	// pointer is the JSON pointer of the present change.
	pointer string
	// fallback is the time of items that carry none.
	fallback schemas.Instant
}

// item is one status, message, preference or the like, and where it stands.
type item struct {
	v     *fastjson.Value
	array string
	index int
}

func (d *decoder) where(it item) string {
	if it.array == "" {
		return d.pointer
	}
	return fmt.Sprintf("%s/value/%s/%d", d.pointer, it.array, it.index)
}

// each calls f for every object of the array of that name in value.
func (d *decoder) each(value *fastjson.Value, array string, f func(item)) {
	for i, v := range value.GetArray(array) {
		it := item{v: v, array: array, index: i}
		if !d.admit(d.pointer) {
			return
		}
		if !object(v) {
			d.letter(it, ReasonBadItem, "the item is no object")
			continue
		}
		d.person.reset()
		f(it)
	}
}

// admit counts an item and refuses all beyond maxItems, once with a letter.
func (d *decoder) admit(pointer string) bool {
	if d.full {
		return false
	}
	d.items++
	if d.items > maxItems {
		d.full = true
		d.add(ReasonTooManyItems, fmt.Sprintf("the body has more than %d items; from here on it was not read", maxItems), pointer, nil)
		return false
	}
	return true
}

func (d *decoder) letter(it item, reason, detail string) {
	d.add(reason, detail, d.where(it), it.v.MarshalTo(nil))
}

func (d *decoder) add(reason, detail, where string, kept []byte) {
	if len(kept) > maxLetterItem {
		detail = fmt.Sprintf("%s (the first %d of %d bytes are kept)", detail, maxLetterItem, len(kept))
		kept = kept[:maxLetterItem:maxLetterItem]
	}
	d.res.Letters = append(d.res.Letters, schemas.DeadLetter{
		Stage: schemas.StageIngest, Source: d.in.Source, Provider: metaName, Reason: reason, Detail: detail,
		Where: where, ReceivedAt: d.in.ReceivedAt, Item: kept,
	})
}

// occurred is when an item says it happened; false if it went to the dead
// letters for it.
func (d *decoder) occurred(it item) (schemas.Instant, bool) {
	at, ok := instant(it.v.Get("timestamp"))
	if !ok {
		d.letter(it, ReasonBadTimestamp, "the item's timestamp is missing or cannot be read")
		return 0, false
	}
	return at, true
}

// emit completes and keeps an event: identities, clamping, age, and last of all
// its id.
func (d *decoder) emit(it item, e schemas.Event) {
	e.Channel = schemas.ChannelWhatsApp
	e.Account, e.Sender = d.account, d.sender
	e.ReceivedAt = d.in.ReceivedAt
	e.SourceRevision = metaRevision
	e.ContactKeys, e.Country = d.person.keys, d.person.where()
	if e.OccurredAt < e.ReceivedAt-schemas.Instant(d.in.MaxEventAge.Milliseconds()) {
		d.letter(it, ReasonTooOld, fmt.Sprintf("it occurred more than %s before it was received", d.in.MaxEventAge))
		return
	}
	if e.OccurredAt > e.ReceivedAt {
		e.OccurredAt = e.ReceivedAt
		d.res.Stats.Clamped++
	}
	e.ID = schemas.EventID(&e)
	d.res.Events = append(d.res.Events, e)
}

// public is a text that may leave: cleaned, bounded, and withheld if it holds a
// phone number or id of the item it came with. Where cleaning changed it both
// forms are looked at: the first half of an id that was cut holds the number as
// well.
func (d *decoder) public(s string, limit int) string {
	c := clean(s, limit)
	if d.person.secrets.in(c) || len(c) != len(s) && d.person.secrets.in(s) {
		d.res.Stats.Withheld++
		return ""
	}
	return c
}

// named is the key of the provider id found at keys, zero if there is none. The
// id becomes a secret of the item.
func (d *decoder) named(id string) schemas.Key {
	if id == "" {
		return schemas.Key{}
	}
	d.person.secrets.addID(id)
	return schemas.MessageKey(schemas.ChannelWhatsApp, d.account, id)
}

// contacts joins the two identities of the people a change lists.
type contacts struct {
	scopedOf map[string]string // canonical phone → business-scoped id
	phoneOf  map[string]string // business-scoped id → phone as written
	only     *fastjson.Value   // the contact if there is exactly one
}

func contactsOf(value *fastjson.Value) contacts {
	list := value.GetArray("contacts")
	if len(list) == 0 {
		return contacts{}
	}
	c := contacts{scopedOf: make(map[string]string, len(list)), phoneOf: make(map[string]string, len(list))}
	for _, v := range list {
		phone, scoped := text(v, "wa_id"), text(v, "user_id")
		if phone != "" && scoped != "" {
			c.scopedOf[canonicalPhone(phone)] = scoped
			c.phoneOf[scoped] = phone
		}
	}
	if len(list) == 1 {
		c.only = list[0]
	}
	return c
}

// identify adds the people an item names, and the other identity the change's
// contacts give for them. An item that names nobody is by the only contact.
func (d *decoder) identify(number, scoped string) {
	if number == "" && scoped == "" && d.contacts.only != nil {
		number, scoped = text(d.contacts.only, "wa_id"), text(d.contacts.only, "user_id")
	}
	if scoped == "" {
		if phone := canonicalPhone(number); phone != "" {
			scoped = d.contacts.scopedOf[phone]
		}
	}
	if number == "" {
		number = d.contacts.phoneOf[scoped]
	}
	d.person.addNumber(number)
	d.person.addScoped(scoped)
}
