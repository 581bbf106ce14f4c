package rollup

import (
	"math"
	"testing"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// TestCohortAgainstNaiveRatio shows, at small scale, why rates are of cohorts.
//
// A burst of 10,000 messages goes out at noon. Nearly all arrive within the
// minute; two hours on, a few stragglers still arrive (phones switched on) and a
// few people still leave. The usual ratio, opt-outs of the last hour over
// deliveries of the last hour, compares people who got the message at noon with
// the stragglers: 8 of 100, a page in the night. The truth is 36 of 9,700.
func TestCohortAgainstNaiveRatio(t *testing.T) {
	t.Parallel()
	type happening struct{ minute, deliveries, optOuts int64 }
	happenings := []happening{{0, 9600, 0}, {4, 0, 10}, {50, 0, 18}, {90, 60, 3}, {110, 40, 5}}

	// Naive: whatever happened in [13:00, 14:00).
	var left, arrived int64
	for _, h := range happenings {
		if 60 <= h.minute && h.minute < 120 {
			left, arrived = left+h.optOuts, arrived+h.deliveries
		}
	}
	naive := float64(left) / float64(arrived)

	// The pane of noon, as it stands at 14:00.
	p := schemas.Pane{Epoch: 1, Minute: noon, Tuple: bakery}
	p.Counts.Sent = 10_000
	for _, h := range happenings {
		b, ok := schemas.BucketOf(h.minute * 60)
		if !ok {
			t.Fatal("beyond the horizon")
		}
		p.Counts.Outcomes[schemas.OutcomeDelivered][b] += h.deliveries
		p.Counts.Outcomes[schemas.OutcomeOptedOut][b] += h.optOuts
	}
	now := schemas.Instant((noon + 7200) * 1000)
	rates := play(t, open(t, Default(), newMemory()), []task.Record{
		paneRecord(0, now, &p),
		progressRecord(1, now, &schemas.Progress{
			Epoch: 1, Stage: schemas.StageMessage, Sources: 1, NextOffset: 1, CompleteTo: now,
		}),
	})

	find := func(window, age uint32) schemas.Totals {
		for _, r := range rates {
			if r.Series.Grouping == schemas.GroupCampaign && r.Window == window && r.Age == age && r.At == noon+7200 {
				return r.Totals
			}
		}
		t.Fatalf("no rate of window %d, age %d", window, age)
		return schemas.Totals{}
	}
	soFar := find(86_400, 0)
	truth := float64(soFar.Outcomes[schemas.OutcomeOptedOut]) / float64(soFar.Outcomes[schemas.OutcomeDelivered])
	if soFar.Outcomes[schemas.OutcomeOptedOut] != 36 || soFar.Outcomes[schemas.OutcomeDelivered] != 9700 || math.Abs(truth-0.0037) > 0.0001 {
		t.Errorf("cohort so far: %d of %d = %.4f", soFar.Outcomes[schemas.OutcomeOptedOut], soFar.Outcomes[schemas.OutcomeDelivered], truth)
	}
	// At equal age it is the same kind of number at any time: comparable with
	// every other campaign an hour after its launch.
	if atHour := find(3600, 3600); atHour.Outcomes[schemas.OutcomeOptedOut] != 28 || atHour.Outcomes[schemas.OutcomeDelivered] != 9600 {
		t.Errorf("cohort at 1h: %d of %d", atHour.Outcomes[schemas.OutcomeOptedOut], atHour.Outcomes[schemas.OutcomeDelivered])
	}
	if math.Abs(naive-0.08) > 0.0001 || naive < 20*truth {
		t.Errorf("naive %.4f, truth %.4f: the example no longer shows anything", naive, truth)
	}
}
