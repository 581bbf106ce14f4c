package provider

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

// parserOf parses one value for a test.
type parserOf struct{ p fastjson.Parser }

func (p *parserOf) value(t testing.TB, raw string) *fastjson.Value {
	t.Helper()
	v, err := p.p.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// testDecoder is the decoding of a request whose provider marks its message ids.
func testDecoder(t testing.TB) *Decoder {
	t.Helper()
	words, err := schemas.DefaultOptOutWords()
	if err != nil {
		t.Fatal(err)
	}
	pattern, err := CompileCampaignPattern(`camp-[a-z0-9-]+`)
	if err != nil {
		t.Fatal(err)
	}
	dialect := Dialect{Provider: "test", Channel: "post", Revision: 3, IDMarks: []string{"wamid."}}
	return dialect.NewDecoder(&Request{ReceivedAt: testNow}, &Input{
		Source: "main", CampaignPattern: pattern, MaxEventAge: 10 * 24 * time.Hour,
		Pepper: []byte("a pepper only the tests know"), Words: words,
	})
}

const testNow schemas.Instant = 1790000400_000

func TestPhoneCountry(t *testing.T) {
	for _, c := range []struct{ number, want string }{
		{"447700900123", "GB"},
		{"+44 7700 900123", "GB"},
		{"4915112345678", "DE"},
		{"12025550123", "US"},
		{"14165550123", "CA"},
		{"18765550123", "JM"},
		{"5511987654321", "BR"},
		{"551187654321", "BR"}, // without the ninth digit
		{"5215512345678", "MX"},
		{"525512345678", "MX"},
		{"5491123456789", "AR"},
		{"79161234567", "RU"},
		{"77011234567", "KZ"},
		{"972541234567", "IL"},
		{"250788123200", "RW"},
		{"390612345678", "IT"},
		{"80012345678", ""}, // belongs to no country
		{"999123456789", ""},
		{"5678", ""},
		{"0000000000", ""},
		{"", ""},
	} {
		t.Run(c.number, func(t *testing.T) {
			if got := phoneCountry(CanonicalPhone(c.number)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCanonicalPhone(t *testing.T) {
	for in, want := range map[string]string{
		"447700900123": "447700900123", "+44 (7700) 900-123": "447700900123", "44.7700.900123": "447700900123",
		"bla": "", "": "", "GB.7700": "", "PHONE_NUMBER": "", "<N>": "", "...": "", "1234567890123456": "",
		"120363@g.us": "", "４４７７": "",
	} {
		if got := CanonicalPhone(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestPseudonyms: the kind and the pepper are part of a key; the spelling of a
// number is not.
func TestPseudonyms(t *testing.T) {
	keys := func(pepper string, f func(*Person)) []schemas.Key {
		p := newPerson([]byte(pepper), nil)
		f(p)
		return p.keys
	}
	a := keys("a pepper", func(p *Person) { p.AddNumber("447700900123") })
	for _, c := range []struct {
		name string
		got  []schemas.Key
		same bool
	}{
		{"spelling", keys("a pepper", func(p *Person) { p.AddNumber("+44 7700 900123") }), true},
		{"twice", keys("a pepper", func(p *Person) { p.AddNumber("447700900123"); p.AddNumber("447700900123") }), true},
		{"pepper", keys("b pepper", func(p *Person) { p.AddNumber("447700900123") }), false},
		{"kind", keys("a pepper", func(p *Person) { p.AddScoped("447700900123") }), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if cmp.Equal(a, c.got) != c.same || len(c.got) != 1 {
				t.Errorf("got %v beside %v", c.got, a)
			}
		})
	}
	got := keys("a pepper", func(p *Person) { p.AddNumber("GB.7700INVENTED0001") })
	if want := keys("a pepper", func(p *Person) { p.AddScoped("GB.7700INVENTED0001") }); !cmp.Equal(got, want) {
		t.Error("a scoped id in a number's field is another key")
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want string
	}{
		{"plain", 256, "plain"},
		{"  both ends ", 256, "both ends"},
		{"a\x00b\nc\u0085d", 256, "a b c d"},
		{"\xff\xfe", 256, "\uFFFD"},
		{strings.Repeat("ü", 10), 5, "üü"},
		{"ab cd", 3, "ab"},
		{strings.Repeat("x", 300), 256, strings.Repeat("x", 256)},
		{"", 1, ""},
		{"e\u0301", 2, "\u00e9"},
		{"\ufeff\u200ba\u200bb\u2060 ", 256, "a\u200bb"},
		{"\u200e", 256, ""},
	} {
		if got := Clean(c.in, c.max); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestMaskTitle(t *testing.T) {
	for in, want := range map[string]string{
		"Rate limit hit": "Rate limit hit",
		"Fetching https://media.example/a/447700900123 gave 404 (Not Found)": "Fetching [link] gave 404 (Not Found)",
		"Number 447700900123 is not on the channel":                          "Number [number] is not on the channel",
		strings.Repeat("long ", 60):                                          strings.TrimSpace(strings.Repeat("long ", 25) + "lon"),
	} {
		if got := MaskTitle(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestSecrets: a text that a sender or provider chose leaves only without the
// number or ids it came with, in whatever spelling.
func TestSecrets(t *testing.T) {
	const id = "wamid.SU5WRU5URUQtMDAwMQ=="
	for _, c := range []struct {
		name, text string
		withheld   bool
	}{
		{"number", "to 447700900123", true},
		{"number in groups", "to 44 7700 900-123", true},
		{"national form", "call 07700900123 back", true},
		{"without its country code", "7700900123", true},
		{"the message's id", "re " + id, true},
		{"another message's id", "re=wamid.T1RIRVI", true},
		{"an id that is cut", strings.Repeat("x", 60) + id, true},
		{"somebody else's number", "agent +49 30 1234567", true},
		{"a sum", "1+1 = 2, 10 %", false},
		{"a date", "2026-02-03 spring", false},
		{"another number of ours", "order 20260203", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := testDecoder(t)
			d.Person.AddNumber("447700900123")
			d.MessageKey(id)
			if got := d.Public(c.text, MaxName); (got == "") != c.withheld || (d.res.Stats.Withheld == 1) != c.withheld {
				t.Errorf("got %q, withheld %d", got, d.res.Stats.Withheld)
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
			got, ok := JSONInstant(p.value(t, c.raw))
			if got != c.want || ok != (c.want != 0) {
				t.Errorf("got %d %v, want %d", got, ok, c.want)
			}
		})
	}
}

func TestSplitCallback(t *testing.T) {
	for _, c := range []struct {
		in   string
		want [][2]string
	}{
		{"campaign=a", [][2]string{{"campaign", "a"}}},
		{" campaign = a b ; variant=x=y; ", [][2]string{{"campaign", "a b"}, {"variant", "x=y"}}},
		{"campaign=spring&variant=b", [][2]string{{"campaign", "spring"}, {"variant", "b"}}},
		{"campaign=Early+Bird%21&variant=b%26c", [][2]string{{"campaign", "Early Bird!"}, {"variant", "b&c"}}},
		{"campaign=early%20bird", [][2]string{{"campaign", "early bird"}}},
		{"campaign=Early+Bird", [][2]string{{"campaign", "Early+Bird"}}},
		{"campaign=R&D", [][2]string{{"campaign", "R&D"}}},
		{"campaign=R&D=x;variant=b", [][2]string{{"campaign", "R&D=x"}, {"variant", "b"}}},
		{"campaign=50% off", [][2]string{{"campaign", "50% off"}}},
		{"campaign=a+b;variant=50%25", [][2]string{{"campaign", "a+b"}, {"variant", "50%25"}}},
		{"campaign=", nil},
		{"=a", nil},
		{"aW52ZW50ZWQ=", nil},
		{"aW52ZW50ZW==", nil},
		{"a=1;noise", nil},
		{"what is=this", nil},
		{";;", nil},
		{"", nil},
	} {
		got, ok := splitCallback(c.in)
		if ok != (c.want != nil) || ok && !cmp.Equal(got, c.want) {
			t.Errorf("%q: got %q %v", c.in, got, ok)
		}
	}
}

func TestCampaignPattern(t *testing.T) {
	re, err := CompileCampaignPattern("a|ab")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]bool{"a": true, "ab": true, "abc": false, "xa": false, "ab\n": false} {
		if re.MatchString(in) != want {
			t.Errorf("%q: want %v", in, want)
		}
	}
	for _, broken := range []string{"(", "(?P<campain>a)"} {
		if _, err := CompileCampaignPattern(broken); err == nil {
			t.Errorf("%q compiles", broken)
		}
	}
	if re, err := CompileCampaignPattern(""); re != nil || err != nil {
		t.Error("no expression must be no pattern")
	}
}

// TestCallbackForms: whatever form a sender chose, the same names mean the same.
func TestCallbackForms(t *testing.T) {
	const groups = `(?P<campaign>[a-z]+)/(?P<variant>[ab])?/\d+|camp-[a-z]+`
	type dims = schemas.Dimensions
	for _, c := range []struct {
		name, pattern, raw string
		want               dims
		extra              map[string]string
	}{
		{"text of an object", "", `"{\"campaign\":\"dawn\",\"batch\":7}"`, dims{Campaign: "dawn"}, map[string]string{"batch": "7"}},
		{"object", "", `{"campaign":"dawn","batch":7}`, dims{Campaign: "dawn"}, map[string]string{"batch": "7"}},
		{"empty object", "", `{}`, dims{}, nil},
		{"pairs of a URL", "", `"campaign=dawn&batch=7"`, dims{Campaign: "dawn"}, map[string]string{"batch": "7"}},
		{"list", "", `["campaign=dawn"]`, dims{}, nil},
		{"accent typed apart", "", `{"campaign":"e\u0301te\u0301","segment":"a\u030a"}`, dims{Campaign: "\u00e9t\u00e9", Segment: "\u00e5"}, nil},
		{"marks and spaces around", "", `{"campaign":"\u200b dawn\u00a0\ufeff","variant":"\u2066b\u2069"}`, dims{Campaign: "dawn", Variant: "b"}, nil},
		{"emoji keep their joiners", "", `{"campaign":"\ud83d\udc69\u200d\ud83d\udd2c"}`, dims{Campaign: "\U0001F469\u200d\U0001F52C"}, nil},
		{"a plus before a date", "", `{"campaign":"Dawn +15 2026-03-09","segment":"dusk+20260309"}`, dims{Campaign: "Dawn +15 2026-03-09", Segment: "dusk+20260309"}, nil},
		{"a phone number as a whole", "", `{"campaign":"+49 30 1234567","variant":"0049 (30) 1234567"}`, dims{}, nil},
		{"this person's number", "", `{"campaign":"for 07700 900123","variant":"b"}`, dims{Variant: "b"}, nil},
		{"somebody's number in the free map", "", `{"agent":"call +49 30 1234567","note":"a"}`, dims{}, map[string]string{"note": "a"}},
		{"first empty, then named", "", `{"campaign":"","campaign":"dawn"}`, dims{Campaign: "dawn"}, nil},
		{"bare without a pattern", "", `"job-dawn-17"`, dims{}, nil},
		{"bare and whole", "[a-z]+", `"dawn"`, dims{Campaign: "dawn"}, nil},
		{"bare with groups", groups, `"dawn/b/17"`, dims{Campaign: "dawn", Variant: "b"}, nil},
		{"bare with a group that is empty", groups, `"dawn//17"`, dims{Campaign: "dawn"}, nil},
		{"bare, by the form without groups", groups, `"camp-dawn"`, dims{}, nil},
		{"bare that does not match", groups, `"dawn/c/17"`, dims{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := testDecoder(t)
			var err error
			if d.in.CampaignPattern, err = CompileCampaignPattern(c.pattern); err != nil {
				t.Fatal(err)
			}
			d.Person.AddNumber("447700900123")
			var e schemas.Event
			var p parserOf
			d.CallbackJSON(&e, p.value(t, c.raw))
			if e.Dimensions != c.want || !cmp.Equal(e.Extra, c.extra) {
				t.Errorf("got %+v %v, want %+v %v", e.Dimensions, e.Extra, c.want, c.extra)
			}
			if (e.Dimensions != dims{}) != (e.DimensionSource == schemas.DimensionCallback) {
				t.Errorf("source %d", e.DimensionSource)
			}
		})
	}
}

func FuzzCallback(f *testing.F) {
	for _, s := range []string{`{"campaign":"a","x":1}`, "campaign=a;variant=b", "camp-1", "aW52ZW50ZWQ=", "{", "[1]", `{"a":{"b":[1]}}`, " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		read := func() schemas.Event {
			var e schemas.Event
			var p parserOf
			d := testDecoder(t)
			d.Callback(&e, JSONText(p.value(t, string(new(fastjson.Arena).NewString(s).MarshalTo(nil)))))
			return e
		}
		e := read()
		if diff := cmp.Diff(e, read()); diff != "" {
			t.Error(diff)
		}
		if len(e.Extra) > maxExtra {
			t.Errorf("%d values in the free map", len(e.Extra))
		}
		if (e.Dimensions != schemas.Dimensions{}) != (e.DimensionSource == schemas.DimensionCallback) {
			t.Error("the source of the dimensions is wrong")
		}
		d := e.Dimensions
		texts := []string{d.Campaign, d.Template, d.Variant, d.Segment, d.Language}
		for k, v := range e.Extra {
			texts = append(texts, k, v)
		}
		for _, v := range texts {
			if len(v) > MaxValue || !utf8.ValidString(v) || v != strings.TrimSpace(v) {
				t.Errorf("value %q", v)
			}
		}
	})
}

func BenchmarkPhoneCountry(b *testing.B) {
	for _, c := range []struct{ name, number string }{
		{"one country", "5511987654321"},
		{"shared code, main", "12025550123"},
		{"shared code, other", "18765550123"},
		{"shared code, unassigned", "447700900123"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if phoneCountry(c.number) == "" {
					b.Fatal("no country")
				}
			}
		})
	}
}
