package clickhouse

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/schemas"
)

// testLimits: a row per account, day and kind of what the door did, copies once.
func testLimits(t *testing.T, conn driver.Conn) {
	at := schemas.InstantOf(sentAt())
	event := func(id byte, account string, extra map[string]string) Event {
		return Event{Offset: int64(id), Event: schemas.Event{
			ID: schemas.Key{id, 99}, Type: schemas.TypeOther, Channel: "sms", Account: account, OccurredAt: at, ReceivedAt: at, Extra: extra,
		}}
	}
	clamped := event(5, "strict", nil)
	clamped.Clamped = true
	again := event(1, "careless", map[string]string{"other.values.campaign": "id-1", "mine": "x"})
	again.ReceivedAt, again.Offset = again.ReceivedAt+24*3600_000, 50
	insert(t, conn, Events{
		event(1, "careless", map[string]string{"other.values.campaign": "id-1", "mine": "x"}), again,
		event(2, "careless", map[string]string{"other.values.campaign": "id-2", "other.tuples.segment": "vip"}),
		event(3, "careless", map[string]string{"other.values.campaign": "id-2", schemas.MarkWithheld: "3"}),
		event(4, "careful", map[string]string{"mine": "y"}), event(6, "careless", map[string]string{schemas.MarkCut: "1"}), clamped,
	}, DeadLetters{
		{Letter: schemas.DeadLetter{Stage: schemas.StageIngest, Source: "main", Reason: "too_old", Where: "/entry/0", ReceivedAt: at, Account: "careless"}, Topic: "t", Offset: 1},
		{Letter: schemas.DeadLetter{Stage: schemas.StageIngest, Source: "main", Reason: "not_json", ReceivedAt: at}, Topic: "t", Offset: 2},
		{Letter: schemas.DeadLetter{Stage: schemas.StageSink, Source: "topic", Reason: "decode", ReceivedAt: at}, Topic: "t", Offset: 3},
	})
	got := show(t, conn, "account what why field events different examples", "v_limits WHERE day = '2026-03-01' AND field != 'meta' AND account IN ('careless', 'careful', 'strict', '') ORDER BY account, what, why, field")
	want := " dead letter not_json main 1 0 ['']\n" +
		"careless cut longer than what is kept  1 0 []\n" +
		"careless dead letter too_old main 1 0 ['/entry/0']\n" +
		"careless other too many combinations segment 1 1 ['vip']\n" +
		"careless other too many values campaign 3 2 ['id-1','id-2']\n" +
		"careless withheld it held a phone number or an id  1 0 []\n" +
		"strict clamped ahead of our clock  1 0 []"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
