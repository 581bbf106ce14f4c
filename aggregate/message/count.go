package message

import "github.com/bluetick/bluetick/schemas"

// PaneKey names a pane within one source partition and epoch.
type PaneKey struct {
	// Minute is the start of the send minute in seconds since the epoch.
	Minute int64
	Tuple  schemas.Tuple
}

// Contribution is what a message adds, and to which pane. ok is false for an
// orphan, which is in no pane.
func Contribution(s State) (key PaneKey, counts schemas.Counts, ok bool) {
	o := s.derive()
	if !o.known {
		return PaneKey{}, schemas.Counts{}, false
	}
	addOutcome(&counts, &o, 1)
	return PaneKey{Minute: int64(o.minute()) * 60, Tuple: s.tuple()}, counts, true
}

// addOutcome adds sign times the outcome of one known message: +1 as it enters
// a pane, -1 as it leaves one.
func addOutcome(c *schemas.Counts, o *outcome, sign int64) {
	c.Sent += sign
	for h := range c.Outcomes {
		hist, s := &c.Outcomes[h], o.slots[h]
		if s == 0 {
			continue
		}
		hist[s-1] += sign
		if o.recovered != 0 && (schemas.Outcome(h) == schemas.OutcomeFailed || schemas.Outcome(h) == schemas.OutcomeWithheld) {
			hist[o.recovered-1] -= sign
		}
	}
	c.Late += sign * int64(o.late)
	switch {
	case o.recovered != 0:
		c.Recovered += sign
	case o.slots[schemas.OutcomeFailed] != 0:
		addTo(&c.Failures, o.category, sign)
	}
	if o.charged {
		addTo(&c.CostMicros, o.currency, sign*o.micros)
	}
	if o.billed {
		addTo(&c.Billable, o.billing, sign)
	}
}

// addTo keeps the promise of schemas.Counts that its maps hold no zero.
func addTo(m *map[string]int64, key string, n int64) {
	if n += (*m)[key]; n == 0 {
		delete(*m, key)
		return
	}
	if *m == nil {
		*m = map[string]int64{}
	}
	(*m)[key] = n
}

// isZero reports whether the counts are all zero: no message is in the pane.
func isZero(c *schemas.Counts) bool {
	return c.Sent == 0 && c.Recovered == 0 && c.Late == 0 &&
		len(c.Failures) == 0 && len(c.CostMicros) == 0 && len(c.Billable) == 0 && c.Outcomes == (schemas.Histograms{})
}
