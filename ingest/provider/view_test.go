package provider

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// fixtureNow is the clock of the fixtures, a few minutes after most of their
// times.
const fixtureNow schemas.Instant = 1790000400_000

var (
	testPepper  = []byte("a pepper only the tests know")
	testPattern = `camp-[a-z0-9-]+`
)

// eventView is an event as golden files show it.
type eventView struct {
	ID, Type, Account, Sender string
	MessageKey, InboundKey    string   `json:",omitempty"`
	ContactKeys               []string `json:",omitempty"`
	OccurredAt                string
	Dimensions                *schemas.Dimensions `json:",omitempty"`
	DimensionSource           int                 `json:",omitempty"`
	Country                   string              `json:",omitempty"`
	Extra                     map[string]string   `json:",omitempty"`
	Failure                   *schemas.Failure    `json:",omitempty"`
	Cost                      *schemas.Cost       `json:",omitempty"`
	Click                     *schemas.Click      `json:",omitempty"`
	RawName, Road             string              `json:",omitempty"`
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
		DimensionSource: int(e.DimensionSource), Country: e.Country, Extra: e.Extra,
		Failure: e.Failure, Cost: e.Cost, Click: e.Click, RawName: e.RawName, Road: e.Road,
	}
	for _, k := range e.ContactKeys {
		v.ContactKeys = append(v.ContactKeys, k.String())
	}
	if e.Dimensions != (schemas.Dimensions{}) {
		v.Dimensions = &e.Dimensions
	}
	return v
}

func renderResult(r Result) []byte {
	var out struct {
		Events  []eventView
		Letters []letterView
		Stats   Stats
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
		panic(err)
	}
	return b.Bytes()
}
