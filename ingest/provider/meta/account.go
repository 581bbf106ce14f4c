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
	for _, id := range [...]string{"user_id", "parent_user_id"} {
		d.Person.AddScoped(provider.JSONText(it.JSON, id, "current"))
		d.Person.AddScoped(provider.JSONText(it.JSON, id, "previous"))
	}
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
	e.Dimensions.Template = d.PublicName(provider.JSONText(value, "message_template_name"))
	e.Dimensions.Language = d.PublicName(provider.JSONText(value, "message_template_language"))
	if e.Dimensions != (schemas.Dimensions{}) {
		e.DimensionSource = schemas.DimensionIdentity
	}
	d.details(&e, value)
	d.Emit(it, e)
}

// details keeps what a notice says besides that something happened: the score,
// category, limit or reason is what an operator must know. Other members, such as
// the number itself, are not kept.
func (d *decoder) details(e *schemas.Event, value *fastjson.Value) {
	for _, path := range [...][]string{
		{"previous_quality_score"},
		{"new_quality_score"},
		{"previous_category"},
		{"new_category"},
		{"correct_category"},
		{"message_template_category"},
		{"old_limit"},
		{"current_limit"},
		{"max_daily_conversation_per_phone"},
		{"max_daily_conversations_per_business"},
		{"reason"},
		{"rejection_reason"},
		{"decision"},
		{"rejection_info", "reason"},
		{"disable_info", "disable_date"},
		{"violation_info", "violation_type"},
		{"ban_info", "waba_ban_state"},
		{"restriction_info", "restriction_type"},
	} {
		at := value
		for _, key := range path[:len(path)-1] {
			at = provider.JSONFirst(at.Get(key))
		}
		name := path[len(path)-1]
		if text := provider.JSONText(at, name); text != "" {
			d.Note(e, name, d.Public(text, provider.MaxValue))
		}
	}
}
