package provider

import (
	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

// said is what of an inbound message counts: whether it is an answer, a tap,
// and the texts that can be an opt-out word.
type said struct {
	// answers holds for whatever a person sent; false for notices and
	// withdrawals, which are kept as TypeOther under name.
	answers bool
	name    string
	// click is set for a tap.
	click *schemas.Click
	// road and words are where an opt-out word may stand, and the texts there.
	road  string
	words [2]string
	// about is the provider id of the message it is about, empty if it names
	// none.
	about string
}

// message decodes what a person sent. Its text is looked at for opt-out words
// and never kept.
func (d *decoder) message(it item) {
	id := text(it.v, "id")
	if id == "" {
		d.letter(it, ReasonNoMessageID, "the message has no id")
		return
	}
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	e := schemas.Event{OccurredAt: at, InboundKey: d.named(id)}
	d.identify(text(it.v, "from"), text(it.v, "from_user_id"))
	if group := text(it.v, "group_id"); group != "" {
		d.person.secrets.addID(group)
	}
	s := d.hear(it.v)
	e.MessageKey = d.named(s.about)
	e.Type = d.meaning(&s)
	switch e.Type {
	case schemas.TypeOptedOut, schemas.TypeOptedIn:
		e.Road = s.road
	case schemas.TypeClicked:
		s.click.ID = d.public(s.click.ID, maxValue)
		e.Click = s.click
	case schemas.TypeOther:
		e.RawName = d.public(s.name, maxName)
	}
	d.emit(it, e)
}

// meaning is the one type a message counts as. Leaving is no engagement, so an
// opt-out word outranks the answer or tap that carries it.
func (d *decoder) meaning(s *said) schemas.EventType {
	for _, w := range s.words {
		if m := d.in.Words.Meaning(w); m != 0 {
			return m
		}
	}
	switch {
	case s.click != nil && s.about != "":
		return schemas.TypeClicked
	case s.answers:
		return schemas.TypeReplied
	default:
		return schemas.TypeOther
	}
}

// hear reads a message by its type.
func (d *decoder) hear(v *fastjson.Value) said {
	kind := text(v, "type")
	s := said{name: kind, about: text(v, "context", "id")}
	switch kind {
	case "text":
		s.answers = true
		s.road, s.words[0] = schemas.RoadWord, text(v, "text", "body")
	case "image", "video", "document":
		s.answers = true
		s.road, s.words[0] = schemas.RoadWord, text(v, kind, "caption")
	case "audio", "voice", "sticker", "location", "contacts", "order", "ephemeral":
		s.answers = true
	case "unsupported":
		// Something we are not shown; an edit of an earlier message is not new.
		s.answers = text(v, kind, "type") != "edit"
	case "button":
		s.tap("button", text(v, kind, "payload"), text(v, kind, "text"))
	case "interactive":
		s.interactive(v.Get(kind))
	case "reaction":
		// A withdrawn reaction has no emoji.
		s.answers = text(v, kind, "emoji") != ""
		s.about = text(v, kind, "message_id")
	case "system":
		if what := text(v, kind, "type"); what != "" {
			s.name = kind + "." + what
		}
		// The notice names the person's new identity beside the old one.
		d.person.addNumber(text(v, kind, "wa_id"))
		d.person.addScoped(text(v, kind, "user_id"))
	case "":
		s.name = "message"
	}
	return s
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
	switch kind := text(v, "type"); kind {
	case "button_reply":
		s.tap("button", text(v, kind, "id"), text(v, kind, "title"))
	case "list_reply":
		s.tap("list", text(v, kind, "id"), text(v, kind, "title"))
	case "nfm_reply":
		// A form; what was filled in is not looked at.
		s.answers = true
		s.click = &schemas.Click{Kind: "form", ID: text(v, kind, "name")}
	default:
		s.answers = true
	}
}
