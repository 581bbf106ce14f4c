package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/bluetick/bluetick/internal/simulate"
)

// TestDemoCountsAndTells runs the demo to its own end: it must find every count
// exact. Both bad campaigns are told to a signed webhook, as a receiver would
// check it, no healthy one is, and the SQL of each notification gives its
// numbers.
func TestDemoCountsAndTells(t *testing.T) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("an invented secret of 32 bytes !"))
	told := make(chan notification, 64)
	receiver := httptest.NewServer(receive(t, secret, told))
	defer receiver.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "bluetick.yaml")
	text := fmt.Sprintf("alerts: {webhooks: [{name: ops, url: %q, secret: %q}]}\n", receiver.URL, secret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bin, data := binary(t), filepath.Join(dir, "data")
	out, err := command(t, bin, "demo", "--data", data, "--config", file, "--for", "55s", "--scale", "0.5",
		"--ingest-listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0")
	if err != nil || !strings.Contains(out, "demo: OK") {
		t.Fatalf("%v\n%s", err, out)
	}
	close(told)
	expected := map[string]string{simulate.Swelling: "opt-out-swell", simulate.Collapsing: "delivery-below-benchmark"}
	missing := maps.Clone(expected)
	for n := range told {
		if n.Grouping == "campaign" && n.Rule != expected[n.Campaign] {
			t.Errorf("%s was told for %s", n.Rule, n.Campaign)
		}
		delete(missing, n.Campaign)
		if n.Grouping == "account" && n.Rule == expected[simulate.Collapsing] {
			delete(missing, simulate.Collapsing) // a firing account suppresses its campaigns
		}
		got, err := command(t, bin, "sql", "--data", data, "--format", "tsv", "SELECT k, n FROM ("+n.SQL+")")
		if want := fmt.Sprintf("k\tn\n%d\t%d", n.K, n.N); err != nil || got != want {
			t.Errorf("%s: its SQL gives %q, want %q (%v)\n%s", n.Title, got, want, err, n.SQL)
		}
	}
	for campaign, rule := range missing {
		t.Errorf("%s of %s was not told", rule, campaign)
	}
	if out, err := command(t, bin, "audit", "--data", data); err != nil || !strings.Contains(out, "audit: 0 differences") {
		t.Errorf("audit after the demo: %s, %v", out, err)
	}
}

// notification is what the test reads of a webhook's body.
type notification struct {
	Key, Rule, Grouping, Campaign, Title, SQL string
	N, K                                      int64
}

// receive verifies with the library of Standard Webhooks and passes on.
func receive(t *testing.T, secret string, told chan<- notification) http.Handler {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			err = hook.Verify(raw, r.Header)
		}
		var n notification
		if err == nil {
			err = json.Unmarshal(raw, &n)
		}
		if err != nil || r.Header.Get("webhook-id") != n.Key {
			t.Errorf("a webhook that does not verify: %v, id %q, key %q", err, r.Header.Get("webhook-id"), n.Key)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		told <- n
	})
}
