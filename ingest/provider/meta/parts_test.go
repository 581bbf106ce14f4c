package meta

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/ingest/provider/providertest"
	"github.com/bluetick/bluetick/schemas"
)

// TestFailure: a title is a text like others, and an error without a code reveals
// nothing of the account.
func TestFailure(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      schemas.Failure
	}{
		{"none", `{}`, schemas.Failure{Category: schemas.FailOther}},
		{"no code", `{"errors":[{"title":"Odd"}]}`, schemas.Failure{Category: schemas.FailOther, Title: "Odd"}},
		{"code 0", `{"errors":[{"code":0,"title":"Auth"}]}`, schemas.Failure{Category: schemas.FailAccount, Title: "Auth"}},
		{"no number", `{"errors":[{"code":"many"}]}`, schemas.Failure{Category: schemas.FailOther}},
		{"number in groups", `{"errors":[{"code":131026,"title":"Not sent to +44 7700 900 123"}]}`, schemas.Failure{Code: 131026, Category: schemas.FailUndeliverable}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &decoder{Decoder: New().dialect.NewDecoder(providertest.Post(nil), providertest.Input(t))}
			d.Person.AddNumber("447700900123")
			v, err := fastjson.Parse(c.raw)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, d.failure(v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPaymentStatus: a payment that failed is not a message that failed.
func TestPaymentStatus(t *testing.T) {
	body := `{"entry":[{"id":"900000000000101","changes":[{"field":"messages","value":{"statuses":[
		{"id":"wamid.SU5WRU5URUQtMDAwMQ==","type":"payment","status":"failed","timestamp":"1790000000","recipient_id":"447700900123"}]}}]}]}`
	r := decode(t, []byte(body))
	if len(r.Events) != 1 || r.Events[0].Type != schemas.TypeOther || r.Events[0].RawName != "payment.failed" || r.Events[0].Failure != nil {
		t.Errorf("got %+v", r.Events)
	}
}

// TestOpen: a source without a secret is refused, one without a verify token is
// not: it has no handshake then.
func TestOpen(t *testing.T) {
	if _, err := New().Open(provider.Settings{VerifyToken: "token"}); err == nil || err.Error() != "secrets: none given; for Meta it is the app secret" {
		t.Errorf("without a secret: %v", err)
	}
	if _, err := New().Open(provider.Settings{Secrets: []string{"a", ""}}); err == nil || err.Error() != "secrets: one is empty" {
		t.Errorf("with an empty secret: %v", err)
	}
	if _, err := New().Open(provider.Settings{Secrets: []string{"a"}}); err != nil {
		t.Errorf("without a verify token: %v", err)
	}
}

// TestDeadItemHidesNothing: whatever is wrong with one item, entry or change, and
// wherever it is, it becomes one dead letter and all others are the events they
// are without it.
func TestDeadItemHidesNothing(t *testing.T) {
	const (
		good1 = `{"id":"wamid.SU5WRU5URUQtMDAwMQ==","status":"sent","timestamp":"1790000000","recipient_id":"447700900123"}`
		good2 = `{"id":"wamid.SU5WRU5URUQtMDAwMg==","status":"read","timestamp":"1790000001","recipient_id":"447700900124"}`
	)
	change := func(items ...string) string {
		return `{"field":"messages","value":{"metadata":{"phone_number_id":"800000000000201"},"statuses":[` + strings.Join(items, ",") + `]}}`
	}
	entry := func(changes ...string) string {
		return `{"id":"900000000000101","changes":[` + strings.Join(changes, ",") + `]}`
	}
	body := func(entries ...string) []byte { return []byte(`{"entry":[` + strings.Join(entries, ",") + `]}`) }
	around := func(dead string, all func(items ...string) []byte, first, second string) [][]byte {
		return [][]byte{all(dead, first, second), all(first, dead, second), all(first, second, dead)}
	}
	items := func(i ...string) []byte { return body(entry(change(i...))) }
	changes := func(c ...string) []byte { return body(entry(c...)) }
	want := decode(t, items(good1, good2)).Events
	for _, c := range []struct {
		name, reason string
		bodies       [][]byte
	}{
		{"item that is text", provider.ReasonBadItem, around(`"text"`, items, good1, good2)},
		{"item without an id", provider.ReasonNoMessageID, around(`{"status":"sent","timestamp":"1790000000"}`, items, good1, good2)},
		{"item without a time", provider.ReasonBadTimestamp, around(`{"id":"wamid.SU5WRU5URUQtMDAwMw==","status":"sent"}`, items, good1, good2)},
		{"item too old", provider.ReasonTooOld, around(`{"id":"wamid.SU5WRU5URUQtMDAwMw==","status":"sent","timestamp":"1700000000"}`, items, good1, good2)},
		{"change that is a list", provider.ReasonBadItem, around(`[]`, changes, change(good1), change(good2))},
		{"entry that is a number", provider.ReasonBadItem, around(`7`, body, entry(change(good1)), entry(change(good2)))},
		{"entry without an account", provider.ReasonNoAccount, around(`{"changes":[`+change(good1)+`]}`, body, entry(change(good1)), entry(change(good2)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, b := range c.bodies {
				got := decode(t, b)
				if diff := cmp.Diff(want, got.Events); diff != "" {
					t.Errorf("%s\n%s", b, diff)
				}
				if len(got.Letters) != 1 || got.Letters[0].Reason != c.reason {
					t.Errorf("%s: letters %+v", b, got.Letters)
				}
			}
		})
	}
}
