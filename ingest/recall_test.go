package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/schemas"
)

// TestRecall: what an account used within the last day is not new after a restart,
// even if it sends a flood first.
func TestRecall(t *testing.T) {
	limits := ValueLimits{Campaign: 10, Template: 10, Variant: 10, Segment: 10, Language: 10, Tuples: 100}
	now := schemas.InstantOf(testNow())
	used := func(name string, ago schemas.Instant) *schemas.Event {
		e := named("acme", name)[0]
		e.ReceivedAt = now - ago
		return &e
	}
	for _, c := range []struct {
		name string
		past []*schemas.Event
		want string
	}{
		{"nothing is known", nil, "(other)"},
		{"used an hour ago", []*schemas.Event{used("spring", 3_600_000)}, "spring"},
		{"used the day before", []*schemas.Event{used("spring", aDay)}, "spring"},
		{"used two days before", []*schemas.Event{used("spring", 2*aDay)}, "(other)"},
		{"used by another account", []*schemas.Event{func() *schemas.Event { e := used("spring", 0); e.Account = "other"; return e }()}, "(other)"},
		{"it was (other) then", []*schemas.Event{used(schemas.OtherValue, 0)}, "(other)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newValues(limits)
			for _, e := range c.past {
				v.recall(now, e)
			}
			v.cap(now, flood("acme", 0, 500), untold)
			events := named("acme", "spring")
			v.cap(now, events, untold)
			if got := campaignsOf(events); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	t.Run("it is bounded", func(t *testing.T) {
		v := newValues(limits)
		for i := range 10_000 {
			v.recall(now, used(fmt.Sprint("c", i), 0))
		}
		if n := v.mu.accounts["acme"].size(); n > 2*(limits.Campaign+limits.Tuples) {
			t.Errorf("%d values are held", n)
		}
	})
}

// TestRecallFromKafka: a door that opens knows again what the one before it let in,
// and opens all the same where Kafka does not tell.
func TestRecallFromKafka(t *testing.T) {
	brokers := cluster(t).ListenAddrs()
	c := testConfig()
	c.Values.Campaign = 1
	first := open(t, c, producer(t, 5*time.Second, brokers))
	body := func(campaign string) []byte {
		return []byte(strings.ReplaceAll(string(statuses(1)), "autumn-26", campaign))
	}
	if got := first.post(t, body("winter-26")); got.status != 200 {
		t.Fatal(got)
	}
	past := KafkaPast(kgo.SeedBrokers(brokers...))
	var got []string
	if err := past(t.Context(), testNow().Add(-time.Hour), func(e *schemas.Event) { got = append(got, e.Dimensions.Campaign) }); err != nil || strings.Join(got, " ") != "winter-26" {
		t.Fatalf("the past is %q, %v", got, err)
	}
	if err := past(t.Context(), testNow().Add(time.Hour), func(*schemas.Event) { t.Error("an event of the future") }); err != nil {
		t.Error(err)
	}

	var log syncBuffer
	again := func(past Past) *Server { // a door that is not open yet
		s, err := New(c, Deps{
			Log: slog.New(slog.NewTextHandler(&log, nil)), Now: testNow, Producer: accepting{}, Providers: testProviders(),
			Registerer: prometheus.NewRegistry(), Past: past,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Stop(context.Background()) })
		s.recall(t.Context())
		return s
	}
	s := again(past)
	for _, want := range []struct{ campaign, becomes string }{{"flood", "flood"}, {"flood-2", "(other)"}, {"winter-26", "winter-26"}} {
		events := named("900000000000101", want.campaign)
		s.values.cap(schemas.InstantOf(testNow()), events, untold)
		if got := campaignsOf(events); got != want.becomes {
			t.Errorf("%s becomes %s, want %s", want.campaign, got, want.becomes)
		}
	}
	again(func(context.Context, time.Time, func(*schemas.Event)) error { return errors.New("not now") })
	if !strings.Contains(log.String(), "not all values of the last day are known again") {
		t.Errorf("the log says nothing:\n%s", log.String())
	}
}
