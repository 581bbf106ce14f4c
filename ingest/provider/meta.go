package provider

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

const metaName = "meta"

// metaRevision is raised whenever the decoder says something else of the same
// bytes.
const metaRevision = 1

// metaSignature is the header with the HMAC-SHA-256 of the raw body under the
// app secret, as "sha256=" and 64 hex digits.
const metaSignature = "X-Hub-Signature-256"

// maxPooledBody bounds the bodies whose parser is used again: a parser keeps
// memory for the largest it has seen, many times the body's size.
const maxPooledBody = 256 << 10

// Meta is the WhatsApp Cloud API's provider, also for those that pass its
// webhooks through unchanged.
type Meta struct {
	bodies    fastjson.ParserPool
	callbacks fastjson.ParserPool
}

// NewMeta returns a Meta.
func NewMeta() *Meta { return &Meta{} }

// Name is "meta".
func (*Meta) Name() string { return metaName }

// Verify checks X-Hub-Signature-256.
func (*Meta) Verify(header http.Header, body []byte, secrets [][]byte) Verdict {
	given := header.Get(metaSignature)
	if given == "" {
		return VerdictMissing
	}
	digest, found := strings.CutPrefix(given, "sha256=")
	want, err := hex.DecodeString(digest)
	if !found || err != nil || len(want) != sha256.Size {
		return VerdictBad
	}
	verdict := VerdictBad
	var sum [sha256.Size]byte
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		if hmac.Equal(mac.Sum(sum[:0]), want) {
			verdict = VerdictOK
		}
	}
	return verdict
}

// Decode reads the envelope {entry: [{id, changes: [{field, value}]}]} with all
// its entries and changes, whatever they mix.
func (m *Meta) Decode(body []byte, in Input) Result {
	d := &decoder{in: &in, parsers: &m.callbacks, person: pseudonyms(in.Pepper)}
	if len(bytes.TrimSpace(body)) == 0 {
		return d.res
	}
	p := m.bodies.Get()
	if len(body) <= maxPooledBody {
		defer m.bodies.Put(p)
	}
	// The parser's errors quote the body: they must not be passed on.
	root, err := p.ParseBytes(body)
	if err != nil {
		d.add(ReasonNotJSON, "the body is no JSON, or nested deeper than 300", "", bytes.Clone(body))
		return d.res
	}
	entries := root.Get("entry")
	if entries == nil || entries.Type() != fastjson.TypeArray {
		d.add(ReasonBadEnvelope, "the body has no array named entry", "", bytes.Clone(body))
		return d.res
	}
	for i, entry := range entries.GetArray() {
		if d.full {
			break
		}
		d.entry(entry, fmt.Sprintf("/entry/%d", i))
	}
	return d.res
}

func (d *decoder) entry(entry *fastjson.Value, pointer string) {
	if !object(entry) {
		if d.admit(pointer) {
			d.add(ReasonBadItem, "the entry is no object", pointer, entry.MarshalTo(nil))
		}
		return
	}
	account := clean(text(entry, "id"), maxValue)
	if d.in.Account != "" {
		account = d.in.Account
	}
	for i, change := range entry.GetArray("changes") {
		d.pointer = fmt.Sprintf("%s/changes/%d", pointer, i)
		if !d.admit(d.pointer) {
			return
		}
		d.person.reset()
		it := item{v: change}
		switch {
		case !object(change):
			d.letter(it, ReasonBadItem, "the change is no object")
		case account == "":
			d.letter(it, ReasonNoAccount, "neither the entry nor the source names an account")
		default:
			d.account = account
			d.change(entry, it)
		}
	}
}

// change decodes by what the value holds, not by its field's name: the lists
// have names of their own, and names of fields differ between versions.
func (d *decoder) change(entry *fastjson.Value, it item) {
	field := d.public(text(it.v, "field"), maxName)
	value := it.v.Get("value")
	d.sender = clean(text(value, "metadata", "phone_number_id"), maxValue)
	d.contacts = contactsOf(value)
	d.fallback = d.changedAt(entry, value)
	known := false
	for _, list := range [...]struct {
		name   string
		decode func(item)
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
		d.emit(it, schemas.Event{Type: schemas.TypeOther, OccurredAt: d.fallback, RawName: field})
	default:
		d.res.Stats.Ignored++
	}
}

// changedAt is the time of a change whose items carry none: the value's, else
// the entry's, else ours. With ours a provider's retry is another event; only
// events that are never counted fall back to it.
func (d *decoder) changedAt(entry, value *fastjson.Value) schemas.Instant {
	oldest := d.in.ReceivedAt - schemas.Instant(d.in.MaxEventAge.Milliseconds())
	for _, v := range [...]*fastjson.Value{value.Get("timestamp"), entry.Get("time")} {
		if at, ok := instant(v); ok && at >= oldest {
			return at
		}
	}
	return d.in.ReceivedAt
}
