package ingest

import (
	"fmt"
	"testing"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// TestPinnedSource: a body of two accounts, on a route for one of them. What is
// not its own is a dead letter, once for each item, and the rest counts.
func TestPinnedSource(t *testing.T) {
	one := func(account, id string) string {
		return fmt.Sprintf(`{"id":%q,"changes":[{"field":"messages","value":{"statuses":[{"id":%q,"status":"delivered","timestamp":"1790000000","recipient_id":"447700900123"}]}}]}`, account, id)
	}
	body := []byte(`{"object":"whatsapp_business_account","entry":[` + one("900000000000101", "wamid.A") + `,` + one("900000000000666", "wamid.B") + `,` + one("900000000000101", "wamid.C") + `]}`)
	for name, c := range map[string]struct {
		accounts        []string
		account         string
		events, foreign int
	}{
		"not pinned":         {nil, "", 3, 0},
		"to one":             {[]string{"900000000000101"}, "", 2, 1},
		"to both":            {[]string{"900000000000101", "900000000000666"}, "", 3, 0},
		"to a third":         {[]string{"900000000000777"}, "", 0, 3},
		"under another name": {[]string{"900000000000101"}, "shop", 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := testConfig()
			c2.Sources[0].Accounts, c2.Sources[0].Account = c.accounts, c.account
			p := newFakeProducer()
			p.answer <- nil
			d := open(t, c2, p)
			if got := d.post(t, body); got.status != 200 {
				t.Fatalf("%d %q", got.status, got.text)
			}
			events, foreign := 0, 0
			for _, r := range <-p.calls {
				if r.Topic == schemas.TopicEvents {
					events++
					continue
				}
				letter, err := schemas.DecodeDeadLetter(r.Value)
				if err != nil || letter.Reason != provider.ReasonForeignAccount || len(letter.Item) == 0 {
					t.Errorf("letter %+v, %v", letter, err)
				}
				foreign++
			}
			if events != c.events || foreign != c.foreign {
				t.Errorf("%d events and %d letters, want %d and %d", events, foreign, c.events, c.foreign)
			}
		})
	}
}
