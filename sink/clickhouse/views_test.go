package clickhouse

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
)

// wilsonOf is the interval as textbooks write it.
func wilsonOf(k, n float64) (low, high float64) {
	const z = 1.959963984540054
	p := k / n
	centre := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return centre - half, centre + half
}

// TestViews runs every view, and every table that computes, on one small set of
// rows.
func TestViews(t *testing.T) {
	conn := migrated(t, chtest.Open(t))
	t.Run("rates", func(t *testing.T) { testRates(t, conn) })
	t.Run("v_pulse", func(t *testing.T) { testPulse(t, conn) })
	t.Run("opt_outs", func(t *testing.T) { testOptOuts(t, conn) })
	t.Run("v_opt_outs", func(t *testing.T) { testWhoLeft(t, conn) })
	t.Run("dead_letters and alerts", func(t *testing.T) { testLetters(t, conn) })
	t.Run("v_limits", func(t *testing.T) { testLimits(t, conn) })
	t.Run("v_watermark and v_freshness", func(t *testing.T) { testFreshness(t, conn) })

	fillPanes(t, conn)
	t.Run("v_campaigns", func(t *testing.T) { testCampaigns(t, conn) })
	t.Run("v_funnel", func(t *testing.T) { testFunnel(t, conn) })
	t.Run("v_cohort_curve", func(t *testing.T) { testCurve(t, conn) })
	t.Run("v_rolling", func(t *testing.T) { testRolling(t, conn) })
	t.Run("what was heard", func(t *testing.T) { testHeard(t, conn) })
	t.Run("another epoch", func(t *testing.T) {
		if err := conn.Exec(t.Context(), "INSERT INTO epochs (sequence, epoch) VALUES (2, 9)"); err != nil {
			t.Fatal(err)
		}
		if got := show(t, conn, "campaign sent", "v_campaigns"); got != "stale 1000" {
			t.Errorf("epoch 9 shows %q", got)
		}
	})
}

func testRates(t *testing.T, conn driver.Conn) {
	series := schemas.Series{Account: "acme", Grouping: schemas.GroupCampaign, Channel: schemas.ChannelWhatsApp, Campaign: "spring"}
	at := sentAt().Truncate(time.Minute).Unix()
	insert(t, conn, Rates{
		{Epoch: 1, Series: series, Window: 60, Age: 1800, At: at, Version: 5, Totals: schemas.Totals{
			Sent: 100, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 60, schemas.OutcomeOpened: 30, schemas.OutcomeRead: 24, schemas.OutcomeClicked: 6, schemas.OutcomeReplied: 3, schemas.OutcomeEngaged: 9, schemas.OutcomeOptedOut: 0, schemas.OutcomeFailed: 30, schemas.OutcomeWithheld: 20},
		}},
		{Epoch: 1, Series: series, Window: 60, Age: 1800, At: at, Version: 4, Totals: schemas.Totals{Sent: 1}}, // a stale owner's
		{Epoch: 1, Series: series, Window: 60, Age: 1800, At: at + 60, Version: 6},
	})
	got := show(t, conn, "delivery_rate eligible_delivery_rate open_rate read_rate ctr click_rate reply_rate ctor opt_out_rate failure_rate pending", "rates FINAL ORDER BY at LIMIT 1")
	if want := "0.6 0.75 0.5 0.4 0.15 0.1 0.05 0.3 0 0.3 10"; got != want {
		t.Errorf("rates\ngot  %s\nwant %s", got, want)
	}
	if got, want := show(t, conn, "delivery_rate delivery_rate_low open_rate_high", "rates FINAL WHERE at > "+"fromUnixTimestamp("+strconv.FormatInt(at, 10)+")"), "- - -"; got != want {
		t.Errorf("nothing sent gives %s, want NULL", got)
	}
	for name, kn := range map[string][2]float64{"delivery_rate": {60, 100}, "eligible_delivery_rate": {60, 80}, "ctor": {9, 30}, "opt_out_rate": {0, 60}} {
		low, high := wilsonOf(kn[0], kn[1])
		var gotLow, gotHigh float64
		row := conn.QueryRow(t.Context(), "SELECT assumeNotNull("+name+"_low), assumeNotNull("+name+"_high) FROM rates FINAL ORDER BY at LIMIT 1")
		if err := row.Scan(&gotLow, &gotHigh); err != nil {
			t.Fatal(err)
		}
		if math.Abs(gotLow-low) > 1e-12 || math.Abs(gotHigh-high) > 1e-12 {
			t.Errorf("%s: [%v, %v], want [%v, %v]", name, gotLow, gotHigh, low, high)
		}
	}
	key := series.Key()
	if got := chtest.Value[string](t, conn, "SELECT lower(hex(any(series))) FROM rates"); got != key.String() {
		t.Errorf("series %s, want %s", got, key)
	}
	if got := chtest.Value[string](t, conn, "SELECT lower(hex(substring(SHA256(concat('whatsapp', char(0), '', char(0), 'spring', char(0), '')), 1, 16)))"); got != key.String() {
		t.Errorf("the documented expression gives %s, want %s", got, key)
	}
}

func testPulse(t *testing.T, conn driver.Conn) {
	events := numbered("", []schemas.Event{
		told(schemas.TypeReplied, 0, func(e *schemas.Event) { e.InboundKey = schemas.Key{1} }),
		told(schemas.TypeReplied, 0, func(e *schemas.Event) { e.InboundKey = schemas.Key{2} }), // two in one second are two
		told(schemas.TypeReplied, 0, func(e *schemas.Event) { e.InboundKey = schemas.Key{2} }), // a retry
		told(schemas.TypeQuality, 29*time.Second),
		told(schemas.TypeOptedIn, 30*time.Second),
	})
	insert(t, conn, events, events[:1])
	got := show(t, conn, "minute account channel replied quality opted_in sent", "v_pulse ORDER BY minute")
	if want := "2026-03-01 10:00:00 acme whatsapp 2 1 0 0\n2026-03-01 10:01:00 acme whatsapp 0 0 1 0"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	chtest.Truncate(t, conn, "events")
}

func testOptOuts(t *testing.T, conn driver.Conn) {
	contacts := func(keys ...byte) func(*schemas.Event) {
		return func(e *schemas.Event) {
			for _, k := range keys {
				e.ContactKeys = append(e.ContactKeys, schemas.Key{k})
			}
			e.Road = schemas.RoadWord
		}
	}
	for _, e := range []schemas.Event{
		told(schemas.TypeOptedOut, 0, contacts('a', 'b')),
		told(schemas.TypeOptedIn, time.Minute, contacts('a')),
		told(schemas.TypeOptedIn, 500*time.Millisecond, contacts('b')), // of one second the opt-out counts
		told(schemas.TypeOptedOut, -time.Hour, contacts('c')),
		told(schemas.TypeReplied, 0, contacts('d')),
	} {
		e.ID = schemas.EventID(&e)
		insert(t, conn, OptOutsOf(&e))
	}
	got := show(t, conn, "substring(contact_key,1,1) is_out since road", "opt_outs ORDER BY contact_key")
	want := "a false 2026-03-01 10:01:30.000 word\nb true 2026-03-01 10:00:30.000 word\nc true 2026-03-01 09:00:30.000 word"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// testWhoLeft: three people leave, one of them twice and one by naming a message;
// two answers may have meant to.
func testWhoLeft(t *testing.T, conn driver.Conn) {
	chtest.Truncate(t, conn, "opt_out_events")
	by := func(road string, named bool, keys ...byte) func(*schemas.Event) {
		return func(e *schemas.Event) {
			e.MessageKey, e.Road = schemas.Key{}, road
			if named {
				e.MessageKey = schemas.Key{7}
			}
			for _, k := range keys {
				e.ContactKeys = append(e.ContactKeys, schemas.Key{k})
			}
		}
	}
	spring := func(e *schemas.Event) {
		e.MessageKey, e.Dimensions.Campaign, e.DimensionSource = schemas.Key{7}, "spring", schemas.DimensionCallback
	}
	mayBe := func(kind string, n byte) func(*schemas.Event) {
		return func(e *schemas.Event) {
			e.MessageKey, e.InboundKey, e.MayBeOptOut = schemas.Key{7}, schemas.Key{n}, true
			if kind != "" {
				e.Click = &schemas.Click{Kind: kind}
			}
		}
	}
	events := numbered("", []schemas.Event{
		told(schemas.TypeDelivered, -time.Hour, spring),
		told(schemas.TypeOptedOut, 0, by(schemas.RoadButton, true, 'a')),
		told(schemas.TypeOptedOut, time.Minute, by(schemas.RoadWord, false, 'a')), // had left already
		told(schemas.TypeOptedOut, 0, by(schemas.RoadWord, false, 'b', 'c')),      // one person under two keys
		told(schemas.TypeOptedIn, time.Hour, by(schemas.RoadWord, false, 'b', 'c')),
		told(schemas.TypeOptedOut, day, by(schemas.RoadPreference, false, 'b')), // leaves again
		told(schemas.TypeReplied, 0, mayBe("", 1)),
		told(schemas.TypeReplied, 0, mayBe("", 1)), // a retry
		told(schemas.TypeClicked, 0, mayBe("button", 2)),
	})
	insert(t, conn, events)
	for i := range events {
		if left := OptOutsOf(&events[i].Event); len(left) > 0 {
			insert(t, conn, left)
		}
	}
	got := show(t, conn, "day campaign road people named may_be", "v_opt_outs ORDER BY day, campaign, road")
	want := "2026-03-01 (unattributed) word 1 0 0\n2026-03-01 spring button 1 1 1\n2026-03-01 spring word 0 0 1\n2026-03-02 (unattributed) user_preferences 1 0 0"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	chtest.Truncate(t, conn, "events", "opt_out_events")
}

func testLetters(t *testing.T, conn driver.Conn) {
	letter := DeadLetter{
		Letter: schemas.DeadLetter{Stage: "ingest", Source: "meta", Provider: "meta", Reason: "decode", Where: "/entry/0", ReceivedAt: schemas.InstantOf(sentAt()), Digest: schemas.Key{9}},
		Topic:  schemas.TopicDeadLetters, Partition: 1, Offset: 7, Size: 5,
	}
	insert(t, conn, DeadLetters{letter}, DeadLetters{letter})
	if got, want := show(t, conn, "stage source reason place size topic partition offset", "dead_letters FINAL"), "ingest meta decode /entry/0 5 bluetick.dead-letters 1 7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	row := schemas.Transition{
		Epoch: 1, Rule: "opt-out-swell", Series: schemas.Series{Account: "acme", Grouping: schemas.GroupAccount}, OpenedAt: 600, At: 600,
		State: schemas.StateFiring, Severity: schemas.SeverityPage, Metric: "opt_out_rate", N: 400, K: 20, Reference: 0.01, Version: 20,
	}
	notified := row
	notified.Notified, notified.Version = true, 21
	insert(t, conn, Alerts{notified}, Alerts{row})
	if got, want := show(t, conn, "rule state severity numerator denominator reference notified", "alerts FINAL"), "opt-out-swell firing page 20 400 0.01 true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// step is one row of progress, complete to so long after sentAt.
type step struct {
	epoch                   uint32
	stage                   string
	source, sources, output int32
	next                    int64
	after                   time.Duration
}

func progress(steps ...step) Progresses {
	var rows Progresses
	for _, s := range steps {
		rows = append(rows, Progress{
			Progress: schemas.Progress{
				Epoch: s.epoch, Stage: s.stage, Source: s.source, Sources: s.sources,
				NextOffset: s.next, CompleteTo: schemas.InstantOf(sentAt().Add(s.after)),
			},
			Output: s.output,
		})
	}
	return rows
}

func testFreshness(t *testing.T, conn driver.Conn) {
	insert(t, conn, progress(
		step{1, "message", 0, 2, 0, 10, 20 * time.Second},
		step{1, "message", 0, 2, 1, 12, 30 * time.Second},
		step{9, "message", 1, 2, 0, 99, 99 * time.Second}, // another epoch
		step{1, "rollup", 0, 1, 0, 4, -30 * time.Second},
	))
	if got := show(t, conn, "epoch complete_to", "v_watermark"); got != "1 -" {
		t.Errorf("one source of two heard: %s, want no watermark", got)
	}
	insert(t, conn, progress(
		step{1, "message", 1, 2, 0, 5, 25 * time.Second},
		step{0, "sink/bluetick.events", 0, 2, 0, 10, 35 * time.Second},
		step{0, "sink/bluetick.events", 1, 2, 0, 7, 40 * time.Second},
	))
	if got, want := show(t, conn, "epoch complete_to", "v_watermark"), "1 2026-03-01 10:00:50.000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got := show(t, conn, "stage partitions next_offset lag_seconds", "v_freshness ORDER BY stage")
	if want := "message 2 15 20\nrollup 1 4 70\nsink/bluetick.events 2 17 5"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	chtest.Truncate(t, conn, "progress")
}

// fillPanes: the campaign "spring" sends 1000 messages in two minutes, a day
// apart, counted by two sources; one message is of no campaign. The panes are
// complete to 30 minutes after the second minute.
func fillPanes(t *testing.T, conn driver.Conn) {
	minute := sentAt().Truncate(time.Minute).Unix()
	pane := func(source int32, minute int64, name string, version, sent int64, fill func(*schemas.Counts)) schemas.Pane {
		p := schemas.Pane{Epoch: 1, Source: source, Minute: minute, Version: version, Tuple: schemas.Tuple{Account: "acme", Channel: schemas.ChannelWhatsApp, Campaign: name, Variant: "A"}}
		p.Counts.Sent = sent
		if fill != nil {
			fill(&p.Counts)
		}
		return p
	}
	first := func(c *schemas.Counts) { // 600 sent
		c.Outcomes[schemas.OutcomeDelivered] = schemas.Histogram{500, 40, 0, 0, 30} // 570 at 1 h
		c.Outcomes[schemas.OutcomeOpened] = schemas.Histogram{0, 100, 0, 0, 0, 0, 0, 0, 299, 0, 0, 1}
		c.Outcomes[schemas.OutcomeRead], c.Outcomes[schemas.OutcomeEngaged], c.Outcomes[schemas.OutcomeClicked] = c.Outcomes[schemas.OutcomeOpened], schemas.Histogram{0, 57}, schemas.Histogram{0, 57}
		c.Outcomes[schemas.OutcomeOptedOut] = schemas.Histogram{0, 0, 0, 0, 0, 0, 0, 0, 0, 2}
		c.Outcomes[schemas.OutcomeFailed] = schemas.Histogram{20, 0, 0, -5}
		c.Outcomes[schemas.OutcomeWithheld] = schemas.Histogram{10}
		c.Recovered = 5
		c.Failures = map[string]int64{schemas.FailCapped: 10, schemas.FailTemplate: 5}
		c.CostMicros = map[string]int64{"EUR": 57_000_000}
		c.Billable = map[string]int64{"marketing": 570}
	}
	stale := pane(0, minute, "stale", 1, 1000, nil)
	stale.Epoch = 9
	later := minute + 86_400
	plain := pane(0, later, "", 7, 1, nil)
	plain.Tuple.Variant = ""
	insert(t, conn,
		Panes{pane(0, minute, "spring", 3, 1, nil), stale},
		Panes{
			pane(0, minute, "spring", 7, 600, first),
			pane(1, later, "spring", 4, 400, func(c *schemas.Counts) { c.Outcomes[schemas.OutcomeDelivered][0] = 380 }),
			plain,
			pane(0, minute+60, "", 8, 0, nil), // a pane that fell to zero
		},
		progress(
			step{1, "message", 0, 2, 0, 9, 24*time.Hour + 31*time.Minute},
			step{1, "message", 1, 2, 0, 9, 24*time.Hour + 31*time.Minute},
		))
}

func testCampaigns(t *testing.T, conn driver.Conn) {
	got := show(t, conn, "account channel campaign sent delivered opened engaged opted_out failed withheld pending recovered failures cost_micros billable", "v_campaigns ORDER BY campaign")
	want := "acme whatsapp (unattributed) 1 0 0 0 0 0 0 1 0 {} {} {}\n" +
		"acme whatsapp spring 1000 950 400 57 2 15 10 35 5 {'marketing_cap':10,'template':5} {'EUR':57000000} {'marketing':570}"
	if got != want {
		t.Errorf("counts\ngot\n%s\nwant\n%s", got, want)
	}
	got = show(t, conn, "delivery_rate round(eligible_delivery_rate,4) round(open_rate,4) ctr cost cost_per_engaged first_minute last_minute", "v_campaigns WHERE campaign = 'spring'")
	if want := "0.95 0.9596 0.4211 0.06 {'EUR':57} {'EUR':1} 2026-03-01 10:00:00 2026-03-02 10:00:00"; got != want {
		t.Errorf("rates\ngot  %s\nwant %s", got, want)
	}
	if got := show(t, conn, "open_rate open_rate_low open_rate_high delivery_rate", "v_campaigns WHERE campaign = '(unattributed)'"); got != "- - - 0" {
		t.Errorf("rates without a denominator: %s, want NULL", got)
	}
	// At 24 h only the first cohort counts: 570 of 590 eligible, 399 of 570 opened.
	// At 30 minutes both do: 540 + 380 of 600 + 400, 10 withheld.
	for key, want := range map[string]float64{
		"eligible_delivery_rate/warn@86400": 570./590 - 0.95,
		"eligible_delivery_rate/page@1800":  920./990 - 0.60,
		"open_rate/baseline@86400":          0.70 - 0.58,
		"open_rate/optimised@86400":         0.70 - 0.75,
		"ctr/baseline@86400":                0.10 - 0.15,
		// Final at the horizon: so far, over both cohorts.
		"opt_out_rate/page@2592000": 2./950 - 0.03,
	} {
		if got := chtest.Value[float64](t, conn, "SELECT benchmarks[?] FROM v_campaigns WHERE campaign = 'spring'", key); math.Abs(got-want) > 1e-9 {
			t.Errorf("distance to %s is %v, want %v", key, got, want)
		}
	}
	if n := chtest.Value[uint64](t, conn, "SELECT countIf(k LIKE '%2592000%' AND k NOT LIKE 'opt_out_rate/%' OR k LIKE '%claim%' OR k LIKE '%email%') FROM v_campaigns ARRAY JOIN mapKeys(benchmarks) AS k"); n != 0 {
		t.Error("a benchmark of another age, kind or channel is held against the campaign")
	}
	// An operator's own row at an age that panes do not know.
	if err := conn.Exec(t.Context(), "INSERT INTO benchmarks (metric, tier, age, value, better, source, kind) VALUES ('delivery_rate', 'floor', 43200, 0.5, 'higher', 'us', 'operator')"); err != nil {
		t.Fatal(err)
	}
	verdict := chtest.Value[string](t, conn, "SELECT verdict FROM v_campaigns WHERE campaign = 'spring'")
	if strings.Contains(verdict, "floor") {
		t.Errorf("verdict %q judges at 12 h, which panes do not know", verdict)
	}
	for _, words := range []string{
		"open_rate 70 % at 24 h: meets baseline 58 %, misses optimised 75 %, misses best 98 %",
		"eligible_delivery_rate 96.6 % at 24 h: meets page 90 %, too close to tell from warn 95 %",
		"eligible_delivery_rate 92.9 % at 30 min: meets page 60 %",
		"ctr 10 % at 24 h: misses baseline 15 %",
		"opt_out_rate 0.2 % so far: meets warn 1 %, meets page 3 %",
	} {
		if !strings.Contains(verdict, words) {
			t.Errorf("verdict %q does not say %q", verdict, words)
		}
	}
	if got := chtest.Value[string](t, conn, "SELECT verdict FROM v_campaigns WHERE campaign = '(unattributed)'"); !strings.HasPrefix(got, "too early") && !strings.Contains(got, "30 min") {
		t.Errorf("verdict of a young campaign: %q", got)
	}
}

func testFunnel(t *testing.T, conn driver.Conn) {
	got := show(t, conn, "position step messages of_sent round(of_previous,4)", "v_funnel WHERE campaign = 'spring' ORDER BY position")
	if want := "1 sent 1000 1 1\n2 delivered 950 0.95 0.95\n3 opened 400 0.4 0.4211\n4 engaged 57 0.057 0.1425"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func testCurve(t *testing.T, conn driver.Conn) {
	got := show(t, conn, "age sent delivered failed round(delivery_rate,4)", "v_cohort_curve WHERE campaign = 'spring' ORDER BY age")
	want := "60 1000 880 20 0.88\n300 1000 920 20 0.92\n900 1000 920 20 0.92\n1800 1000 920 15 0.92\n" + // both cohorts
		"3600 600 570 15 0.95\n7200 600 570 15 0.95\n14400 600 570 15 0.95\n28800 600 570 15 0.95\n86400 600 570 15 0.95" // the first
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func testRolling(t *testing.T, conn driver.Conn) {
	// One day and two minutes of window hold both cohorts for two minutes.
	got := show(t, conn, "at grouping campaign sent delivered round(delivery_rate,4)", "v_rolling(window = 86520, age = 300) WHERE grouping = 'campaign' AND campaign = 'spring' ORDER BY at")
	want := "2026-03-01 10:06:00 campaign spring 600 540 0.9\n" +
		"2026-03-02 10:06:00 campaign spring 1000 920 0.92\n" +
		"2026-03-02 10:08:00 campaign spring 400 380 0.95"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got = show(t, conn, "at grouping channel campaign variant sent delivered", "v_rolling(window = 60, age = 0) WHERE sent > 0 ORDER BY at, grouping, campaign LIMIT 5")
	want = "2026-03-01 10:01:00 account    600 570\n" +
		"2026-03-01 10:01:00 campaign whatsapp spring  600 570\n" +
		"2026-03-01 10:01:00 campaign_variant whatsapp spring A 600 570\n" +
		"2026-03-01 10:01:00 channel whatsapp   600 570\n" +
		"2026-03-01 10:01:00 sender whatsapp   600 570"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := chtest.Value[uint64](t, conn, "SELECT count() FROM v_rolling(window = 60, age = 3600) WHERE at > '2026-03-02 10:31:30'"); n != 0 {
		t.Error("a window is shown that is not complete yet")
	}
	if n := chtest.Value[uint64](t, conn, "SELECT count() FROM v_rolling(window = 60, age = 0) WHERE grouping = 'campaign_variant' AND variant = ''"); n != 0 {
		t.Error("a message without a variant takes part in a comparison of variants; in rates it does not")
	}
	for _, wrong := range []string{"v_rolling(window = 60, age = 61)", "v_rolling(window = 61, age = 60)"} {
		if rows, err := conn.Query(t.Context(), "SELECT * FROM "+wrong); err == nil {
			for rows.Next() {
			}
			if rows.Err() == nil {
				t.Errorf("%s is accepted", wrong)
			}
		}
	}
}
