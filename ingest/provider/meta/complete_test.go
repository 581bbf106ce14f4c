package meta

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// summary says of every event and letter what a table can hold: type, raw name,
// road, category, campaign, and the number of identities.
func summary(r *provider.Result) []string {
	var out []string
	for i := range r.Events {
		e := &r.Events[i]
		parts := []string{e.Type.String()}
		for _, s := range []string{e.RawName, e.Road, e.Country, e.Dimensions.Campaign} {
			if s != "" {
				parts = append(parts, s)
			}
		}
		if e.Failure != nil {
			parts = append(parts, e.Failure.Category)
		}
		if n := len(e.ContactKeys); n > 0 {
			parts = append(parts, fmt.Sprintf("%d", n))
		}
		out = append(out, strings.Join(parts, " "))
	}
	for i := range r.Letters {
		out = append(out, "letter "+r.Letters[i].Reason+" "+r.Letters[i].Where)
	}
	return out
}

// inChange is a body with one change.
func inChange(field, value string) string {
	return fmt.Sprintf(`{"entry":[{"id":"900000000000101","time":1790000000,"changes":[{"field":%q,"value":%s}]}]}`, field, value)
}

const (
	aSent  = `{"id":"wamid.SU5WRU5URUQtMDAwMQ==","status":"sent","timestamp":"1790000000","recipient_id":"447700900123"}`
	aRead  = `{"id":"wamid.SU5WRU5URUQtMDAwMg==","status":"read","timestamp":"1790000001","recipient_id":"447700900124"}`
	aStop  = `{"id":"wamid.SU5WRU5URUQtMDAwMw==","from":"447700900123","timestamp":"1790000002","type":"text","text":{"body":"Stop"}}`
	noTime = `"timestamp":"1790000000"`
)

// TestListForms: a list is read in whatever form a relay gives it, and what is
// none leaves a trace.
func TestListForms(t *testing.T) {
	both := []string{"sent GB 1", "read GB 1"}
	for _, c := range []struct {
		name, body string
		want       []string
	}{
		{"array", inChange("messages", `{"statuses":[`+aSent+`,`+aRead+`]}`), both},
		{"numbered", inChange("messages", `{"statuses":{"0":`+aSent+`,"1":`+aRead+`}}`), both},
		{"numbered in another order", inChange("messages", `{"statuses":{"10":`+aRead+`,"9":`+aSent+`}}`), both},
		{"a single one", inChange("messages", `{"statuses":`+aSent+`}`), []string{"sent GB 1"}},
		{"a single one that is wrong", inChange("messages", `{"statuses":{"status":"sent"}}`), []string{"letter no_message_id /entry/0/changes/0/value/statuses"}},
		{"numbered and wrong", inChange("messages", `{"statuses":{"4":7}}`), []string{"letter bad_item /entry/0/changes/0/value/statuses/4"}},
		{"null", inChange("messages", `{"statuses":null}`), nil},
		{"empty", inChange("messages", `{"statuses":[]}`), nil},
		{"empty object", inChange("messages", `{"statuses":{}}`), []string{"letter no_message_id /entry/0/changes/0/value/statuses"}},
		{"text", inChange("messages", `{"statuses":"none"}`), []string{"letter bad_item /entry/0/changes/0/value/statuses"}},
		{"a single message", inChange("messages", `{"messages":`+aStop+`}`), []string{"opted_out word GB 1"}},
		{"one contact in the list's place", inChange("messages", `{"contacts":{"wa_id":"447700900123","user_id":"GB.7700INVENTED0001"},"statuses":[`+aSent+`]}`), []string{"sent GB 2"}},
		{"one error in the list's place", inChange("messages", `{"statuses":[{"id":"wamid.SU5WRU5URUQtMDAwMQ==","status":"failed",`+noTime+`,"errors":{"code":131049}}]}`), []string{"failed marketing_cap"}},
		{"one entry, one change", `{"entry":{"id":"900000000000101","changes":{"field":"messages","value":{"statuses":[` + aSent + `]}}}}`, []string{"sent GB 1"}},
		{"numbered changes", `{"entry":{"0":{"id":"900000000000101","changes":{"0":{"value":{"statuses":[` + aSent + `]}}}}}}`, []string{"sent GB 1"}},
		{"changes that are text", `{"entry":[{"id":"900000000000101","changes":"none"}]}`, []string{"letter bad_item /entry/0"}},
		{"an entry that is text", `{"entry":"none"}`, []string{"letter bad_envelope "}},
		{"an entry that is null", `{"entry":null}`, []string{"letter bad_envelope "}},
		{"byte order mark", "\xef\xbb\xbf" + inChange("messages", `{"statuses":[`+aSent+`]}`), []string{"sent GB 1"}},
		{"byte order mark alone", "\xef\xbb\xbf", nil},
		{"two byte order marks", "\xef\xbb\xbf\xef\xbb\xbf{}", []string{"letter not_json "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := decode(t, []byte(c.body))
			if diff := cmp.Diff(c.want, summary(&r)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestStandby: what stands one level deeper while an agent of Meta's talks counts
// as it does elsewhere, and what the agent wrote does not.
func TestStandby(t *testing.T) {
	const meta = `"metadata":{"phone_number_id":"800000000000201"}`
	echo := `"message_echoes":[` + strings.Replace(aStop, `"from"`, `"to":"447700900123","from"`, 1) + `]`
	for _, c := range []struct {
		name, value string
		want        []string
	}{
		{"status", `{` + meta + `,"standby":{"statuses":[` + aSent + `]}}`, []string{"sent GB 1"}},
		{"stop", `{` + meta + `,"standby":{"messages":[` + aStop + `]}}`, []string{"opted_out word GB 1"}},
		{"the number inside", `{"standby":{` + meta + `,"statuses":[` + aSent + `]}}`, []string{"sent GB 1"}},
		{"contacts inside", `{` + meta + `,"standby":{"contacts":[{"wa_id":"447700900123","user_id":"GB.7700INVENTED0001"}],"statuses":[` + aSent + `]}}`, []string{"sent GB 2"}},
		{"a wrong item", `{` + meta + `,"standby":{"statuses":["x"]}}`, []string{"letter bad_item /entry/0/changes/0/value/standby/statuses/0"}},
		{"echo", `{` + meta + `,"standby":{` + echo + `}}`, []string{"other standby"}},
		{"echo beside a status", `{` + meta + `,"standby":{` + echo + `,"statuses":[` + aSent + `]}}`, []string{"sent GB 1"}},
		{"both levels", `{` + meta + `,"statuses":[` + aRead + `],"standby":{"statuses":[` + aSent + `]}}`, []string{"read GB 1", "sent GB 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := decode(t, []byte(inChange("standby", c.value)))
			if diff := cmp.Diff(c.want, summary(&r)); diff != "" {
				t.Error(diff)
			}
			if r.Stats.Misplaced != 0 {
				t.Errorf("%d lists misplaced", r.Stats.Misplaced)
			}
			for _, e := range r.Events {
				if e.Type != schemas.TypeOther && e.Sender != "800000000000201" {
					t.Errorf("sender %q", e.Sender)
				}
			}
		})
	}
}

// TestMisplaced: a list that moved is not read, and not overlooked either.
func TestMisplaced(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"where they belong", inChange("messages", `{"statuses":[`+aSent+`],"messages":[`+aStop+`]}`), 0},
		{"one deeper under another name", inChange("handover", `{"agent":{"statuses":[`+aSent+`]}}`), 1},
		{"two deeper", inChange("handover", `{"a":{"b":[{"messages":[`+aStop+`],"statuses":[]}]}}`), 2},
		{"deeper in standby", inChange("standby", `{"standby":{"inner":{"statuses":[`+aSent+`]}}}`), 1},
		{"standby in standby", inChange("standby", `{"standby":{"standby":{"statuses":[`+aSent+`]}}}`), 1},
		{"beside the value", `{"entry":[{"id":"900000000000101","changes":[{"field":"messages","value":{},"statuses":[` + aSent + `]}]}]}`, 1},
		{"history", inChange("history", `{"history":[{"threads":[{"messages":[`+aStop+`]}]}]}`), 0},
		{"echoes", inChange("smb_message_echoes", `{"message_echoes":[{"messages":[]}]}`), 0},
		{"a number of that name", inChange("account_update", `{"limits":{"messages":250}}`), 0},
		{"far too deep", inChange("x", `{"a":{"b":{"c":{"d":{"e":{"statuses":[]}}}}}}`), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := decode(t, []byte(c.body)); r.Stats.Misplaced != c.want {
				t.Errorf("got %d, want %d", r.Stats.Misplaced, c.want)
			}
		})
	}
}

// TestStatusParts: fields that moved, and kinds that are not a message's.
func TestStatusParts(t *testing.T) {
	status := func(rest string) string {
		return inChange("messages", `{"statuses":[{"id":"wamid.SU5WRU5URUQtMDAwMQ==",`+noTime+`,`+rest+`}]}`)
	}
	failed := func(code string) string { return status(`"status":"failed","errors":[{"code":` + code + `}]`) }
	for _, c := range []struct {
		name, body, want string
	}{
		{"recipient beside the message", status(`"status":"sent","message":{"recipient_id":"447700900123"}`), "sent GB 1"},
		{"recipient's scoped id there", status(`"status":"sent","message":{"recipient_user_id":"GB.7700INVENTED0001"}`), "sent GB 1"},
		{"recipient in both places", status(`"status":"sent","recipient_id":"447700900123","message":{"recipient_id":"447700900123"}`), "sent GB 1"},
		{"type message", status(`"status":"sent","type":"message"`), "sent"},
		{"a call that failed", status(`"status":"failed","type":"call"`), "other call.failed"},
		{"a payment that was read", status(`"status":"read","type":"payment"`), "other payment.read"},
		{"an unheard-of kind", status(`"status":"delivered","type":"parcel"`), "other parcel.delivered"},
		{"callback as an object", status(`"status":"sent","biz_opaque_callback_data":{"campaign":"dawn"}`), "sent dawn"},
		{"callback as a query", status(`"status":"sent","biz_opaque_callback_data":"campaign=dawn&variant=b"`), "sent dawn"},
		{"template's parameters", failed("132018"), "failed template"},
		{"parameter missing", failed("131008"), "failed request"},
		{"parameter wrong", failed("131009"), "failed request"},
		{"parameter invalid", failed(`"100"`), "failed request"},
		{"to oneself", failed("131021"), "failed request"},
		{"unknown code", failed("135000"), "failed other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := decode(t, []byte(c.body))
			if diff := cmp.Diff([]string{c.want}, summary(&r)); diff != "" {
				t.Error(diff)
			}
			if e := r.Events[0]; e.Type == schemas.TypeOther && (e.Cost != nil || e.Failure != nil) {
				t.Errorf("counted in part: %+v", e)
			}
		})
	}
	r := decode(t, []byte(status(`"status":"sent","type":"call","pricing":{"billable":true,"category":"x"}`)))
	if r.Events[0].Cost != nil {
		t.Error("a call's price became the message's cost")
	}
}

// TestInboundParts: what was answered under an older name, and who a notice is
// about.
func TestInboundParts(t *testing.T) {
	message := func(rest string) string {
		return inChange("messages", `{"messages":[{"id":"wamid.SU5WRU5URUQtMDAwMw==",`+noTime+`,`+rest+`}]}`)
	}
	for _, c := range []struct {
		name, body, want string
	}{
		{"unsupported", message(`"type":"unsupported","errors":[{"code":131051}]`), "replied"},
		{"unknown, not shown", message(`"type":"unknown","errors":[{"code":131051}]`), "replied"},
		{"unknown, code as text", message(`"type":"unknown","errors":{"code":"131051"}`), "replied"},
		{"unknown for another reason", message(`"type":"unknown","errors":[{"code":131000}]`), "other unknown"},
		{"unknown without a reason", message(`"type":"unknown"`), "other unknown"},
		{"an edit that is not shown", message(`"type":"unknown","unknown":{"type":"edit"},"errors":[{"code":131051}]`), "other unknown"},
		{"number changed", message(`"type":"system","from":"447700900123","system":{"type":"user_changed_number","wa_id":"447700900124"}`), "other system.user_changed_number GB 2"},
		{"number changed, older name", message(`"type":"system","from":"447700900123","system":{"type":"user_changed_number","new_wa_id":"447700900124"}`), "other system.user_changed_number GB 2"},
		{"id changed", message(`"type":"system","system":{"type":"user_changed_user_id","user_id":"GB.7700INVENTED0009","previous_user_id":"GB.7700INVENTED0001"}`), "other system.user_changed_user_id GB 2"},
		{"ids of all kinds changed", message(`"type":"system","from":"447700900123","system":{"type":"user_changed_user_id","user_id":"GB.7700INVENTED0009","previous_user_id":"GB.7700INVENTED0001","parent_user_id":"GB.ENT.77009","previous_parent_user_id":"GB.ENT.77001"}`), "other system.user_changed_user_id GB 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := decode(t, []byte(c.body))
			if diff := cmp.Diff([]string{c.want}, summary(&r)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoticeDetails: a notice says what became of the template, number or account,
// and never the number.
func TestNoticeDetails(t *testing.T) {
	for _, c := range []struct {
		field, value string
		want         map[string]string
	}{
		{"message_template_quality_update", `{"previous_quality_score":"YELLOW","new_quality_score":"GREEN","message_template_name":"offer_v2"}`, map[string]string{"previous_quality_score": "YELLOW", "new_quality_score": "GREEN"}},
		{"template_category_update", `{"previous_category":"MARKETING","new_category":"UTILITY"}`, map[string]string{"previous_category": "MARKETING", "new_category": "UTILITY"}},
		{"phone_number_quality_update", `{"display_phone_number":"442079460991","event":"UPGRADE","old_limit":"TIER_10K","current_limit":"TIER_100K"}`, map[string]string{"old_limit": "TIER_10K", "current_limit": "TIER_100K"}},
		{"message_template_status_update", `{"event":"REJECTED","reason":"TAG_CONTENT_MISMATCH","rejection_info":{"reason":"other"}}`, map[string]string{"reason": "TAG_CONTENT_MISMATCH"}},
		{"account_update", `{"event":"ACCOUNT_RESTRICTION","violation_info":{"violation_type":"SPAM"},"restriction_info":[{"restriction_type":"RESTRICTED_BIZ_MESSAGING","expiration":1}]}`, map[string]string{"violation_type": "SPAM", "restriction_type": "RESTRICTED_BIZ_MESSAGING"}},
		{"phone_number_name_update", `{"display_phone_number":"442079460991","decision":"DEFERRED","requested_verified_name":"Nadia Example","rejection_reason":null}`, map[string]string{"decision": "DEFERRED"}},
		{"account_alerts", `{"display_phone_number":"442079460991"}`, nil},
	} {
		t.Run(c.field, func(t *testing.T) {
			r := decode(t, []byte(inChange(c.field, c.value)))
			if len(r.Events) != 1 || r.Events[0].Type != schemas.TypeQuality {
				t.Fatalf("got %+v", r)
			}
			if diff := cmp.Diff(c.want, r.Events[0].Extra); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestComing: whoever comes back by answering a message has answered it; whoever
// leaves has not.
func TestComing(t *testing.T) {
	const quoting = `,"context":{"id":"wamid.SU5WRU5URUQtMDAwMQ=="}`
	button := func(label, payload string) string {
		return fmt.Sprintf(`"type":"button","button":{"text":%q,"payload":%q}`, label, payload)
	}
	text := func(body string) string { return fmt.Sprintf(`"type":"text","text":{"body":%q}`, body) }
	for _, c := range []struct {
		name, message string
		want          []string
	}{
		{"button", button("Start", "TOUR") + quoting, []string{"clicked", "opted_in button"}},
		{"button by its payload", button("Los geht's", "subscribe") + quoting, []string{"clicked", "opted_in button"}},
		{"row of a list", `"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"7","title":"Subscribe"}}` + quoting, []string{"clicked", "opted_in button"}},
		{"button that names no message", button("Start", "TOUR"), []string{"opted_in button"}},
		{"word that quotes", text("Start!") + quoting, []string{"replied", "opted_in word"}},
		{"word alone", text("Start!"), []string{"opted_in word"}},
		{"leaving by a button", button("Stop", "X") + quoting, []string{"opted_out button"}},
		{"leaving by a word that quotes", text("stop") + quoting, []string{"opted_out word"}},
		{"another button", button("Tell me more", "MORE") + quoting, []string{"clicked"}},
		{"a sentence with the word", text("when do we start?") + quoting, []string{"replied"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := decode(t, []byte(inChange("messages", `{"messages":[{"id":"wamid.SU5WRU5URUQtMDAwMw==",`+noTime+`,`+c.message+`}]}`)))
			if diff := cmp.Diff(c.want, summary(&r)); diff != "" {
				t.Error(diff)
			}
			for _, e := range r.Events {
				if e.InboundKey != r.Events[0].InboundKey || e.MessageKey != r.Events[0].MessageKey || e.InboundKey.IsZero() {
					t.Errorf("keys of %+v", e)
				}
				if (e.Click != nil) != (e.Type == schemas.TypeClicked) || (e.Road != "") != (e.Type == schemas.TypeOptedOut || e.Type == schemas.TypeOptedIn) {
					t.Errorf("parts of %+v", e)
				}
			}
		})
	}
}
