package alert

import (
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// TestSilent: while an epoch is rebuilt nobody is told, however old the news; an
// incident that is open then counts as told, so that its end is told later.
func TestSilent(t *testing.T) {
	good := schemas.Totals{Sent: 400, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 400}}
	w := newWorld(t, onlyOptOut(t))
	w.silent = true
	w.crash()
	at := midnight + 36000
	w.rate(campaign("acme", "spring"), 1800, at, swell)
	w.progress(at + 30*3600)
	w.must(w.checkpoint())
	if len(w.recv.got) != 0 || len(w.newest()) != 1 {
		t.Fatalf("told %+v, %d incidents", w.recv.got, len(w.newest()))
	}
	for _, row := range w.newest() {
		if row.State != schemas.StateResolved { // after a day without cohorts
			t.Errorf("%+v", row)
		}
	}

	at += 40 * 3600
	w.rate(campaign("acme", "spring"), 1800, at, swell)
	w.progress(at)
	w.must(w.checkpoint())
	for _, row := range w.newest() {
		if !row.Notified || row.Reason == string(ReasonTooOld) || row.Reason == string(ReasonNeverTold) {
			t.Errorf("%+v does not count as told", row)
		}
	}
	w.silent = false
	w.crash()
	for m := range int64(90) {
		w.rate(campaign("acme", "spring"), 1800, at+60+60*m, good)
		w.progress(at + 60 + 60*m)
		w.must(w.checkpoint())
	}
	if len(w.recv.got) != 1 || w.recv.got[0].Reason != string(ReasonRecovered) {
		t.Errorf("told %+v, want the recovery alone", w.recv.got)
	}
}
