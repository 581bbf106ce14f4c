package meta

import (
	"bytes"
	"cmp"
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
	body := bytes.TrimSpace(bytes.TrimPrefix(r.Body, []byte(byteOrderMark)))
	if len(body) == 0 {
		return d.Result()
	}
	p := e.provider.bodies.Get()
	if len(body) <= maxPooledBody {
		defer e.provider.bodies.Put(p)
	}
	// The parser's errors quote the body: they must not be passed on.
	root, err := p.ParseBytes(body)
	if err != nil {
		d.LetterAt("", provider.ReasonNotJSON, "the body is no JSON, or nested deeper than 300", r.Body)
		return d.Result()
	}
	list := root.Get("entry")
	entries, ok := provider.JSONList(list)
	if list == nil || !ok || list.Type() == fastjson.TypeNull {
		d.LetterAt("", provider.ReasonBadEnvelope, "the body has no list named entry", r.Body)
		return d.Result()
	}
	for _, entry := range entries {
		if d.Full() {
			break
		}
		d.entry(entry.Value, pointerOf("", "entry", entry.Index))
	}
	return d.Result()
}

// byteOrderMark begins the bodies of some relays.
const byteOrderMark = "\xef\xbb\xbf"

// pointerOf is the JSON pointer of an item of a list; index -1 is the list itself.
func pointerOf(parent, list string, index int) string {
	if index < 0 {
		return parent + "/" + list
	}
	return fmt.Sprintf("%s/%s/%d", parent, list, index)
}

func (d *decoder) entry(entry *fastjson.Value, pointer string) {
	if !provider.IsJSONObject(entry) {
		if d.Admit(pointer) {
			d.Letter(provider.Item{JSON: entry, Pointer: pointer}, provider.ReasonBadItem, "the entry is no object")
		}
		return
	}
	account := d.AccountOr(provider.JSONText(entry, "id"))
	changes, ok := provider.JSONList(entry.Get("changes"))
	if !ok && d.Admit(pointer) {
		d.Letter(provider.Item{JSON: entry, Pointer: pointer}, provider.ReasonBadItem, "the entry's changes are no list")
	}
	for _, change := range changes {
		d.pointer = pointerOf(pointer, "changes", change.Index)
		if !d.Admit(d.pointer) {
			return
		}
		d.Begin()
		it := provider.Item{JSON: change.Value, Pointer: d.pointer}
		switch {
		case !provider.IsJSONObject(change.Value):
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
// have names of their own, and names of fields differ between versions. While an
// agent of Meta's holds a conversation, the lists stand one level deeper.
func (d *decoder) change(entry *fastjson.Value, it provider.Item) {
	field := d.Public(provider.JSONText(it.JSON, "field"), provider.MaxName)
	value := it.JSON.Get("value")
	standby := value.Get("standby")
	d.Sender = provider.Clean(cmp.Or(provider.JSONText(value, "metadata", "phone_number_id"),
		provider.JSONText(standby, "metadata", "phone_number_id")), provider.MaxValue)
	d.contacts = contactsOf(value, standby)
	d.fallback = d.changedAt(entry, value)
	known := d.lists(value, "/value")
	known = d.lists(standby, "/value/standby") || known
	for range misplaced(it.JSON) {
		d.Misplace()
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

// lists decodes the lists of one object, and reports whether it has any.
func (d *decoder) lists(v *fastjson.Value, pointer string) bool {
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
		if found := v.Get(list.name); found != nil {
			known = true
			d.each(found, d.pointer+pointer, list.name, list.decode)
		}
	}
	return known
}

// each calls f for every object of a list. An item that is not an object is a
// dead letter, and the next one is decoded all the same; so is a list that is
// none.
func (d *decoder) each(list *fastjson.Value, pointer, name string, f func(provider.Item)) {
	items, ok := provider.JSONList(list)
	if !ok {
		items = []provider.JSONItem{{Index: -1, Value: list}}
	}
	for _, item := range items {
		if !d.Admit(d.pointer) {
			return
		}
		d.Begin()
		it := provider.Item{JSON: item.Value, Pointer: pointer, List: name, Index: item.Index}
		if !provider.IsJSONObject(item.Value) {
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
