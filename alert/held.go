package alert

import (
	"fmt"
	"slices"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/schemas"
)

// heldAtMost is how long, in seconds, open incidents wait for cohorts that are not
// heard: longer than the roll-up waits after any shutting that it still knows the
// cohorts of. Such a row can fail to come again only if its minutes are forgotten.
const heldAtMost = 3 * 24 * 3600

// held are the first and the last `at` of an account's cohorts at one age that
// have closed and were not heard.
type held struct{ from, to int64 }

// holds is what of each account was not heard. The roll-up tells each cohort of an
// account and age in order, so a heard row says that all before it were heard.
type holds struct {
	of    map[string]map[Age]held
	dirty map[string]struct{}
}

// note takes in a row of a minute's cohort, heard or not.
func (h *holds) note(rate *schemas.Rate) {
	account, age := rate.Series.Account, Age(rate.Age)
	old, waits := h.of[account][age]
	if rate.Unheard {
		if waits && old.from <= rate.At && rate.At <= old.to {
			return
		}
		next := held{rate.At, rate.At}
		if waits {
			next = held{min(old.from, rate.At), max(old.to, rate.At)}
		}
		if h.of[account] == nil {
			h.of[account] = map[Age]held{}
		}
		h.of[account][age] = next
		h.dirty[account] = struct{}{}
		return
	}
	if !waits || rate.At < old.from {
		return
	}
	if h.dirty[account] = struct{}{}; rate.At < old.to {
		h.of[account][age] = held{rate.At + 60, old.to}
		return
	}
	if delete(h.of[account], age); len(h.of[account]) == 0 {
		delete(h.of, account)
	}
}

// limit is the last minute that may be shown to an incident of the account: what
// it would say of a minute whose cohorts are not heard is not known yet. now is
// the last minute that has closed.
func (h *holds) limit(account string, now int64) int64 {
	limit := now
	for _, w := range h.of[account] {
		if now-w.from < heldAtMost {
			limit = min(limit, w.from-60)
		}
	}
	return limit
}

func (h *holds) encode(account string) []byte {
	b := []byte{stateVersion}
	ages := make([]Age, 0, len(h.of[account]))
	for age := range h.of[account] {
		ages = append(ages, age)
	}
	slices.Sort(ages)
	b = statecodec.AppendUint(b, uint64(len(ages)))
	for _, age := range ages {
		w := h.of[account][age]
		b = statecodec.AppendUint(b, uint64(age))
		b = statecodec.AppendInt(b, w.from)
		b = statecodec.AppendInt(b, w.to)
	}
	return b
}

func decodeHeld(b []byte) (map[Age]held, error) {
	r := statecodec.NewReader(b)
	r.Format(stateVersion)
	of := map[Age]held{}
	for range r.Count(3) {
		age := Age(r.Uint())
		of[age] = held{r.Int(), r.Int()}
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("read what was not heard: %w", err)
	}
	return of, nil
}

func heldKey(account string) []byte { return append([]byte{kindHeld}, account...) }

// saveHeld writes what changed.
func (f *fold) saveHeld() {
	for account := range f.holds.dirty {
		if len(f.holds.of[account]) == 0 {
			f.st.Delete(heldKey(account))
		} else {
			f.st.Set(heldKey(account), f.holds.encode(account))
		}
	}
	clear(f.holds.dirty)
}

// loadHeld reads it back.
func (f *fold) loadHeld() error {
	var bad error
	err := f.st.Scan([]byte{kindHeld}, []byte{kindHeld + 1}, func(key, value []byte) bool {
		var of map[Age]held
		if of, bad = decodeHeld(value); bad == nil {
			f.holds.of[string(key[1:])] = of
		}
		return bad == nil
	})
	if bad != nil {
		return bad
	}
	if err != nil {
		return fmt.Errorf("read what was not heard: %w", err)
	}
	return nil
}
