package meta

import (
	"bytes"
	"fmt"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// maxPooledBody bounds the bodies whose parser is used again: a parser keeps
// memory for the largest it has seen, many times the body's size.
const maxPooledBody = 256 << 10

// decoder is the decoding of one body. It is used by one goroutine.
type decoder struct {
	*provider.Decoder
	// These belong to the present change: the people it lists, its JSON pointer,
	// and the time of items that carry none of their own.
	contacts contacts
	pointer  string
	fallback schemas.Instant
}

// Decode reads the envelope {entry: [{id, changes: [{field, value}]}]}: all its
// entries and changes, of whatever kinds.
func (e *endpoint) Decode(r *provider.Request, in *provider.Input) provider.Result {
	d := &decoder{Decoder: e.provider.dialect.NewDecoder(r, in)}
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return d.Result()
	}
	p := e.provider.bodies.Get()
	if len(r.Body) <= maxPooledBody {
		defer e.provider.bodies.Put(p)
	}
	// The parser's errors quote the body: they must not be passed on.
	root, err := p.ParseBytes(r.Body)
	if err != nil {
		d.LetterAt("", provider.ReasonNotJSON, "the body is no JSON, or nested deeper than 300", r.Body)
		return d.Result()
	}
	entries := root.Get("entry")
	if entries == nil || entries.Type() != fastjson.TypeArray {
		d.LetterAt("", provider.ReasonBadEnvelope, "the body has no array named entry", r.Body)
		return d.Result()
	}
	for i, entry := range entries.GetArray() {
		if d.Full() {
			break
		}
		d.entry(entry, fmt.Sprintf("/entry/%d", i))
	}
	return d.Result()
}

func (d *decoder) entry(entry *fastjson.Value, pointer string) {
	if !provider.IsJSONObject(entry) {
		if d.Admit(pointer) {
			d.Letter(provider.Item{JSON: entry, Pointer: pointer}, provider.ReasonBadItem, "the entry is no object")
		}
		return
	}
	account := d.AccountOr(provider.JSONText(entry, "id"))
	for i, change := range entry.GetArray("changes") {
		d.pointer = fmt.Sprintf("%s/changes/%d", pointer, i)
		if !d.Admit(d.pointer) {
			return
		}
		d.Begin()
		it := provider.Item{JSON: change, Pointer: d.pointer}
		switch {
		case !provider.IsJSONObject(change):
			d.Letter(it, provider.ReasonBadItem, "the change is no object")
		case account == "":
			d.Letter(it, provider.ReasonNoAccount, "neither the entry nor the source names an account")
		default:
			d.Account = account
			d.change(entry, it)
		}
	}
}

// change decodes by what the value holds, not by its field's name: the lists
// have names of their own, and names of fields differ between versions.
func (d *decoder) change(entry *fastjson.Value, it provider.Item) {
	field := d.Public(provider.JSONText(it.JSON, "field"), provider.MaxName)
	value := it.JSON.Get("value")
	d.Sender = provider.Clean(provider.JSONText(value, "metadata", "phone_number_id"), provider.MaxValue)
	d.contacts = contactsOf(value)
	d.fallback = d.changedAt(entry, value)
	known := false
	for _, list := range [...]struct {
		name   string
		decode func(provider.Item)
	}{
		{"statuses", d.status},
		{"messages", d.message},
		{"user_preferences", d.preference},
		{"user_actions", d.action},
		{"user_id_update", d.idUpdate},
		{"errors", d.accountError},
	} {
		if v := value.Get(list.name); v != nil && v.Type() == fastjson.TypeArray {
			known = true
			d.each(value, list.name, list.decode)
		}
	}
	switch {
	case known:
	case qualityField(field):
		d.quality(it, field, value)
	case field != "":
		d.Emit(it, schemas.Event{Type: schemas.TypeOther, OccurredAt: d.fallback, RawName: field})
	default:
		d.Ignore()
	}
}

// each calls f for every object of the array of that name in value. An item that
// is not an object is a dead letter, and the next one is decoded all the same.
func (d *decoder) each(value *fastjson.Value, array string, f func(provider.Item)) {
	pointer := d.pointer + "/value"
	for i, v := range value.GetArray(array) {
		if !d.Admit(d.pointer) {
			return
		}
		d.Begin()
		it := provider.Item{JSON: v, Pointer: pointer, List: array, Index: i}
		if !provider.IsJSONObject(v) {
			d.Letter(it, provider.ReasonBadItem, "the item is no object")
			continue
		}
		f(it)
	}
}

// occurred is the time that an item gives; false if the item became a dead letter
// because it gives none that can be read.
func (d *decoder) occurred(it provider.Item) (schemas.Instant, bool) {
	at, ok := provider.JSONInstant(it.JSON.Get("timestamp"))
	if !ok {
		d.Letter(it, provider.ReasonBadTimestamp, "the item's timestamp is missing or cannot be read")
		return 0, false
	}
	return at, true
}

// changedAt is the time of a change whose items carry none: the value's, else
// the entry's, else ours. With ours a provider's retry is another event; only
// events that are never counted fall back to it.
func (d *decoder) changedAt(entry, value *fastjson.Value) schemas.Instant {
	for _, v := range [...]*fastjson.Value{value.Get("timestamp"), entry.Get("time")} {
		if at, ok := provider.JSONInstant(v); ok && at >= d.Oldest() {
			return at
		}
	}
	return d.ReceivedAt()
}
