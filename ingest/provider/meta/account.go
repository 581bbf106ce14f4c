package meta

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// preference decodes what a person chose in the app's own settings.
func (d *decoder) preference(it provider.Item) {
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	d.identify(provider.JSONText(it.JSON, "wa_id"), provider.JSONText(it.JSON, "user_id"))
	e := schemas.Event{OccurredAt: at, Road: schemas.RoadPreference}
	switch value := provider.JSONText(it.JSON, "value"); value {
	case "stop":
		e.Type = schemas.TypeOptedOut
	case "resume":
		e.Type = schemas.TypeOptedIn
	default:
		e.Type, e.Road = schemas.TypeOther, ""
		e.RawName = d.Public("user_preferences."+value, provider.MaxName)
	}
	d.Emit(it, e)
}

// action decodes a followed link. It names neither message nor person, only an
// id that the landing page is given too, so it cannot be counted as a click.
func (d *decoder) action(it provider.Item) {
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	e := schemas.Event{Type: schemas.TypeOther, OccurredAt: at}
	e.RawName = d.Public(provider.JSONText(it.JSON, "action_type"), provider.MaxName)
	if id := d.Public(provider.JSONText(it.JSON, "marketing_messages_link_click_data", "click_id"), provider.MaxValue); id != "" {
		e.Click = &schemas.Click{Kind: "link", ID: id}
	}
	d.Emit(it, e)
}

// idUpdate decodes that a person's business-scoped id changed: an event of
// TypeOther that names the old and the new one.
func (d *decoder) idUpdate(it provider.Item) {
	at, ok := d.occurred(it)
	if !ok {
		return
	}
	d.Person.AddNumber(provider.JSONText(it.JSON, "wa_id"))
	d.Person.AddScoped(provider.JSONText(it.JSON, "user_id", "current"))
	d.Person.AddScoped(provider.JSONText(it.JSON, "user_id", "previous"))
	d.Emit(it, schemas.Event{Type: schemas.TypeOther, OccurredAt: at, RawName: it.List})
}

// accountError decodes an error that belongs to no message, such as a lost
// webhook.
func (d *decoder) accountError(it provider.Item) {
	d.Emit(it, schemas.Event{
		Type: schemas.TypeQuality, OccurredAt: d.fallback, RawName: it.List, Failure: d.failureOf(it.JSON),
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

// quality keeps what happened to an account, a number or a template. Its raw name
// is the field's name and, if the value has one, the name of its event.
func (d *decoder) quality(it provider.Item, field string, value *fastjson.Value) {
	e := schemas.Event{Type: schemas.TypeQuality, OccurredAt: d.fallback, RawName: field}
	if what := d.Public(provider.JSONText(value, "event"), provider.MaxName); what != "" {
		e.RawName += "." + what
	}
	e.Dimensions.Template = d.Public(provider.JSONText(value, "message_template_name"), provider.MaxValue)
	e.Dimensions.Language = d.Public(provider.JSONText(value, "message_template_language"), provider.MaxValue)
	if e.Dimensions != (schemas.Dimensions{}) {
		e.DimensionSource = schemas.DimensionIdentity
	}
	d.Emit(it, e)
}
