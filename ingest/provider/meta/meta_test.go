package meta

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/ingest/provider/providertest"
	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/schemas"
)

// endpointOf is a Meta source with these secrets.
func endpointOf(t testing.TB, secrets ...string) provider.Endpoint {
	t.Helper()
	if len(secrets) == 0 {
		secrets = []string{"s"}
	}
	return providertest.Open(t, New(), provider.Settings{Secrets: secrets})
}

var contract = providertest.Contract{Provider: "meta"}

// decode reads one body that arrives at the fixtures' time.
func decode(t testing.TB, body []byte) provider.Result {
	t.Helper()
	return endpointOf(t).Decode(providertest.Post(body), providertest.Input(t))
}

func fixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("find fixtures: %d, %v", len(paths), err)
	}
	return paths
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMetaGolden(t *testing.T) {
	e, in := endpointOf(t), providertest.Input(t)
	for _, path := range fixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			r := providertest.Post(readFile(t, path))
			got := e.Decode(r, in)
			providertest.Check(t, contract, r, in, got)
			golden.Assert(t, strings.TrimSuffix(path, ".json")+".golden", providertest.Render(t, got))
		})
	}
}

var sampleTime = regexp.MustCompile(`"timestamp"\s*:\s*"?(\d{9,10})\b`)

// TestMetaSamples decodes published bodies where they lie: each gives events or
// a named dead letter, also the documents that are not valid JSON.
func TestMetaSamples(t *testing.T) {
	root := os.Getenv("BLUETICK_SAMPLES")
	if root == "" {
		t.Skip("BLUETICK_SAMPLES names no folder with published webhook bodies")
	}
	var paths []string
	for _, pattern := range []string{"meta/*", "meta/*/*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	e, in, seen := endpointOf(t), providertest.Input(t), 0
	for _, path := range paths {
		if ext := filepath.Ext(path); ext != ".json" && ext != ".txt" {
			continue
		}
		seen++
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := providertest.Post(readFile(t, path))
			for _, found := range sampleTime.FindAllSubmatch(r.Body, -1) {
				sec, err := strconv.ParseInt(string(found[1]), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				r.ReceivedAt = schemas.Instant(sec*1000 + 60_000)
			}
			got := e.Decode(r, in)
			providertest.Check(t, contract, r, in, got)
			if len(got.Events)+len(got.Letters) == 0 {
				t.Error("neither an event nor a dead letter")
			}
			for _, e := range got.Events {
				t.Logf("%s %s %s", e.Type, e.RawName, e.Country)
			}
			for _, l := range got.Letters {
				t.Logf("dead letter: %s at %q", l.Reason, l.Where)
			}
		})
	}
	if seen == 0 {
		t.Fatalf("no samples under %s", root)
	}
}

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestMetaVerify(t *testing.T) {
	body := []byte(`{"entry":[]}`)
	e := endpointOf(t, "old secret", "new secret")
	good := sign("new secret", body)
	for _, c := range []struct {
		name, signature string
		want            provider.Verdict
	}{
		{"new secret", good, provider.VerdictOK},
		{"old secret", sign("old secret", body), provider.VerdictOK},
		{"upper case digits", "sha256=" + strings.ToUpper(good[7:]), provider.VerdictOK},
		{"other secret", sign("third secret", body), provider.VerdictBad},
		{"other body", sign("new secret", []byte("x")), provider.VerdictBad},
		{"no header", "", provider.VerdictMissing},
		{"no prefix", good[7:], provider.VerdictBad},
		{"other algorithm", "sha1=" + good[7:], provider.VerdictBad},
		{"cut", good[:len(good)-2], provider.VerdictBad},
		{"too long", good + "00", provider.VerdictBad},
		{"no hex", "sha256=" + strings.Repeat("zz", 32), provider.VerdictBad},
		{"empty digest", "sha256=", provider.VerdictBad},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := providertest.Post(body)
			if c.signature != "" {
				r.Header.Set("X-Hub-Signature-256", c.signature)
			}
			if got := e.Verify(r); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
			providertest.Claim(t, e, r)
			if got := (&endpoint{}).Verify(r); got == provider.VerdictOK {
				t.Error("authentic without any secret")
			}
		})
	}
}

// TestMetaManyUpdates decodes the most that one body may hold, and more than
// we take.
func TestMetaManyUpdates(t *testing.T) {
	for _, c := range []struct{ statuses, events, letters int }{
		{1000, 1000, 0},
		{provider.MaxItems + 500, provider.MaxItems - 1, 1}, // the change is an item too
	} {
		got := decode(t, manyStatuses(c.statuses))
		if len(got.Events) != c.events || len(got.Letters) != c.letters {
			t.Errorf("%d statuses: %d events, %d letters", c.statuses, len(got.Events), len(got.Letters))
		}
		if c.letters > 0 && got.Letters[0].Reason != provider.ReasonTooManyItems {
			t.Errorf("letter %q", got.Letters[0].Reason)
		}
	}
}

func manyStatuses(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"object":"whatsapp_business_account","entry":[{"id":"900000000000101","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"800000000000201"},"statuses":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"wamid.SU5WRU5URUQ%016d","status":"%s","timestamp":"%d","recipient_id":"493023125%03d","biz_opaque_callback_data":"{\"campaign\":\"autumn-26\",\"variant\":\"A\"}","pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}}`,
			i, []string{"sent", "delivered", "read"}[i%3], 1790000000+i%300, i%1000)
	}
	b.WriteString(`]}}]}]}`)
	return b.Bytes()
}

// TestMetaNesting: deep nesting is refused before it uses up the stack.
func TestMetaNesting(t *testing.T) {
	deep := strings.Repeat(`{"entry":[`, 400) + strings.Repeat(`]}`, 400)
	got := decode(t, []byte(deep))
	if len(got.Letters) != 1 || got.Letters[0].Reason != provider.ReasonNotJSON {
		t.Errorf("got %+v", got.Letters)
	}
}

// TestLetterItemBounded: what a letter keeps fits a Kafka record.
func TestLetterItemBounded(t *testing.T) {
	got := decode(t, bytes.Repeat([]byte("x"), 2*provider.MaxLetterItem))
	if len(got.Letters) != 1 || len(got.Letters[0].Item) != provider.MaxLetterItem || !strings.Contains(got.Letters[0].Detail, "of 8388608 bytes") {
		t.Errorf("kept %d bytes, detail %q", len(got.Letters[0].Item), got.Letters[0].Detail)
	}
}

// TestRetryHasSameIDs: a provider's retry, later and beside other updates, gives
// the same events with the same ids.
func TestRetryHasSameIDs(t *testing.T) {
	e, in := endpointOf(t), providertest.Input(t)
	for _, path := range fixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			r := providertest.Post(readFile(t, path))
			if strings.Contains(path, "without_time") {
				return // their time is ours
			}
			providertest.Retry(t, e, r, in)
		})
	}
}

// TestConcurrentDecode: one endpoint serves all requests at once.
func TestConcurrentDecode(t *testing.T) {
	providertest.Concurrent(t, endpointOf(t), providertest.Input(t), func() *provider.Request {
		return providertest.Post(manyStatuses(50))
	})
}

func FuzzMetaDecode(f *testing.F) {
	for _, path := range fixtures(f) {
		f.Add(readFile(f, path))
	}
	e, in := endpointOf(f), providertest.Input(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, again := providertest.Post(body), providertest.Post(bytes.Clone(body))
		first := e.Decode(r, in)
		providertest.Check(t, contract, r, in, first)
		clear(body)
		if second := e.Decode(again, in); !bytes.Equal(providertest.Render(t, first), providertest.Render(t, second)) {
			t.Error("the same body gives another result")
		}
	})
}

var (
	notDigits = regexp.MustCompile(`[^0-9]`)
	// scopedID is a business-scoped id long enough to look for.
	scopedID = regexp.MustCompile(`(?s)^[A-Z]{2}\..{5,}`)
)

// FuzzMetaPrivacy: whatever the sender's ids, texts and callback data are, no
// event holds the number, the ids or the text.
func FuzzMetaPrivacy(f *testing.F) {
	f.Add("447700900123", "wamid.SU5WRU5URUQtMDAwMQ==", "GB.7700INVENTED0001", "hello there", "camp-1", "payload", "sent")
	f.Add("+44 7700 900123", "wamid.A", "US.1", "STOP", `{"campaign":"447700900123"}`, "447700900123", "447700900123")
	f.Fuzz(func(t *testing.T, phone, id, scoped, body, callback, payload, status string) {
		canonical := provider.CanonicalPhone(phone)
		if len(canonical) < 7 || len(id) < 8 || !scopedID.MatchString(scoped) {
			t.Skip("no ids to look for")
		}
		type object = map[string]any
		status1 := object{"id": id, "status": status, "timestamp": 1790000000, "recipient_id": phone, "recipient_user_id": scoped, "biz_opaque_callback_data": callback, "errors": []object{{"code": 1, "title": body}}}
		message := object{"id": id, "from": phone, "from_user_id": scoped, "timestamp": 1790000000, "type": "text", "text": object{"body": body}}
		tap := object{"id": id, "from": phone, "from_user_id": scoped, "timestamp": 1790000000, "type": "button", "button": object{"payload": payload, "text": body}, "context": object{"id": id}}
		raw, err := json.Marshal(object{"entry": []object{{"id": "900000000000101", "changes": []object{{"field": "messages", "value": object{
			"metadata": object{"phone_number_id": "800000000000201"}, "statuses": []object{status1}, "messages": []object{message, tap},
		}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		// What json.Marshal made of invalid UTF-8 is what was sent.
		var sent struct{ ID, Scoped string }
		remarshal(t, map[string]string{"ID": id, "Scoped": scoped}, &sent)
		in := providertest.Input(t)
		in.CampaignPattern = regexp.MustCompile(`(?s).*`)
		for _, e := range endpointOf(t).Decode(providertest.Post(raw), in).Events {
			for _, s := range providertest.Texts(&e) {
				if strings.Contains(notDigits.ReplaceAllString(s, ""), canonical) && !strings.Contains("900000000000101 800000000000201", s) {
					t.Errorf("%s event: %q holds the number", e.Type, s)
				}
				if strings.Contains(s, sent.ID) || strings.Contains(s, sent.Scoped) {
					t.Errorf("%s event: %q holds an id", e.Type, s)
				}
			}
		}
	})
}

func remarshal(t *testing.T, from, to any) {
	t.Helper()
	b, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkMetaDecode(b *testing.B) {
	e, in := endpointOf(b), providertest.Input(b)
	for _, n := range []int{1, 50, 1000} {
		b.Run(fmt.Sprintf("statuses=%d", n), func(b *testing.B) {
			r := providertest.Post(manyStatuses(n))
			b.SetBytes(int64(len(r.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if r := e.Decode(r, in); len(r.Events) != n {
					b.Fatal("lost events")
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "statuses/s")
		})
	}
}

func BenchmarkMetaVerify(b *testing.B) {
	body := manyStatuses(1)
	e, r := endpointOf(b), providertest.Post(body)
	r.Header.Set("X-Hub-Signature-256", sign("s", body))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if e.Verify(r) != provider.VerdictOK {
			b.Fatal("not authentic")
		}
	}
}
