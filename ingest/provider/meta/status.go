package meta

import (
	"cmp"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// status decodes what became of an outbound message.
func (d *decoder) status(it provider.Item) {
	id := provider.JSONText(it.JSON, "id")
	if id == "" {
		d.Letter(it, provider.ReasonNoMessageID, "the status names no message")
		return
	}
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	e := schemas.Event{OccurredAt: at, MessageKey: d.MessageKey(id)}
	d.identifyRecipient(it.JSON)
	name := provider.JSONText(it.JSON, "status")
	if kind := provider.JSONText(it.JSON, "type"); kind == "" || kind == "message" {
		e.Type = statusType(name)
		e.Cost = cost(it.JSON.Get("pricing"))
	} else {
		// What became of an order's payment or of a call says nothing of the message
		// it belongs to, whatever its states are called.
		e.Type, name = schemas.TypeOther, kind+"."+name
	}
	switch e.Type {
	case schemas.TypeOther:
		e.RawName = d.Public(cmp.Or(name, "status"), provider.MaxName)
	case schemas.TypeFailed:
		e.Failure = d.failure(it.JSON)
	}
	d.CallbackJSON(&e, it.JSON.Get("biz_opaque_callback_data"))
	d.Emit(it, e)
}

// statusType maps a status; a voice message that was played was read.
func statusType(name string) schemas.EventType {
	switch name {
	case "sent":
		return schemas.TypeSent
	case "delivered":
		return schemas.TypeDelivered
	case "read", "played":
		return schemas.TypeRead
	case "failed":
		return schemas.TypeFailed
	default:
		return schemas.TypeOther
	}
}

// identifyRecipient adds the recipient; of a group message that is the
// participant, while recipient_id is the group's.
func (d *decoder) identifyRecipient(v *fastjson.Value) {
	if provider.JSONText(v, "recipient_type") == "group" {
		d.Person.Hide(provider.JSONText(v, "recipient_id"))
		d.identify(provider.JSONText(v, "recipient_participant_id"), provider.JSONText(v, "recipient_participant_user_id"))
		return
	}
	// Newer versions say it beside the message.
	m := v.Get("message")
	d.identify(
		cmp.Or(provider.JSONText(v, "recipient_id"), provider.JSONText(m, "recipient_id")),
		cmp.Or(provider.JSONText(v, "recipient_user_id"), provider.JSONText(m, "recipient_user_id")))
}

// cost reads pricing, which never has an amount. type is what is billed; it
// replaces the older flag billable.
func cost(pricing *fastjson.Value) *schemas.Cost {
	if !provider.IsJSONObject(pricing) {
		return nil
	}
	c := schemas.Cost{Category: provider.Clean(provider.JSONText(pricing, "category"), provider.MaxName)}
	switch kind := provider.JSONText(pricing, "type"); {
	case kind == "regular":
		c.Billable = true
	case strings.HasPrefix(kind, "free_"):
	default:
		c.Billable = pricing.GetBool("billable")
	}
	return &c
}
