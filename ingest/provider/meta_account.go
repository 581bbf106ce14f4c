package provider

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

// preference decodes what a person chose in the app's own settings.
func (d *decoder) preference(it item) {
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	d.identify(text(it.v, "wa_id"), text(it.v, "user_id"))
	e := schemas.Event{OccurredAt: at, Road: schemas.RoadPreference}
	switch value := text(it.v, "value"); value {
	case "stop":
		e.Type = schemas.TypeOptedOut
	case "resume":
		e.Type = schemas.TypeOptedIn
	default:
		e.Type, e.Road = schemas.TypeOther, ""
		e.RawName = d.public("user_preferences."+value, maxName)
	}
	d.emit(it, e)
}

// action decodes a followed link. It names neither message nor person, only an
// id that the landing page is given too, so it cannot be counted as a click.
func (d *decoder) action(it item) {
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	e := schemas.Event{Type: schemas.TypeOther, OccurredAt: at}
	e.RawName = d.public(text(it.v, "action_type"), maxName)
	if id := d.public(text(it.v, "marketing_messages_link_click_data", "click_id"), maxValue); id != "" {
		e.Click = &schemas.Click{Kind: "link", ID: id}
	}
	d.emit(it, e)
}

// idUpdate decodes that a person's business-scoped id changed: an event of
// TypeOther that names the old and the new one.
func (d *decoder) idUpdate(it item) {
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	d.person.addNumber(text(it.v, "wa_id"))
	d.person.addScoped(text(it.v, "user_id", "current"))
	d.person.addScoped(text(it.v, "user_id", "previous"))
	d.emit(it, schemas.Event{Type: schemas.TypeOther, OccurredAt: at, RawName: it.array})
}

// accountError decodes an error that belongs to no message, such as a lost
// webhook.
func (d *decoder) accountError(it item) {
	d.emit(it, schemas.Event{
		Type: schemas.TypeQuality, OccurredAt: d.fallback, RawName: it.array, Failure: d.failureOf(it.v),
	})
}

// qualityField reports whether a field is about the account, its numbers or its
// templates.
func qualityField(field string) bool {
	for _, prefix := range [...]string{"account_", "business_", "message_template_", "template_", "phone_number_"} {
		if strings.HasPrefix(field, prefix) {
			return true
		}
	}
	return field == "security"
}

// quality keeps what happened to an account, number or template under the
// field's name and, if the value has one, the name of its event.
func (d *decoder) quality(it item, field string, value *fastjson.Value) {
	e := schemas.Event{Type: schemas.TypeQuality, OccurredAt: d.fallback, RawName: field}
	if what := d.public(text(value, "event"), maxName); what != "" {
		e.RawName += "." + what
	}
	e.Dimensions.Template = d.public(text(value, "message_template_name"), maxValue)
	e.Dimensions.Language = d.public(text(value, "message_template_language"), maxValue)
	if e.Dimensions != (schemas.Dimensions{}) {
		e.DimensionSource = schemas.DimensionIdentity
	}
	d.emit(it, e)
}
