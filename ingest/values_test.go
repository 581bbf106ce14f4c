package ingest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

const aDay = schemas.Instant(86_400_000)

// untold is for tests that look at the events alone.
func untold(string, dimension, int, bool) {}

// named are events of an account with one campaign each.
func named(account string, campaigns ...string) []schemas.Event {
	events := make([]schemas.Event, len(campaigns))
	for i, c := range campaigns {
		events[i].Account, events[i].Dimensions.Campaign = account, c
	}
	return events
}

// flood is n events, each with a campaign that was never there before.
func flood(account string, from, n int) []schemas.Event {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("id-%d", from+i)
	}
	return named(account, names...)
}

func campaignsOf(events []schemas.Event) string {
	var names []string
	for i := range events {
		names = append(names, events[i].Dimensions.Campaign)
	}
	return strings.Join(names, " ")
}

// Two accounts on one source. One of them sends an id per message as campaign; it
// used to turn every campaign that the other used for the first time that day
// into (other).
func TestOneAccountsValuesAreItsOwn(t *testing.T) {
	limits := ValueLimits{Campaign: 10, Template: 10, Variant: 10, Segment: 10, Language: 10, Tuples: 100}
	at := schemas.InstantOf(testNow())
	for _, c := range []struct {
		name   string
		before func(v *values)
		events []schemas.Event
		want   string
	}{
		{"the other account, after the flood", func(v *values) {
			v.cap(at, flood("careless", 0, 500), untold)
		}, named("careful", "spring", "summer"), "spring summer"},
		{"the careless account's own new one is one too many", func(v *values) {
			v.cap(at, flood("careless", 0, 500), untold)
		}, named("careless", "spring"), "(other)"},
		{"what it used before the flood stays", func(v *values) {
			v.cap(at, named("careless", "spring"), untold)
			v.cap(at, flood("careless", 0, 500), untold)
		}, named("careless", "spring"), "spring"},
		{"what it used the day before stays, though the flood came first", func(v *values) {
			v.cap(at-aDay, named("careless", "spring"), untold)
			v.cap(at, flood("careless", 0, 500), untold)
		}, named("careless", "spring", "new"), "spring (other)"},
		{"what it used two days ago does not", func(v *values) {
			v.cap(at-2*aDay, named("careless", "spring"), untold)
			v.cap(at, flood("careless", 0, 500), untold)
		}, named("careless", "spring"), "(other)"},
		{"a day later there is room again", func(v *values) {
			v.cap(at-aDay, flood("careless", 0, 500), untold)
		}, named("careless", "spring"), "spring"},
		{"a body from before midnight does not end the day", func(v *values) {
			v.cap(at, flood("careless", 0, 500), untold)
			v.cap(at-aDay, named("careful", "x"), untold)
		}, named("careless", "spring"), "(other)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newValues(limits)
			c.before(v)
			v.cap(at, c.events, untold)
			if got := campaignsOf(c.events); got != c.want {
				t.Errorf("campaigns %q, want %q", got, c.want)
			}
		})
	}
}

// The same over HTTP: one source, whose webhooks name two accounts.
func TestTwoAccountsOnOneSource(t *testing.T) {
	c := testConfig()
	c.Values.Campaign = 3
	out := newFakeProducer()
	d := open(t, c, out)
	status := func(account, campaign string) []byte {
		return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"2002"},"statuses":[{"id":"wamid.%s-%s","status":"delivered","timestamp":"1790000000","recipient_id":"31600000001","biz_opaque_callback_data":"campaign=%s"}]}}]}]}`,
			account, account, campaign, campaign)
	}
	var got []string
	post := func(account, campaign string) {
		out.answer <- nil
		d.post(t, status(account, campaign))
		for _, r := range <-out.calls {
			e, err := schemas.DecodeEvent(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Account+"/"+e.Dimensions.Campaign+"/"+e.Extra["other.values.campaign"])
		}
	}
	for i := range 5 {
		post("1001", fmt.Sprintf("id%d", i))
	}
	post("1002", "spring")
	if want := "1001/id0/ 1001/id1/ 1001/id2/ 1001/(other)/id3 1001/(other)/id4 1002/spring/"; strings.Join(got, " ") != want {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, " "), want)
	}
	log := d.log.String()
	if strings.Count(log, "too many different values") != 1 || !strings.Contains(log, "account=1001") || !strings.Contains(log, "ingest.values.campaign") {
		t.Errorf("the log says %s", log)
	}
}

// Too many combinations lose their segment first, then template, variant and
// campaign; what was there is in the free map.
func TestTuplesAreCoarsened(t *testing.T) {
	v := newValues(ValueLimits{Campaign: 1000, Template: 1000, Variant: 1000, Segment: 1000, Language: 1000, Tuples: 10})
	at := schemas.InstantOf(testNow())
	full := func(c, te, va, s string) schemas.Dimensions {
		return schemas.Dimensions{Campaign: c, Template: te, Variant: va, Segment: s, Language: "en"}
	}
	const other = schemas.OtherValue
	for i := range 10 {
		e := []schemas.Event{{Account: "a", Dimensions: full("c", "t", "v", fmt.Sprint(i))}}
		if v.cap(at, e, untold); e[0].Extra != nil {
			t.Fatalf("combination %d within the limit: %+v", i, e[0])
		}
	}
	for _, c := range []struct {
		name        string
		given, want schemas.Dimensions
		extra       map[string]string
	}{
		{"one in use", full("c", "t", "v", "3"), full("c", "t", "v", "3"), nil},
		{"the segment goes first", full("c", "t", "v", "new"), full("c", "t", "v", other), map[string]string{"other.tuples.segment": "new"}},
		{"and does so again", full("c", "t", "v", "newer"), full("c", "t", "v", other), map[string]string{"other.tuples.segment": "newer"}},
		{
			"then the template", full("c2", "t2", "v2", "s"), full("c2", other, "v2", other),
			map[string]string{"other.tuples.segment": "s", "other.tuples.template": "t2"},
		},
		{
			"then the variant", full("c3", "t2", "v2", "s"), full("c3", other, other, other),
			map[string]string{"other.tuples.segment": "s", "other.tuples.template": "t2", "other.tuples.variant": "v2"},
		},
		{
			"at last the campaign", full("c4", "t2", "v2", "s"), full(other, other, other, other),
			map[string]string{"other.tuples.segment": "s", "other.tuples.template": "t2", "other.tuples.variant": "v2", "other.tuples.campaign": "c4"},
		},
		{"then all the same", full("c5", "t", "v", "s"), full(other, other, other, other), map[string]string{
			"other.tuples.segment": "s", "other.tuples.template": "t", "other.tuples.variant": "v", "other.tuples.campaign": "c5",
		}},
		{"what is unknown stays so", schemas.Dimensions{Campaign: "c6"}, schemas.Dimensions{Campaign: other}, map[string]string{"other.tuples.campaign": "c6"}},
		{"a language alone is not a combination", schemas.Dimensions{Language: "nl"}, schemas.Dimensions{Language: "nl"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := []schemas.Event{{Account: "a", Dimensions: c.given}}
			e[0].ID = schemas.EventID(&e[0])
			v.cap(at, e, untold)
			if e[0].Dimensions != c.want || fmt.Sprint(e[0].Extra) != fmt.Sprint(c.extra) {
				t.Errorf("got %+v with %v, want %+v with %v", e[0].Dimensions, e[0].Extra, c.want, c.extra)
			}
			if e[0].ID != schemas.EventID(&e[0]) {
				t.Error("the id is not that of the content")
			}
		})
	}
	e := []schemas.Event{{Account: "b", Dimensions: full("c4", "t2", "v2", "s")}}
	if v.cap(at, e, untold); e[0].Extra != nil {
		t.Errorf("another account's combination became %+v", e[0].Dimensions)
	}
}

// 500 campaigns with 9,000 segments made 49,429 combinations of 50,000 messages.
func TestTuplesOfADayAreBounded(t *testing.T) {
	v := newValues(Default().Values)
	at := schemas.InstantOf(testNow())
	for day := range schemas.Instant(4) {
		tuples, campaigns := map[schemas.Dimensions]bool{}, map[string]bool{}
		for i := range 50_000 {
			e := []schemas.Event{{Account: "a", Dimensions: schemas.Dimensions{
				Campaign: fmt.Sprint("c", i%500), Segment: fmt.Sprint("s", day, i*7919%9000),
			}}}
			v.cap(at+day*aDay, e, untold)
			tuples[e[0].Dimensions], campaigns[e[0].Dimensions.Campaign] = true, true
		}
		if len(tuples) > 14_000 || len(campaigns) != 500 || campaigns[schemas.OtherValue] {
			t.Errorf("day %d: %d combinations and %d campaigns, want at most 14,000 and all 500", day, len(tuples), len(campaigns))
		}
	}
	if n := v.mu.accounts["a"].size(); n != v.mu.hashes || n > 100_000 {
		t.Errorf("%d hashes held, counted %d", n, v.mu.hashes)
	}
}

// All accounts together are bounded too, and the room goes to the account that
// has less.
func TestHashesOfAllAccountsAreBounded(t *testing.T) {
	v := newValues(ValueLimits{Campaign: 1000, Template: 1, Variant: 1, Segment: 1, Language: 1, Tuples: 2000})
	v.most = 400
	at := schemas.InstantOf(testNow())
	v.cap(at, flood("a", 0, 1000), untold)
	if n := v.mu.hashes; n > 402 {
		t.Errorf("%d hashes, at most 400", n)
	}
	small := named("b", "spring")
	v.cap(at, small, untold)
	if got := campaignsOf(small); got != "spring" {
		t.Errorf("an account with less than its share: %q", got)
	}
}
