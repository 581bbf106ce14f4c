package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestSwellIsTold: a campaign whose people leave is told to a signed webhook
// exactly as a receiver would check it, with SQL that gives the same numbers,
// and a healthy campaign beside it is not.
func TestSwellIsTold(t *testing.T) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("an invented secret of 32 bytes !"))
	told := make(chan notification, 16)
	receiver := httptest.NewServer(receive(t, secret, told))
	defer receiver.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "bluetick.yaml")
	text := fmt.Sprintf("alerts: {webhooks: [{name: ops, url: %q, secret: %q}]}\n", receiver.URL, secret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, binary(t), filepath.Join(dir, "data"), "--config", file)

	// Sent 75 minutes ago over 20 minutes, so that every cohort has reached 30
	// minutes by now and the news is less than two hours old. In each ten of a
	// body one person leaves the campaign winter (see updates).
	begin := time.Now().Add(-75 * time.Minute).Truncate(time.Minute).Unix()
	const perMinute, minutes = 60, 20
	for minute := range minutes {
		from := minute * perMinute
		if status := s.post(body(from, from+perMinute, begin+int64(minute)*60)); status != http.StatusOK {
			t.Fatalf("status %d\n%s", status, s.log)
		}
	}
	var n notification
	for deadline := time.After(patience); n.Rule != "opt-out-swell"; {
		select {
		case n = <-told:
			if n.Campaign == "autumn" && n.Rule == "opt-out-swell" {
				t.Errorf("the healthy campaign was told: %+v", n)
			}
		case <-deadline:
			t.Fatalf("nothing was told\n%s", s.log)
		}
	}
	if n.Campaign != "winter" || n.State != "firing" || n.N == 0 || n.K == 0 || n.Reference <= 0 || !strings.Contains(n.Title, "winter") {
		t.Errorf("told %+v", n)
	}
	s.await("SELECT k, n FROM ("+n.SQL+")", fmt.Sprintf("%d\t%d", n.K, n.N))
	s.await("SELECT countIf(campaign = 'winter' AND notified) > 0, countIf(campaign = 'autumn') FROM alerts FINAL WHERE rule = 'opt-out-swell'", "1\t0")
	s.stop()
}

// notification is what the test reads of a webhook's body.
type notification struct {
	Key, Rule, State, Campaign, Title, SQL string
	N, K                                   int64
	Reference                              float64
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
