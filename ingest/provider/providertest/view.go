package providertest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// eventView is an event as golden files show it.
type eventView struct {
	ID, Type, Account, Sender string
	MessageKey, InboundKey    string   `json:",omitempty"`
	ContactKeys               []string `json:",omitempty"`
	OccurredAt                string
	Clamped                   bool                `json:",omitempty"`
	Dimensions                *schemas.Dimensions `json:",omitempty"`
	DimensionSource           int                 `json:",omitempty"`
	Country                   string              `json:",omitempty"`
	Extra                     map[string]string   `json:",omitempty"`
	Failure                   *schemas.Failure    `json:",omitempty"`
	Cost                      *schemas.Cost       `json:",omitempty"`
	Click                     *schemas.Click      `json:",omitempty"`
	RawName, Road             string              `json:",omitempty"`
	MayBeOptOut               bool                `json:",omitempty"`
}

type letterView struct {
	Reason, Detail, Where string
	Item                  string `json:",omitempty"`
}

func hexOf(k schemas.Key) string {
	if k.IsZero() {
		return ""
	}
	return k.String()
}

func viewOf(e *schemas.Event) eventView {
	v := eventView{
		ID: e.ID.String(), Type: e.Type.String(), Account: e.Account, Sender: e.Sender,
		MessageKey: hexOf(e.MessageKey), InboundKey: hexOf(e.InboundKey),
		OccurredAt:      e.OccurredAt.Time().Format(time.RFC3339Nano),
		Clamped:         e.Clamped,
		DimensionSource: int(e.DimensionSource), Country: e.Country, Extra: e.Extra,
		Failure: e.Failure, Cost: e.Cost, Click: e.Click, RawName: e.RawName, Road: e.Road, MayBeOptOut: e.MayBeOptOut,
	}
	for _, k := range e.ContactKeys {
		v.ContactKeys = append(v.ContactKeys, k.String())
	}
	if e.Dimensions != (schemas.Dimensions{}) {
		v.Dimensions = &e.Dimensions
	}
	return v
}

// Render is a result as golden files show it.
func Render(t testing.TB, r provider.Result) []byte {
	t.Helper()
	var out struct {
		Events  []eventView
		Letters []letterView
		Stats   provider.Stats
	}
	for i := range r.Events {
		out.Events = append(out.Events, viewOf(&r.Events[i]))
	}
	for _, l := range r.Letters {
		out.Letters = append(out.Letters, letterView{l.Reason, l.Detail, l.Where, string(l.Item)})
	}
	out.Stats = r.Stats
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Texts is every text an event carries.
func Texts(e *schemas.Event) []string {
	d := e.Dimensions
	all := []string{e.Account, e.Sender, e.Country, e.RawName, e.Road, d.Campaign, d.Template, d.Variant, d.Segment, d.Language}
	for k, v := range e.Extra {
		all = append(all, k, v)
	}
	if e.Failure != nil {
		all = append(all, e.Failure.Title)
	}
	if e.Cost != nil {
		all = append(all, e.Cost.Category)
	}
	if e.Click != nil {
		all = append(all, e.Click.ID)
	}
	return all
}
