package provider

import (
	"cmp"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

// status decodes what became of an outbound message.
func (d *decoder) status(it item) {
	id := text(it.v, "id")
	if id == "" {
		d.letter(it, ReasonNoMessageID, "the status names no message")
		return
	}
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	e := schemas.Event{OccurredAt: at, MessageKey: d.named(id)}
	d.identifyRecipient(it.v)
	name := text(it.v, "status")
	if text(it.v, "type") == "payment" {
		// What became of an order's payment, not of the message that asked for it.
		name = "payment." + name
	}
	if e.Type = statusType(name); e.Type == schemas.TypeOther {
		e.RawName = d.public(cmp.Or(name, "status"), maxName)
	}
	if e.Type == schemas.TypeFailed {
		e.Failure = d.failure(it.v)
	}
	e.Cost = cost(it.v.Get("pricing"))
	d.callback(&e, it.v.Get("biz_opaque_callback_data"))
	d.emit(it, e)
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
	if text(v, "recipient_type") == "group" {
		d.person.secrets.addID(text(v, "recipient_id"))
		d.identify(text(v, "recipient_participant_id"), text(v, "recipient_participant_user_id"))
		return
	}
	d.identify(text(v, "recipient_id"), text(v, "recipient_user_id"))
}

// cost reads pricing, which never has an amount. type says what is billed and
// outlives the older flag billable.
func cost(pricing *fastjson.Value) *schemas.Cost {
	if !object(pricing) {
		return nil
	}
	c := schemas.Cost{Category: clean(text(pricing, "category"), maxName)}
	switch kind := text(pricing, "type"); {
	case kind == "regular":
		c.Billable = true
	case strings.HasPrefix(kind, "free_"):
	default:
		c.Billable = pricing.GetBool("billable")
	}
	return &c
}
