package alert

import (
	"maps"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// heardRate is one cohort at 30 minutes, stamped when it was told.
func (w *world) heardRate(at, told int64, unheard bool, totals schemas.Totals) {
	r := schemas.Rate{
		Epoch: testEpoch, Series: campaign("acme", "spring"), Window: 60, Age: 1800, At: at,
		DClock: schemas.Instant(1000 * told), Totals: totals, Unheard: unheard,
	}
	w.append(schemas.SchemaRate, []byte(r.Series.Account), schemas.EncodeRate(&r), told)
}

// TestHeldRows: a row that was not heard changes nothing; when it comes again it is
// judged, told of as news of then, and an open incident sees no minute before that.
func TestHeldRows(t *testing.T) {
	good := schemas.Totals{Sent: 400, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 400}}
	at := midnight + 36000
	w := newWorld(t, onlyOptOut(t))
	w.heardRate(at, at, true, swell)
	w.progress(at)
	w.must(w.checkpoint())
	if n := len(w.newest()); n != 0 {
		t.Fatalf("%d incidents from what was not heard", n)
	}
	w.crash()
	const late = 5 * 3600 // more than news may be old
	w.heardRate(at, at+late, false, swell)
	w.progress(at + late)
	w.must(w.checkpoint())
	if len(w.recv.got) != 1 || w.recv.got[0].Reason != string(ReasonOpened) {
		t.Fatalf("told %+v, want the opening", w.recv.got)
	}

	// Good cohorts for two hours, of which the last half hour is not heard.
	from := at + late + 60
	for m := range int64(120) {
		w.heardRate(from+60*m, from+60*m, m >= 20, good)
		w.progress(from + 60*m)
		w.must(w.checkpoint())
	}
	w.crash()
	if n := len(w.recv.got); n != 1 {
		t.Fatalf("%d notifications while cohorts were not heard: %+v", n, w.recv.got)
	}
	for m := int64(20); m < 120; m++ {
		w.heardRate(from+60*m, from+60*120, false, good)
	}
	w.progress(from + 60*121)
	w.must(w.checkpoint())
	if n := len(w.recv.got); n != 2 || w.recv.got[1].Reason != string(ReasonRecovered) {
		t.Errorf("told %+v, want the recovery", w.recv.got)
	}
}

func TestHolds(t *testing.T) {
	type row struct {
		at      int64
		unheard bool
	}
	for _, c := range []struct {
		name string
		rows []row
		want map[Age]held
		now  int64
		to   int64 // the last minute that may be shown
	}{
		{"all heard", []row{{600, false}, {660, false}}, nil, 660, 660},
		{"one not", []row{{600, false}, {660, true}}, map[Age]held{1800: {660, 660}}, 720, 600},
		{"two not", []row{{600, true}, {660, true}}, map[Age]held{1800: {600, 660}}, 720, 540},
		{"the first heard later", []row{{600, true}, {660, true}, {600, false}}, map[Age]held{1800: {660, 660}}, 720, 600},
		{"both heard later", []row{{600, true}, {660, true}, {600, false}, {660, false}}, nil, 720, 720},
		{"a later one says so of both", []row{{600, true}, {660, true}, {900, false}}, nil, 900, 900},
		{"an older one comes again", []row{{600, true}, {540, false}}, map[Age]held{1800: {600, 600}}, 720, 540},
		{"forgotten in the end", []row{{600, true}}, map[Age]held{1800: {600, 600}}, 600 + heldAtMost, 600 + heldAtMost},
	} {
		h := holds{of: map[string]map[Age]held{}, dirty: map[string]struct{}{}}
		for _, r := range c.rows {
			h.note(&schemas.Rate{Series: account("acme"), Age: 1800, At: r.at, Unheard: r.unheard})
			read, err := decodeHeld(h.encode("acme"))
			if err != nil || !maps.Equal(read, h.of["acme"]) {
				t.Errorf("%s: read back %v, %v", c.name, read, err)
			}
		}
		if !maps.Equal(h.of["acme"], c.want) {
			t.Errorf("%s: %v, want %v", c.name, h.of["acme"], c.want)
		}
		if got := h.limit("acme", c.now); got != c.to {
			t.Errorf("%s: minutes to %d, want %d", c.name, got, c.to)
		}
		if got := h.limit("other", c.now); got != c.now {
			t.Errorf("%s: another account's minutes to %d, want %d", c.name, got, c.now)
		}
	}
}

func FuzzDecodeHeld(f *testing.F) {
	h := holds{of: map[string]map[Age]held{"a": {1800: {600, 660}, 3600: {60, 60}}}}
	f.Add(h.encode("a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		of, err := decodeHeld(b)
		if err != nil {
			return
		}
		h := holds{of: map[string]map[Age]held{"a": of}}
		again, err := decodeHeld(h.encode("a"))
		if err != nil || !maps.Equal(again, of) {
			t.Fatalf("%v, %v, %v", of, again, err)
		}
	})
}
