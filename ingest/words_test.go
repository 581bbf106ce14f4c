package ingest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// TestWordsOfASource: each source hears by the words of its own configuration.
func TestWordsOfASource(t *testing.T) {
	c := testConfig()
	shop := c.Sources[0]
	shop.Name = "shop"
	shop.OptOut = schemas.WordChange{Add: []string{"genug davon"}, Remove: []string{"cancel"}}
	shop.OptIn = schemas.WordChange{Add: []string{"join"}}
	c.Sources = append(c.Sources, shop)
	p := newFakeProducer()
	d := open(t, c, p)
	for _, want := range []struct {
		text       string
		main, shop schemas.EventType
	}{
		{"Stop", schemas.TypeOptedOut, schemas.TypeOptedOut},
		{"Cancel", schemas.TypeOptedOut, schemas.TypeReplied},
		{"Genug davon, danke!", schemas.TypeReplied, schemas.TypeOptedOut},
		{"JOIN", schemas.TypeReplied, schemas.TypeOptedIn},
	} {
		body := fmt.Appendf(nil, `{"entry":[{"id":"900000000000101","changes":[{"field":"messages","value":{"messages":[
			{"id":"wamid.SU5WRU5URUQtMDAwMQ==","from":"447700900123","timestamp":"1790000000","type":"text","text":{"body":%q}}]}}]}]}`, want.text)
		for source, meaning := range map[string]schemas.EventType{"main": want.main, "shop": want.shop} {
			p.answer <- nil
			if got := d.do(t, http.MethodPost, "/v1/webhooks/meta/"+source, body, signature(testSecret, body)); got.status != 200 {
				t.Fatalf("status %d", got.status)
			}
			e, err := schemas.DecodeEvent((<-p.calls)[0].Value)
			if err != nil || e.Type != meaning {
				t.Errorf("%s, %q: %s, %v; want %s", source, want.text, e.Type, err, meaning)
			}
		}
	}
}
