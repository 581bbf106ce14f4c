// Package providertest holds what every provider must do, as tests that each
// runs with requests of its own.
package providertest

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// Now is the clock of the fixtures, a few minutes after most of their times.
const Now schemas.Instant = 1790000400_000

// Input is the input of a source with a pattern for campaigns.
func Input(t testing.TB) *provider.Input {
	t.Helper()
	words, err := schemas.DefaultOptOutWords()
	if err != nil {
		t.Fatal(err)
	}
	pattern, err := provider.CompileCampaignPattern(`camp-[a-z0-9-]+`)
	if err != nil {
		t.Fatal(err)
	}
	return &provider.Input{
		Source: "main", CampaignPattern: pattern, MaxEventAge: schemas.MaxEventAge,
		Pepper: []byte("a pepper only the tests know"), Words: words,
	}
}

// Post is a posted body that arrives at Now.
func Post(body []byte) *provider.Request {
	return &provider.Request{
		Method: http.MethodPost, Header: http.Header{}, Body: body, ReceivedAt: Now,
		URL: &url.URL{Scheme: "https", Host: "bluetick.example", Path: "/v1/webhooks/any/main"},
	}
}

// Open opens a source that must be right.
func Open(t testing.TB, p provider.Provider, s provider.Settings) provider.Endpoint {
	t.Helper()
	e, err := p.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Contract is what a provider promises.
type Contract struct {
	// Provider is its name.
	Provider string
	// OwnIDs: its events have ids of the provider's own.
	OwnIDs bool
}

// Check checks what must be true of the result of every request, whatever is in
// it.
func Check(t testing.TB, c Contract, r *provider.Request, in *provider.Input, got provider.Result) {
	t.Helper()
	oldest := r.ReceivedAt - schemas.Instant(in.MaxEventAge.Milliseconds())
	for i := range got.Events {
		e := &got.Events[i]
		if e.ID.IsZero() || !c.OwnIDs && !e.Clamped && e.ID != schemas.EventID(e) {
			t.Errorf("event %d: id %s is not of its content", i, e.ID)
		}
		wire := schemas.EncodeEvent(e)
		back, err := schemas.DecodeEvent(wire)
		if err != nil {
			t.Errorf("event %d: %v", i, err)
		}
		if back.ID != e.ID || schemas.EventID(&back) != schemas.EventID(e) {
			t.Errorf("event %d: another id after the wire", i)
		}
		if len(wire) > 32<<10 {
			t.Errorf("event %d: %d bytes", i, len(wire))
		}
		if !slices.IsSortedFunc(e.ContactKeys, schemas.Key.Compare) || len(slices.Compact(slices.Clone(e.ContactKeys))) != len(e.ContactKeys) {
			t.Errorf("event %d: contact keys %v", i, e.ContactKeys)
		}
		if e.OccurredAt > r.ReceivedAt || e.OccurredAt < oldest || e.ReceivedAt != r.ReceivedAt {
			t.Errorf("event %d: occurred at %d, received at %d", i, e.OccurredAt, e.ReceivedAt)
		}
		if e.Channel == "" || e.Account == "" {
			t.Errorf("event %d: channel %q, account %q", i, e.Channel, e.Account)
		}
	}
	for i, l := range got.Letters {
		if l.Stage != schemas.StageIngest || l.Provider != c.Provider || l.Source != in.Source || l.Reason == "" || l.Detail == "" || l.ReceivedAt != r.ReceivedAt {
			t.Errorf("letter %d incomplete: %+v", i, l)
		}
	}
	if s := got.Reply.Status; s != 0 && (s < 200 || s > 399) {
		t.Errorf("reply %d: only the door refuses", s)
	}
}

// Claim checks that what is told before the body is read agrees with Verify: no
// authentic request is turned away, and none without a signature is let in.
func Claim(t testing.TB, e provider.Endpoint, r *provider.Request) {
	t.Helper()
	header := *r
	header.Body = nil
	claim, verdict := e.Claim(&header), e.Verify(r)
	if verdict == provider.VerdictOK && claim != provider.VerdictOK || verdict == provider.VerdictMissing && claim != provider.VerdictMissing {
		t.Errorf("before the body %d, after it %d", claim, verdict)
	}
}

// Retry checks that a request sent again an hour later gives the same events with
// the same ids. The events must not take their time from us, or have ids of their
// own.
func Retry(t testing.TB, e provider.Endpoint, r *provider.Request, in *provider.Input) {
	t.Helper()
	later := *r
	later.ReceivedAt += 3600_000
	later.Body = bytes.Clone(r.Body)
	first, second := e.Decode(r, in), e.Decode(&later, in)
	if len(first.Events) != len(second.Events) {
		t.Fatalf("%d events, %d in the retry", len(first.Events), len(second.Events))
	}
	for i := range first.Events {
		if first.Events[i].ID != second.Events[i].ID {
			t.Errorf("event %d has another id in the retry", i)
		}
	}
}

// Concurrent checks that one endpoint serves many requests at once and holds on
// to none of them. request makes a new equal one each time.
func Concurrent(t *testing.T, e provider.Endpoint, in *provider.Input, request func() *provider.Request) {
	want := Render(t, e.Decode(request(), in))
	for i := range 4 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for range 20 {
				r := request()
				got := e.Decode(r, in)
				clear(r.Body)
				if !bytes.Equal(want, Render(t, got)) {
					t.Fatal("another result beside others")
				}
			}
		})
	}
}
