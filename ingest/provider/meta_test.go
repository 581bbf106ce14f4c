package provider

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/schemas"
)

func testInput(t testing.TB) Input {
	t.Helper()
	words, err := schemas.DefaultOptOutWords()
	if err != nil {
		t.Fatal(err)
	}
	pattern, err := CompileCampaignPattern(testPattern)
	if err != nil {
		t.Fatal(err)
	}
	return Input{
		Source: "main", CampaignPattern: pattern, MaxEventAge: 10 * 24 * time.Hour,
		Pepper: testPepper, Words: words, ReceivedAt: fixtureNow,
	}
}

func fixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/meta/*.json")
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
	in := testInput(t)
	m := NewMeta()
	for _, path := range fixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			body := readFile(t, path)
			got := m.Decode(body, in)
			checkResult(t, got, in)
			golden.Assert(t, strings.TrimSuffix(path, ".json")+".golden", renderResult(got))
		})
	}
}

// checkResult holds for every result whatever the body.
func checkResult(t testing.TB, r Result, in Input) {
	t.Helper()
	for i := range r.Events {
		e := &r.Events[i]
		if e.ID != schemas.EventID(e) {
			t.Errorf("event %d: id is not of its content", i)
		}
		wire := schemas.EncodeEvent(e)
		back, err := schemas.DecodeEvent(wire)
		if err != nil {
			t.Errorf("event %d: %v", i, err)
		}
		if schemas.EventID(&back) != e.ID {
			t.Errorf("event %d: another id after the wire", i)
		}
		if len(wire) > 32<<10 {
			t.Errorf("event %d: %d bytes", i, len(wire))
		}
		if !slices.IsSortedFunc(e.ContactKeys, schemas.Key.Compare) || len(slices.Compact(slices.Clone(e.ContactKeys))) != len(e.ContactKeys) {
			t.Errorf("event %d: contact keys %v", i, e.ContactKeys)
		}
		if e.OccurredAt > in.ReceivedAt || e.OccurredAt < in.ReceivedAt-schemas.Instant(in.MaxEventAge.Milliseconds()) {
			t.Errorf("event %d: occurred at %d", i, e.OccurredAt)
		}
	}
	for i, l := range r.Letters {
		if l.Stage != "ingest" || l.Provider != "meta" || l.Source != in.Source || l.Reason == "" || l.Detail == "" || l.ReceivedAt != in.ReceivedAt {
			t.Errorf("letter %d incomplete: %+v", i, l)
		}
	}
}

var sampleTime = regexp.MustCompile(`"timestamp"\s*:\s*"?(\d{9,10})\b`)

// TestMetaSamples decodes published bodies where they lie: each gives events or
// a named dead letter, as do the documents that are no valid JSON.
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
	m, seen := NewMeta(), 0
	for _, path := range paths {
		if ext := filepath.Ext(path); ext != ".json" && ext != ".txt" {
			continue
		}
		seen++
		t.Run(filepath.Base(path), func(t *testing.T) {
			body := readFile(t, path)
			in := testInput(t)
			for _, found := range sampleTime.FindAllSubmatch(body, -1) {
				sec, err := strconv.ParseInt(string(found[1]), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				in.ReceivedAt = schemas.Instant(sec*1000 + 60_000)
			}
			got := m.Decode(body, in)
			checkResult(t, got, in)
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
	secrets := [][]byte{[]byte("old secret"), []byte("new secret")}
	good := sign("new secret", body)
	for _, c := range []struct {
		name, signature string
		want            Verdict
	}{
		{"new secret", good, VerdictOK},
		{"old secret", sign("old secret", body), VerdictOK},
		{"upper case digits", "sha256=" + strings.ToUpper(good[7:]), VerdictOK},
		{"other secret", sign("third secret", body), VerdictBad},
		{"other body", sign("new secret", []byte("x")), VerdictBad},
		{"no header", "", VerdictMissing},
		{"no prefix", good[7:], VerdictBad},
		{"other algorithm", "sha1=" + good[7:], VerdictBad},
		{"cut", good[:len(good)-2], VerdictBad},
		{"too long", good + "00", VerdictBad},
		{"no hex", "sha256=" + strings.Repeat("zz", 32), VerdictBad},
		{"empty digest", "sha256=", VerdictBad},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			if c.signature != "" {
				h.Set("X-Hub-Signature-256", c.signature)
			}
			if got := NewMeta().Verify(h, body, secrets); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
			if got := NewMeta().Verify(h, body, nil); got == VerdictOK {
				t.Error("authentic without any secret")
			}
		})
	}
}

// TestMetaManyUpdates decodes the most that one body may hold, and more than
// we take.
func TestMetaManyUpdates(t *testing.T) {
	in := testInput(t)
	for _, c := range []struct{ statuses, events, letters int }{
		{1000, 1000, 0},
		{maxItems + 500, maxItems - 1, 1}, // the change is an item too
	} {
		got := NewMeta().Decode(manyStatuses(c.statuses), in)
		if len(got.Events) != c.events || len(got.Letters) != c.letters {
			t.Errorf("%d statuses: %d events, %d letters", c.statuses, len(got.Events), len(got.Letters))
		}
		if c.letters > 0 && got.Letters[0].Reason != ReasonTooManyItems {
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

// TestMetaNesting: depth is refused before it costs a stack.
func TestMetaNesting(t *testing.T) {
	deep := strings.Repeat(`{"entry":[`, 400) + strings.Repeat(`]}`, 400)
	got := NewMeta().Decode([]byte(deep), testInput(t))
	if len(got.Letters) != 1 || got.Letters[0].Reason != ReasonNotJSON {
		t.Errorf("got %+v", got.Letters)
	}
}

// TestLetterItemBounded: what a letter keeps fits a Kafka record.
func TestLetterItemBounded(t *testing.T) {
	got := NewMeta().Decode(bytes.Repeat([]byte("x"), 2*maxLetterItem), testInput(t))
	if len(got.Letters) != 1 || len(got.Letters[0].Item) != maxLetterItem || !strings.Contains(got.Letters[0].Detail, "of 8388608 bytes") {
		t.Errorf("kept %d bytes, detail %q", len(got.Letters[0].Item), got.Letters[0].Detail)
	}
}

// TestRetryHasSameIDs: a provider's retry, later and beside other updates, says
// the same with the same ids.
func TestRetryHasSameIDs(t *testing.T) {
	in := testInput(t)
	later := in
	later.ReceivedAt += 3600_000
	m := NewMeta()
	for _, path := range fixtures(t) {
		body := readFile(t, path)
		first := m.Decode(body, in)
		if first.Stats.Clamped > 0 || strings.Contains(path, "without_time") {
			continue // their time is ours
		}
		second := m.Decode(bytes.Clone(body), later)
		for i := range first.Events {
			if first.Events[i].ID != second.Events[i].ID {
				t.Errorf("%s: event %d has another id in the retry", path, i)
			}
		}
	}
}

// TestConcurrentDecode: one decoder serves all requests at once.
func TestConcurrentDecode(t *testing.T) {
	in, m := testInput(t), NewMeta()
	want := renderResult(m.Decode(manyStatuses(50), in))
	for i := range 4 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for range 20 {
				body := manyStatuses(50)
				got := m.Decode(body, in)
				clear(body)
				if !bytes.Equal(want, renderResult(got)) {
					t.Fatal("another result beside others")
				}
			}
		})
	}
}

func TestInstant(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want schemas.Instant
	}{
		{`"1790000000"`, 1790000000_000},
		{`1790000000`, 1790000000_000},
		{`1790000000250`, 1790000000_250},
		{`"1790000000.75"`, 1790000000_750},
		{`1.79e9`, 1790000000_000},
		{`0`, 0},
		{`-5`, 0},
		{`"-5.5"`, 0},
		{`"soon"`, 0},
		{`""`, 0},
		{`null`, 0},
		{`true`, 0},
		{`NaN`, 0},
		{`1e300`, 0},
		{`99999999999999999999999999999999999`, 0},
		{`253402300800000`, 0},
		{`{"a":1}`, 0},
	} {
		t.Run(c.raw, func(t *testing.T) {
			var p parserOf
			got, ok := instant(p.value(t, c.raw))
			if got != c.want || ok != (c.want != 0) {
				t.Errorf("got %d %v, want %d", got, ok, c.want)
			}
		})
	}
}

func FuzzMetaDecode(f *testing.F) {
	for _, path := range fixtures(f) {
		f.Add(readFile(f, path))
	}
	in, m := testInput(f), NewMeta()
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		first := m.Decode(body, in)
		checkResult(t, first, in)
		clear(body)
		if second := m.Decode(kept, in); !bytes.Equal(renderResult(first), renderResult(second)) {
			t.Error("the same body gives another result")
		}
	})
}

// FuzzMetaPrivacy: whatever the sender's ids, texts and callback data are, no
// event holds the number, the ids or the text.
func FuzzMetaPrivacy(f *testing.F) {
	f.Add("447700900123", "wamid.SU5WRU5URUQtMDAwMQ==", "GB.7700INVENTED0001", "hello there", "camp-1", "payload", "sent")
	f.Add("+44 7700 900123", "wamid.A", "US.1", "STOP", `{"campaign":"447700900123"}`, "447700900123", "447700900123")
	f.Fuzz(func(t *testing.T, phone, id, scoped, body, callback, payload, status string) {
		canonical := canonicalPhone(phone)
		if len(canonical) < minSecretDigits || len(id) < minSecretID || scopedCountry(scoped) == "" || len(scoped) < minSecretID {
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
		in := testInput(t)
		in.CampaignPattern = regexp.MustCompile(`(?s).*`)
		for _, e := range NewMeta().Decode(raw, in).Events {
			for _, s := range textsOf(&e) {
				if strings.Contains(digits(s), canonical) && !strings.Contains("900000000000101 800000000000201", s) {
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

// textsOf is every text an event carries.
func textsOf(e *schemas.Event) []string {
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

func BenchmarkMetaDecode(b *testing.B) {
	in, m := testInput(b), NewMeta()
	for _, n := range []int{1, 50, 1000} {
		b.Run(fmt.Sprintf("statuses=%d", n), func(b *testing.B) {
			body := manyStatuses(n)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if r := m.Decode(body, in); len(r.Events) != n {
					b.Fatal("lost events")
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "statuses/s")
		})
	}
}

func BenchmarkMetaVerify(b *testing.B) {
	body := manyStatuses(1)
	h := http.Header{"X-Hub-Signature-256": {sign("s", body)}}
	m, secrets := NewMeta(), [][]byte{[]byte("s")}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if m.Verify(h, body, secrets) != VerdictOK {
			b.Fatal("not authentic")
		}
	}
}
