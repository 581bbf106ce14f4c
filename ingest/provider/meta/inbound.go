package meta

import (
	"slices"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// said is what counts in an inbound message: whether it is an answer or a tap, and
// the texts that can be an opt-out word.
type said struct {
	// answers is true of whatever a person sent; false for notices and
	// withdrawals, which are kept as TypeOther under name.
	answers bool
	name    string
	// click is set for a tap.
	click *schemas.Click
	// words are the texts that may be an opt-out word, road is where they were.
	road  string
	words [2]string
	// about is the provider id of the message it is about, empty if it names
	// none.
	about string
}

// message decodes what a person sent. Its text is looked at for opt-out words
// and never kept.
func (d *decoder) message(it provider.Item) {
	id := provider.JSONText(it.JSON, "id")
	if id == "" {
		d.Letter(it, provider.ReasonNoMessageID, "the message has no id")
		return
	}
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	e := schemas.Event{OccurredAt: at, InboundKey: d.MessageKey(id)}
	d.identify(provider.JSONText(it.JSON, "from"), provider.JSONText(it.JSON, "from_user_id"))
	if group := provider.JSONText(it.JSON, "group_id"); group != "" {
		d.Person.Hide(group)
	}
	s := d.hear(it.JSON)
	e.MessageKey = d.MessageKey(s.about)
	switch meaning := d.meaning(&s); meaning {
	case schemas.TypeOptedOut:
		// Leaving is no engagement: it is this and nothing else.
		e.Type, e.Road = meaning, s.road
	case schemas.TypeOptedIn:
		if s.about != "" {
			// Coming is engagement too: whoever taps "Start" does what the message asked
			// for. Both facts carry the same inbound key.
			d.Emit(it, d.engaged(e, &s))
		}
		e.Type, e.Road = meaning, s.road
	default:
		if e = d.engaged(e, &s); e.Type != schemas.TypeOther {
			e.MayBeOptOut = slices.ContainsFunc(s.words[:], d.MayBeOptOut)
		}
	}
	d.Emit(it, e)
}

// meaning is the opt-out or opt-in that one of the texts is, else 0.
func (d *decoder) meaning(s *said) schemas.EventType {
	for _, w := range s.words {
		if m := d.Meaning(w); m != 0 {
			return m
		}
	}
	return 0
}

// engaged is e as what the person did besides leaving or coming: a tap that names
// its message is a click, anything else sent an answer.
func (d *decoder) engaged(e schemas.Event, s *said) schemas.Event {
	switch {
	case s.click != nil && s.about != "":
		e.Type = schemas.TypeClicked
		s.click.ID = d.Public(s.click.ID, provider.MaxValue)
		e.Click = s.click
	case s.answers:
		e.Type = schemas.TypeReplied
	default:
		e.Type, e.RawName = schemas.TypeOther, d.Public(s.name, provider.MaxName)
	}
	return e
}

// hear reads a message by its type.
func (d *decoder) hear(v *fastjson.Value) said {
	kind := provider.JSONText(v, "type")
	s := said{name: kind, about: provider.JSONText(v, "context", "id")}
	switch kind {
	case "text":
		s.answers = true
		s.road, s.words[0] = schemas.RoadWord, provider.JSONText(v, "text", "body")
	case "image", "video", "document":
		s.answers = true
		s.road, s.words[0] = schemas.RoadWord, provider.JSONText(v, kind, "caption")
	case "audio", "voice", "sticker", "location", "contacts", "order", "ephemeral":
		s.answers = true
	case "unsupported", "unknown":
		// Something we are not shown, in older versions under another name; an edit of
		// an earlier message is not new.
		code, _ := provider.JSONInteger(provider.JSONFirst(v.Get("errors")).Get("code"))
		s.answers = provider.JSONText(v, kind, "type") != "edit" && (kind == "unsupported" || code == codeUnsupported)
	case "button":
		s.tap("button", provider.JSONText(v, kind, "payload"), provider.JSONText(v, kind, "text"))
	case "interactive":
		s.interactive(v.Get(kind))
	case "reaction":
		// A withdrawn reaction has no emoji.
		s.answers = provider.JSONText(v, kind, "emoji") != ""
		s.about = provider.JSONText(v, kind, "message_id")
	case "system":
		if what := provider.JSONText(v, kind, "type"); what != "" {
			s.name = kind + "." + what
		}
		d.renamed(v.Get(kind))
	case "":
		s.name = "message"
	}
	return s
}

// codeUnsupported is the error of a message that the API cannot show.
const codeUnsupported = 131051

// renamed adds all identities of a notice that a person's number or id changed: it
// is the only link between the old and the new.
func (d *decoder) renamed(v *fastjson.Value) {
	for _, key := range [...]string{"wa_id", "new_wa_id"} {
		d.Person.AddNumber(provider.JSONText(v, key))
	}
	for _, key := range [...]string{"user_id", "previous_user_id", "parent_user_id", "previous_parent_user_id"} {
		d.Person.AddScoped(provider.JSONText(v, key))
	}
}

// tap is a tap on something with an id and a label; labels and ids both can be
// opt-out words.
func (s *said) tap(kind, id, label string) {
	s.answers = true
	s.road, s.words = schemas.RoadButton, [2]string{label, id}
	if id == "" {
		id = label
	}
	s.click = &schemas.Click{Kind: kind, ID: id}
}

func (s *said) interactive(v *fastjson.Value) {
	switch kind := provider.JSONText(v, "type"); kind {
	case "button_reply":
		s.tap("button", provider.JSONText(v, kind, "id"), provider.JSONText(v, kind, "title"))
	case "list_reply":
		s.tap("list", provider.JSONText(v, kind, "id"), provider.JSONText(v, kind, "title"))
	case "nfm_reply":
		// A form; what was filled in is not looked at.
		s.answers = true
		s.click = &schemas.Click{Kind: "form", ID: provider.JSONText(v, kind, "name")}
	default:
		s.answers = true
	}
}
