package ingest

import (
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/ingest/provider/providertest"
	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/schemas"
)

const (
	testStamp   = "the stamp of the tests"
	postalPath  = "/v1/webhooks/postal/links"
	testTarget  = "https://shop.example/autumn?from=parcel"
	postalClick = "account=7&parcel=parcel-0001&event=e-1&link=first&phone=" + testPhone
)

// withPostal is a door with a Meta source and a postal source.
func withPostal() Config {
	c := testConfig()
	c.Sources = append(c.Sources, Source{Name: "links", Provider: "postal", Secrets: []string{testStamp}, MaxEventAge: DefaultMaxEventAge})
	return c
}

// follow is the path of a signed link to testTarget as this door is reached.
func (d *door) follow(query string) string {
	path := postalPath + "?to=" + url.QueryEscape(testTarget) + "&" + query
	return path + postalSignature + postalStamp(testStamp, d.url(path))
}

// TestSecondProvider: a provider that signs its URL and answers a GET with a
// redirect works beside Meta, down to the records in Kafka.
func TestSecondProvider(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	kafkatest.Topics(t, brokers, 4)
	c := withPostal()
	var now atomic.Int64
	now.Store(testNow().Unix())
	d := openAt(t, c, producer(t, c.ProduceTimeout, brokers), func() time.Time { return time.Unix(now.Load(), 0) })
	click := d.follow(postalClick + "&data=campaign%3Dautumn-26")
	for _, c := range []struct {
		name, method, path string
		status             int
		text               string
	}{
		{"followed", "GET", click, 302, ""},
		{"without a parcel", "GET", d.follow("account=7&event=e-2"), 302, ""},
		{"unsigned", "GET", postalPath + "?to=https://elsewhere.example", 401, "signature_missing\n"},
		{"another target", "GET", postalPath + "?to=https://elsewhere.example&" + postalClick + click[len(click)-len(postalSignature)-64:], 401, "signature_wrong\n"},
		{"posted", "POST", click, 405, "method_not_allowed\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := d.do(t, c.method, c.path, nil, nil)
			if got.status != c.status || got.text != c.text {
				t.Errorf("got %d %q, want %d %q", got.status, got.text, c.status, c.text)
			}
			if location := got.header.Get("Location"); (location == testTarget) != (c.status == 302) || location != "" && c.status != 302 {
				t.Errorf("got %d with a redirect to %q", got.status, location)
			}
			if c.status == 405 && got.header.Get("Allow") != "GET" {
				t.Errorf("Allow: %q", got.header.Get("Allow"))
			}
		})
	}
	// Followed again an hour later, which is the same event, and Meta beside it.
	now.Add(3600)
	if got := d.do(t, "GET", click, nil, nil); got.status != 302 {
		t.Errorf("again: %d %q", got.status, got.text)
	}
	if got := d.post(t, statuses(1)); got.status != 200 {
		t.Errorf("Meta: %d %q", got.status, got.text)
	}
	byChannel := map[schemas.Channel][]schemas.Event{}
	for _, r := range consume(t, brokers, schemas.TopicEvents, 3) {
		e, err := schemas.DecodeEvent(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		byChannel[e.Channel] = append(byChannel[e.Channel], e)
	}
	clicks := byChannel["post"]
	if len(clicks) != 2 || len(byChannel[schemas.ChannelWhatsApp]) != 1 {
		t.Fatalf("%d events of postal and %d of Meta, want 2 and 1", len(clicks), len(byChannel[schemas.ChannelWhatsApp]))
	}
	e := clicks[0]
	if e.Type != schemas.TypeClicked || e.Account != "7" || e.Click.ID != "first" || e.Dimensions.Campaign != "autumn-26" ||
		e.Country != "GB" || len(e.ContactKeys) != 1 || e.MessageKey != schemas.MessageKey("post", "7", "parcel-0001") {
		t.Errorf("the click is %+v", e)
	}
	if e.ID != clicks[1].ID || e.OccurredAt == clicks[1].OccurredAt {
		t.Errorf("the same event twice has ids %s and %s, times %d and %d", e.ID, clicks[1].ID, e.OccurredAt, clicks[1].OccurredAt)
	}
	letter, err := schemas.DecodeDeadLetter(consume(t, brokers, schemas.TopicDeadLetters, 1)[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	if letter.Provider != "postal" || letter.Source != "links" || letter.Reason != provider.ReasonNoMessageID || letter.Where != "query" || len(letter.Item) == 0 {
		t.Errorf("dead letter %+v", letter)
	}
}

// TestReplyAwaitsKafka (G2): a provider's own reply is sent once everything is
// acknowledged, and not otherwise.
func TestReplyAwaitsKafka(t *testing.T) {
	p := newFakeProducer()
	d := open(t, withPostal(), p)
	p.answer <- errors.New("no room")
	got := d.do(t, http.MethodGet, d.follow(postalClick), nil, nil)
	if got.status != 503 || got.text != "kafka_unavailable\n" || got.header.Get("Location") != "" {
		t.Errorf("refused: %d %q to %q", got.status, got.text, got.header.Get("Location"))
	}
	p.answer <- nil
	if got := d.do(t, http.MethodGet, d.follow(postalClick), nil, nil); got.status != 302 {
		t.Errorf("taken: %d %q", got.status, got.text)
	}
	if n := counter(t, d.registry, "bluetick_ingest_requests_total"); n != 2 {
		t.Errorf("%v requests counted, want 2", n)
	}
}

// TestPostalKeepsTheContract: a provider unlike Meta passes the tests that every
// provider must pass.
func TestPostalKeepsTheContract(t *testing.T) {
	e := providertest.Open(t, newPostal(), provider.Settings{Secrets: []string{testStamp}})
	in := providertest.Input(t)
	request := func() *provider.Request {
		r := providertest.Post(nil)
		r.Method, r.URL.RawQuery = http.MethodGet, postalClick
		return r
	}
	r := request()
	got := e.Decode(r, in)
	if len(got.Events) != 1 {
		t.Fatalf("%d events", len(got.Events))
	}
	providertest.Check(t, providertest.Contract{Provider: "postal", OwnIDs: true}, r, in, got)
	providertest.Retry(t, e, r, in)
	unsigned := r.URL.RawQuery
	for _, query := range []string{unsigned, unsigned + postalSignature + "00", unsigned + postalSignature + postalStamp(testStamp, r.URL.String())} {
		r.URL.RawQuery = query
		providertest.Claim(t, e, r)
	}
	providertest.Concurrent(t, e, in, request)
	for _, s := range providertest.Texts(&got.Events[0]) {
		if s == testPhone || s == "parcel-0001" {
			t.Errorf("%q leaves", s)
		}
	}
}
