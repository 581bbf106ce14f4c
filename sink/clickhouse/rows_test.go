package clickhouse

import (
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
)

// TestEventColumns: everything in an event is in its row.
func TestEventColumns(t *testing.T) {
	conn := migrated(t, chtest.Open(t))
	full := schemas.Event{
		ID: schemas.Key{1}, Type: schemas.TypeFailed, Channel: schemas.ChannelWhatsApp, Account: "acme", Sender: "s1",
		MessageKey: schemas.Key{2}, InboundKey: schemas.Key{3}, ContactKeys: []schemas.Key{{4}, {5}},
		OccurredAt: 1_772_359_230_123, ReceivedAt: 1_772_359_231_456, Clamped: true,
		Dimensions:      schemas.Dimensions{Campaign: "spring", Template: "welcome", Variant: "A", Segment: "vip", Language: "en"},
		DimensionSource: schemas.DimensionCallback, Country: "NL", Extra: map[string]string{"wave": "2"},
		Failure: &schemas.Failure{Code: 131049, Category: schemas.FailCapped, Title: "Capped"},
		Cost:    &schemas.Cost{Category: "marketing", Billable: true, HasAmount: true, Micros: -3, Currency: "EUR"},
		Click:   &schemas.Click{Kind: "button", ID: "yes"},
		RawName: "raw", Road: schemas.RoadWord, MayBeOptOut: true, SourceRevision: 3,
	}
	bare := schemas.Event{ID: schemas.Key{9}, Type: schemas.TypeOther, Channel: "sms", Account: "acme", OccurredAt: 1, ReceivedAt: 2}
	insert(t, conn, Events{{full, 2, 77}, {bare, 0, 0}})
	want := map[string][2]string{
		"hex(event_id)": {"01" + zeros(30), "09" + zeros(30)}, "type": {"failed", "other"}, "channel": {"whatsapp", "sms"},
		"account": {"acme", "acme"}, "sender": {"s1", ""}, "hex(message_key)": {"02" + zeros(30), zeros(32)}, "hex(inbound_key)": {"03" + zeros(30), zeros(32)},
		"arrayMap(x->hex(x),contact_keys)": {"['04" + zeros(30) + "','05" + zeros(30) + "']", "[]"},
		"occurred_at":                      {"2026-03-01 10:00:30.123", "1970-01-01 00:00:00.001"}, "clamped": {"true", "false"},
		"received_at": {"2026-03-01 10:00:31.456", "1970-01-01 00:00:00.002"},
		"campaign":    {"spring", ""}, "template": {"welcome", ""}, "variant": {"A", ""}, "segment": {"vip", ""}, "language": {"en", ""},
		"dimension_source": {"callback", "none"}, "country": {"NL", ""}, "extra": {"{'wave':'2'}", "{}"},
		"failure_code": {"131049", "0"}, "failure_category": {"marketing_cap", ""}, "failure_title": {"Capped", ""},
		"has_cost": {"true", "false"}, "cost_category": {"marketing", ""}, "cost_billable": {"true", "false"}, "cost_micros": {"-3", "-"}, "cost_currency": {"EUR", ""},
		"click_kind": {"button", ""}, "click_id": {"yes", ""}, "raw_name": {"raw", ""}, "road": {"word", ""}, "may_be_opt_out": {"true", "false"},
		"source_revision": {"3", "0"}, "source_partition": {"2", "0"}, "source_offset": {"77", "0"},
		"hex(content)": {digest(&full), digest(&bare)},              // neither id is the digest
		"version":      {"288230376151711666", "72057594037927935"}, // 3<<56 + 2^56-1-77, 2^56-1
	}
	for column, w := range want {
		if got := show(t, conn, column, "events ORDER BY event_id"); got != w[0]+"\n"+w[1] {
			t.Errorf("%s: got %q, want %q", column, got, w)
		}
	}
	if n := chtest.Value[uint64](t, conn, "SELECT count() FROM system.columns WHERE database = 'bluetick' AND table = 'events'"); int(n) != len(want) {
		t.Errorf("events has %d columns, the test looks at %d", n, len(want))
	}
	t.Run("a newer decoder's copy survives, then the first", func(t *testing.T) {
		again := full
		again.SourceRevision = 4
		insert(t, conn, Events{{again, 2, 90}}, Events{{again, 2, 95}}, Events{{full, 2, 99}})
		if got := show(t, conn, "source_offset source_revision", "events FINAL WHERE type = 'failed'"); got != "90 4" {
			t.Errorf("got %s, want 90 4", got)
		}
	})
	t.Run("a copy that says something else survives too", func(t *testing.T) {
		own := full
		own.ID = schemas.EventID(&own)
		other := own
		other.Dimensions.Template = "goodbye"
		insert(t, conn, Events{{own, 1, 1}}, Events{{own, 1, 2}}, Events{{other, 1, 3}}, Events{{other, 1, 4}})
		got := show(t, conn, "source_offset hex(content) template", "events FINAL WHERE source_partition = 1 ORDER BY source_offset")
		if want := "1 " + zeros(32) + " welcome\n3 " + digest(&other) + " goodbye"; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func digest(e *schemas.Event) string { return strings.ToUpper(schemas.EventID(e).String()) }

func zeros(n int) string { return strings.Repeat("0", n) }

func TestBenchmarks(t *testing.T) {
	engine := chtest.Open(t)
	conn := migrated(t, engine)
	rows, err := schemas.LoadBenchmarks()
	if err != nil {
		t.Fatal(err)
	}
	if n := chtest.Value[uint64](t, conn, "SELECT count() FROM benchmarks FINAL"); int(n) != len(rows) {
		t.Fatalf("%d rows, want %d", n, len(rows))
	}
	own := benchmark{schemas.Benchmark{
		Metric: "open_rate", Channel: "whatsapp", Tier: "ours", Age: 3600, Value: 0.5, Low: 0.5, High: 0.5, Source: "acme", Kind: "operator", AsOf: time.Unix(0, 0),
	}, 1}
	changed := benchmark{rows[0], 5}
	changed.Value = 0.123
	insert(t, conn, benchmarks{own, changed})
	if _, err := Migrate(t.Context(), config(engine, TTL{})); err != nil {
		t.Fatal(err)
	}
	if got := show(t, conn, "value version", "benchmarks FINAL WHERE tier = 'ours'"); got != "0.5 1" {
		t.Errorf("the operator's row is now %q", got)
	}
	if got := show(t, conn, "value version", "benchmarks FINAL WHERE metric = 'open_rate' AND channel = 'whatsapp' AND tier = 'baseline'"); got != "0.58 6" {
		t.Errorf("the row that differed is now %q, want what is shipped under the next version", got)
	}
}

func TestTTL(t *testing.T) {
	for days, ok := range map[int]bool{-1: false, 0: true, 400: true, maxTTLDays: true, maxTTLDays + 1: false} {
		for _, ttl := range []TTL{{EventsDays: days}, {PanesDays: days}, {RatesDays: days}, {DeadLettersDays: days}} {
			if err := ttl.validate(); (err == nil) != ok {
				t.Errorf("%+v: %v", ttl, err)
			}
		}
	}
	if got := ttlClause("occurred_at", 0) + ttlClause("occurred_at", 30); got != "TTL toDateTime(occurred_at) + toIntervalDay(30)\n" {
		t.Errorf("got %q", got)
	}
}
