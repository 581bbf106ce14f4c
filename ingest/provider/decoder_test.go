package provider

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"maps"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// TestEmit: what the general half adds to an event, and what it refuses.
func TestEmit(t *testing.T) {
	const day = 24 * 3600_000
	for _, c := range []struct {
		name    string
		at      schemas.Instant
		want    schemas.Instant
		clamped int
		letter  string
	}{
		{"now", testNow, testNow, 0, ""},
		{"earlier", testNow - day, testNow - day, 0, ""},
		{"as old as may be", testNow - 10*day, testNow - 10*day, 0, ""},
		{"older", testNow - 10*day - 1, 0, 0, ReasonTooOld},
		{"after us", testNow + 1, testNow, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := testDecoder(t)
			d.Account, d.Sender = "7", "sender"
			d.Emit(Item{Raw: []byte("raw"), Pointer: "here"}, schemas.Event{Type: schemas.TypeRead, OccurredAt: c.at})
			r := d.Result()
			if c.letter != "" {
				if len(r.Events) != 0 || len(r.Letters) != 1 || r.Letters[0].Reason != c.letter || r.Letters[0].Where != "here" || string(r.Letters[0].Item) != "raw" {
					t.Errorf("got %+v", r)
				}
				return
			}
			if len(r.Events) != 1 || len(r.Letters) != 0 || r.Stats.Clamped != c.clamped {
				t.Fatalf("got %+v", r)
			}
			e := r.Events[0]
			if e.OccurredAt != c.want || e.Channel != "post" || e.Account != "7" || e.Sender != "sender" || e.ReceivedAt != testNow || e.SourceRevision != 3 {
				t.Errorf("got %+v", e)
			}
			if e.Clamped != (c.clamped > 0) {
				t.Errorf("clamped: %t", e.Clamped)
			}
			if e.OccurredAt = c.at; e.ID != schemas.EventID(&e) { // the provider's own time
				t.Error("the id is not of the content")
			}
		})
	}
}

// TestMarks: an event says how many texts of its item were left out or cut, and those
// of the next item nothing of it.
func TestMarks(t *testing.T) {
	d := testDecoder(t)
	d.Account = "7"
	d.Begin()
	d.Person.Hide("4930231250001")
	e := schemas.Event{Type: schemas.TypeRead, OccurredAt: testNow}
	d.Note(&e, "number", d.Public("call 4930231250001", MaxValue))
	d.Note(&e, "long", d.Public(strings.Repeat("ä", MaxValue), MaxValue))
	d.Note(&e, "padded", d.Public(strings.Repeat(" ", MaxValue)+"x", MaxValue))
	kept := maps.Clone(e.Extra)
	d.Emit(Item{}, e)
	if !maps.Equal(e.Extra, kept) {
		t.Error("the caller's map was changed")
	}
	d.Begin()
	d.Emit(Item{}, schemas.Event{Type: schemas.TypeRead, OccurredAt: testNow})
	events := d.Result().Events
	if x := events[0].Extra; x[schemas.MarkWithheld] != "1" || x[schemas.MarkCut] != "1" || x["padded"] != "x" {
		t.Errorf("marks %v", x)
	}
	if len(events[1].Extra) > 0 {
		t.Errorf("the next item has %v", events[1].Extra)
	}
}

// TestOwnID: within one account of one provider, the event's id is made of the
// provider's own id alone.
func TestOwnID(t *testing.T) {
	id := func(account, own string, at schemas.Instant) schemas.Key {
		d := testDecoder(t)
		d.Account = account
		d.Emit(Item{OwnID: own}, schemas.Event{Type: schemas.TypeRead, OccurredAt: at})
		return d.Result().Events[0].ID
	}
	first := id("7", "e-1", testNow)
	for _, c := range []struct {
		name string
		got  schemas.Key
		same bool
	}{
		{"another time", id("7", "e-1", testNow-5000), true},
		{"another id", id("7", "e-2", testNow), false},
		{"another account", id("8", "e-1", testNow), false},
		{"none", id("7", "", testNow), false},
	} {
		if (c.got == first) != c.same {
			t.Errorf("%s: %s beside %s", c.name, c.got, first)
		}
	}
}

// TestChannelOfAnItem: a provider of several channels says which one an item is
// of, and a message's key is of that channel.
func TestChannelOfAnItem(t *testing.T) {
	d := testDecoder(t)
	d.Account = "7"
	for _, channel := range []schemas.Channel{"post", "wire"} {
		d.Begin()
		d.Channel = channel
		d.Emit(Item{}, schemas.Event{Type: schemas.TypeRead, OccurredAt: testNow, MessageKey: d.MessageKey("0815")})
	}
	for i, channel := range []schemas.Channel{"post", "wire"} {
		e := d.Result().Events[i]
		if e.Channel != channel || e.MessageKey != schemas.MessageKey(channel, "7", "0815") {
			t.Errorf("event %d: channel %q, key %s", i, e.Channel, e.MessageKey)
		}
	}
}

// TestBegin: the people of one item are not carried over to the next.
func TestBegin(t *testing.T) {
	d := testDecoder(t)
	d.Person.AddNumber("447700900123")
	d.Emit(Item{}, schemas.Event{Type: schemas.TypeRead, OccurredAt: testNow})
	d.Begin()
	d.Emit(Item{}, schemas.Event{Type: schemas.TypeRead, OccurredAt: testNow})
	if e := d.Result().Events; len(e[0].ContactKeys) != 1 || e[0].Country != "GB" || len(e[1].ContactKeys) != 0 || e[1].Country != "" {
		t.Errorf("got %+v", e)
	}
	if got := d.Public("7700900123", MaxName); got != "7700900123" {
		t.Errorf("the number of an earlier item is withheld: %q", got)
	}
}

// TestLetterCopies: a letter outlives the body it was cut from.
func TestLetterCopies(t *testing.T) {
	d, body := testDecoder(t), []byte("not to be decoded")
	d.LetterAt("", ReasonBadEnvelope, "of no known form", body)
	clear(body)
	if got := d.Result().Letters[0].Item; !bytes.Equal(got, []byte("not to be decoded")) {
		t.Errorf("kept %q", got)
	}
}

func TestRegistry(t *testing.T) {
	a, b := &named{name: "a"}, &named{name: "b"}
	r := NewRegistry(a, b)
	if r.Find("b") != b || r.Find("c") != nil || r.Names() != "a, b" {
		t.Errorf("b is %v, c is %v, all are %q", r.Find("b"), r.Find("c"), r.Names())
	}
	var none Registry
	if none.Find("") != nil || none.Names() != "" {
		t.Error("the zero registry knows a provider")
	}
	defer func() {
		if said, ok := recover().(string); !ok || !strings.Contains(said, `BUG: two providers are named "a"`) {
			t.Errorf("panicked with %q", said)
		}
	}()
	NewRegistry(a, &named{name: "a"})
}

type named struct {
	Provider
	name string
}

func (n *named) Name() string { return n.name }

func TestCheckSecrets(t *testing.T) {
	for _, c := range []struct {
		name    string
		secrets []string
		want    string
	}{
		{"one", []string{"a"}, ""},
		{"several", []string{"a", "b"}, ""},
		{"none", nil, "secrets: none given; look there"},
		{"one is empty", []string{"a", ""}, "secrets: one is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := (&Settings{Secrets: c.secrets}).CheckSecrets("look there"); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestLetterDigest: equal items are equal, and without the pepper nobody finds
// what they say by trying.
func TestLetterDigest(t *testing.T) {
	digest := func(pepper, item string) schemas.Key {
		d := testDecoder(t)
		in := *d.in
		in.Pepper = []byte(pepper)
		d = d.dialect.NewDecoder(&Request{ReceivedAt: testNow}, &in)
		d.Person.AddNumber("447700900456") // whoever was named before changes nothing
		d.Letter(Item{Raw: []byte(item)}, ReasonBadItem, "not an object")
		return d.Result().Letters[0].Digest
	}
	const phone = "447700900123"
	first := digest("one pepper", phone)
	unkeyed := sha256.Sum256([]byte(phone))
	for name, c := range map[string]struct {
		other schemas.Key
		same  bool
	}{
		"the same item":     {digest("one pepper", phone), true},
		"another item":      {digest("one pepper", phone+" "), false},
		"another pepper":    {digest("another pepper", phone), false},
		"no key at all":     {schemas.Key(unkeyed[:16]), false},
		"parts of no key":   {schemas.DigestKey("letter", phone), false},
		"the person's key":  {keyed(hmac.New(sha256.New, []byte("one pepper")), []byte("phone"), []byte(phone)), false},
		"nothing to digest": {digest("one pepper", ""), false},
	} {
		if (c.other == first) != c.same {
			t.Errorf("%s: %s beside %s", name, c.other, first)
		}
	}
	if got := digest("one pepper", ""); !got.IsZero() {
		t.Errorf("no item has the digest %s", got)
	}
}

// TestOwnIDIsKeyed: a provider's id of an event can be a phone number and a date.
func TestOwnIDIsKeyed(t *testing.T) {
	d := testDecoder(t)
	d.Account = "7"
	d.Emit(Item{OwnID: "447700900123"}, schemas.Event{Type: schemas.TypeRead, OccurredAt: testNow})
	if got := d.Result().Events[0].ID; got == schemas.DigestKey("test", "7", "447700900123") {
		t.Errorf("the id %s can be found without the pepper", got)
	}
}
