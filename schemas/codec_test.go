package schemas

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func fullEvent() Event {
	e := Event{
		Type: TypeFailed, Channel: ChannelWhatsApp, Account: "200300400", Sender: "700800",
		MessageKey: MessageKey(ChannelWhatsApp, "200300400", "wamid.invented"), InboundKey: Key{3},
		ContactKeys: []Key{{1}, {2}}, OccurredAt: 1_790_000_000_000, ReceivedAt: 1_790_000_003_500,
		Dimensions: Dimensions{"spring", "hello_v2", "b", "loyal", "nl"}, DimensionSource: DimensionCallback,
		Country: "NL", Extra: map[string]string{"order": "17", "batch": "3"},
		Failure: &Failure{131049, FailCapped, "not delivered"},
		Cost:    &Cost{"marketing", true, true, 81_400, "EUR"},
		Click:   &Click{"button", "more"}, RawName: "failed", Road: RoadWord, MayBeOptOut: true, SourceRevision: 1,
	}
	e.ID = EventID(&e)
	return e
}

func fullPane() Pane {
	return Pane{
		Epoch: 1, Source: 3, Minute: 1_790_000_040, Version: 99, DClock: 1_790_000_100_000,
		Tuple: Tuple{"200300400", ChannelWhatsApp, "700800", "NL", "spring", "hello_v2", "b", "loyal"},
		Counts: Counts{
			Sent: 9, Outcomes: Histograms{OutcomeDelivered: {5, 1}, OutcomeFailed: {0, 2, -1}, OutcomeOptedOut: {11: 1}}, Recovered: 1, Late: 2,
			Failures: map[string]int64{FailCapped: 1}, CostMicros: map[string]int64{"EUR": 732_600}, Billable: map[string]int64{"marketing": 6},
		},
	}
}

func fullSeries() Series {
	return Series{"200300400", GroupCampaignVariant, ChannelWhatsApp, "", "spring", "b"}
}

func TestRoundTrip(t *testing.T) {
	same := func(t *testing.T, want, got any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	}
	t.Run("event", func(t *testing.T) {
		e := fullEvent()
		got, err := DecodeEvent(EncodeEvent(&e))
		same(t, e, got, err)
	})
	t.Run("pane", func(t *testing.T) {
		p := fullPane()
		got, err := DecodePane(EncodePane(&p))
		same(t, p, got, err)
	})
	t.Run("progress", func(t *testing.T) {
		p := shutProgress()
		got, err := DecodeProgress(EncodeProgress(&p))
		same(t, p, got, err)
	})
	t.Run("rate", func(t *testing.T) {
		r := Rate{1, fullSeries(), 60, 1800, 1_790_000_040, 5, 1_790_000_000_000, Totals{10, ByOutcome{9, 8, 7, 6, 5, 4, 3, 2, 1}}, true}
		got, err := DecodeRate(EncodeRate(&r))
		same(t, r, got, err)
	})
	t.Run("transition", func(t *testing.T) {
		x := Transition{1, "opt-out-swell", fullSeries(), 1_790_000_040, 1_790_000_100, StateFiring, SeverityPage, "opened", "opt_out_rate", 900, 60, 1800, 0.03, "project default", 9.5, 9.2, 1_789_999_980, "SELECT 1", true, 11, 1_790_000_000_000}
		got, err := DecodeTransition(EncodeTransition(&x))
		same(t, x, got, err)
	})
	t.Run("dead letter", func(t *testing.T) {
		d := DeadLetter{"ingest", "main", "meta", "bad_timestamp", "timestamp is no number", "/entry/0", 1_790_000_000_000, []byte{1}, Key{9, 8, 7}, "acc"}
		got, err := DecodeDeadLetter(EncodeDeadLetter(&d))
		same(t, d, got, err)
	})
}

// TestEventIDGolden pins the canonical encoding: an id that changes makes every
// provider's retry a new event.
func TestEventIDGolden(t *testing.T) {
	e := fullEvent()
	small := Event{Type: TypeSent, Channel: ChannelWhatsApp, Account: "a", OccurredAt: 1000}
	for name, c := range map[string]struct {
		event Event
		want  string
	}{
		"every field":  {e, "a3d394be933f9af023a6d7eb8cf205fb"},
		"but the mark": {unmarked(e), "ce54715f0c531b12570995fa5624325b"},
		"least fields": {small, "6be18504a6a4b3efda9f34e020e93e82"},
	} {
		if got := EventID(&c.event).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestEventIDSays(t *testing.T) {
	base := fullEvent()
	id := EventID(&base)
	same := map[string]func(*Event){
		"received later":       func(e *Event) { e.ReceivedAt += 5 },
		"newer decoder":        func(e *Event) { e.SourceRevision++ },
		"contacts reordered":   func(e *Event) { e.ContactKeys = []Key{{2}, {1}} },
		"the id itself":        func(e *Event) { e.ID = Key{9} },
		"extra as a fresh map": func(e *Event) { e.Extra = map[string]string{"batch": "3", "order": "17"} },
	}
	for name, change := range same {
		e := fullEvent()
		change(&e)
		if EventID(&e) != id {
			t.Errorf("%s: id changed", name)
		}
	}
	other := map[string]func(*Event){
		"type":          func(e *Event) { e.Type = TypeSent },
		"time":          func(e *Event) { e.OccurredAt-- },
		"account":       func(e *Event) { e.Account += "0" },
		"field moved":   func(e *Event) { e.Dimensions.Campaign, e.Dimensions.Template = "", "spring" },
		"failure code":  func(e *Event) { e.Failure.Code++ },
		"cost":          func(e *Event) { e.Cost.Micros++ },
		"extra":         func(e *Event) { e.Extra["order"] = "18" },
		"one contact":   func(e *Event) { e.ContactKeys = e.ContactKeys[:1] },
		"no click":      func(e *Event) { e.Click = nil },
		"source":        func(e *Event) { e.DimensionSource = DimensionDispatched },
		"inbound other": func(e *Event) { e.InboundKey = Key{4} },
	}
	for name, change := range other {
		e := fullEvent()
		change(&e)
		if EventID(&e) == id {
			t.Errorf("%s: id did not change", name)
		}
	}
}

func TestDecodeRejects(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Event)
		want   string
	}{
		"no id":              {func(e *Event) { e.ID = Key{} }, "event_id"},
		"unknown type":       {func(e *Event) { e.Type = 200 }, "unknown type"},
		"no account":         {func(e *Event) { e.Account = "" }, "account"},
		"from the future":    {func(e *Event) { e.OccurredAt = e.ReceivedAt + 1 }, "times"},
		"no time":            {func(e *Event) { e.OccurredAt = 0 }, "times"},
		"unknown dim source": {func(e *Event) { e.DimensionSource = 9 }, "dimension source"},
	} {
		e := fullEvent()
		c.change(&e)
		if _, err := DecodeEvent(EncodeEvent(&e)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	p := fullPane()
	p.Minute++
	if _, err := DecodePane(EncodePane(&p)); err == nil {
		t.Error("pane off the minute: no error")
	}
}

func TestInvalidTextIsMended(t *testing.T) {
	e := fullEvent()
	e.Dimensions.Campaign = "sp\xffring"
	got, err := DecodeEvent(EncodeEvent(&e))
	if err != nil || got.Dimensions.Campaign != "sp\uFFFDring" {
		t.Errorf("campaign %q, error %v", got.Dimensions.Campaign, err)
	}
}

func TestBuckets(t *testing.T) {
	for _, c := range []struct {
		delay  int64
		bucket int
		ok     bool
	}{
		{-5, 0, true},
		{0, 0, true},
		{60, 0, true},
		{61, 1, true},
		{1800, 3, true},
		{1801, 4, true},
		{HorizonSeconds, 11, true},
		{HorizonSeconds + 1, 0, false},
	} {
		if b, ok := BucketOf(c.delay); b != c.bucket || ok != c.ok {
			t.Errorf("BucketOf(%d) = %d, %v", c.delay, b, ok)
		}
	}
	h := Histogram{1, 2, 3, 4, -1}
	if h.Upto(1800) != 10 || h.Upto(3600) != 9 || h.Total() != 9 || h.Upto(0) != 0 {
		t.Errorf("prefix sums: %d %d %d", h.Upto(1800), h.Upto(3600), h.Total())
	}
}

func TestCountsAddAndTakeAway(t *testing.T) {
	p := fullPane()
	var c Counts
	c.Add(&p.Counts, 1)
	c.Add(&p.Counts, 1)
	c.Add(&p.Counts, -1)
	if d := cmp.Diff(p.Counts, c); d != "" {
		t.Error(d)
	}
	c.Add(&p.Counts, -1)
	if d := cmp.Diff(Counts{}, c, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func TestInstantSecondsRoundDown(t *testing.T) {
	for in, want := range map[Instant]int64{0: 0, 999: 0, 1000: 1, -1: -1, -1000: -1, -1001: -2} {
		if got := in.Seconds(); got != want {
			t.Errorf("%d ms = %d s, want %d", in, got, want)
		}
	}
}

// fuzzDecode checks that what decodes encodes to a fixed point.
func fuzzDecode[T any](f *testing.F, seed []byte, decode func([]byte) (T, error), encode func(*T) []byte) {
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			return
		}
		once := encode(&v)
		again, err := decode(once)
		if err != nil {
			t.Fatalf("what was decoded does not decode again: %v", err)
		}
		if string(encode(&again)) != string(once) {
			t.Fatal("encoding is not a fixed point")
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	e := fullEvent()
	fuzzDecode(f, EncodeEvent(&e), DecodeEvent, EncodeEvent)
}

func FuzzDecodePane(f *testing.F) {
	p := fullPane()
	fuzzDecode(f, EncodePane(&p), DecodePane, EncodePane)
}

func FuzzDecodeProgress(f *testing.F) {
	fuzzDecode(f, EncodeProgress(&Progress{1, StageRollup, 1, 4, 5, 6, []Shutting{{1, 2}, {3, 4}}}), DecodeProgress, EncodeProgress)
}

func FuzzDecodeHeartbeat(f *testing.F) {
	h := fullHeartbeat()
	fuzzDecode(f, EncodeHeartbeat(&h), DecodeHeartbeat, EncodeHeartbeat)
}

func FuzzDecodeReports(f *testing.F) {
	r := fullReports()
	fuzzDecode(f, EncodeReports(&r), DecodeReports, EncodeReports)
}

func FuzzDecodeRate(f *testing.F) {
	fuzzDecode(f, EncodeRate(&Rate{Series: fullSeries(), Window: 60, At: 120}), DecodeRate, EncodeRate)
}

func FuzzDecodeTransition(f *testing.F) {
	fuzzDecode(f, EncodeTransition(&Transition{Rule: "r", State: StateFiring, Series: fullSeries()}), DecodeTransition, EncodeTransition)
}

func FuzzDecodeDeadLetter(f *testing.F) {
	fuzzDecode(f, EncodeDeadLetter(&DeadLetter{Stage: "ingest", Reason: "x"}), DecodeDeadLetter, EncodeDeadLetter)
}
