package message

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// TestMutantsAreCaught breaks one rule at a time and expects the properties to
// notice each.
func TestMutantsAreCaught(t *testing.T) {
	s := seed(t)
	mutants := joinMutants()
	maps.Copy(mutants, deriveMutants())
	maps.Copy(mutants, addMutants())
	for name, mutate := range mutants {
		t.Run(name, func(t *testing.T) {
			for i := range 2000 {
				rng := rand.New(rand.NewPCG(s, uint64(i)))
				events := shuffled(rng, randomHistory(rng, 4, 8))
				r := newRig(t)
				mutate(&r.fold.rules)
				if caught(r, events) {
					return
				}
			}
			t.Fatalf("BLUETICK_SEED=%d: the mutant lives", s)
		})
	}
}

// caught feeds the events; a panic of an invariant counts as noticing.
func caught(r *rig, events []schemas.Event) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = true
		}
	}()
	for _, e := range events {
		r.feed(e)
	}
	r.flush()
	return difference(r.panes(), bruteForce(events)) != ""
}

func joinMutants() map[string]func(*rules) {
	mutant := func(f func(old, next *State, e *schemas.Event)) func(*rules) {
		return func(r *rules) {
			r.join = func(s State, e *schemas.Event) (State, bool) {
				next, _ := s.Join(e)
				f(&s, &next, e)
				return next, next != s
			}
		}
	}
	m := map[string]func(*rules){
		"first fact wins": mutant(func(old, next *State, _ *schemas.Event) {
			for f := range facts {
				if old.has(f) {
					next.at[f] = old.at[f]
				}
			}
		}),
		"first failure wins": mutant(func(old, next *State, _ *schemas.Event) {
			if old.has(factFailed) {
				next.failCode, next.failCategory = old.failCode, old.failCategory
			}
		}),
		"first charge wins": mutant(func(old, next *State, _ *schemas.Event) {
			if old.charge.set {
				next.charge = old.charge
			}
		}),
		"an event of type other makes a message known": mutant(func(_, next *State, e *schemas.Event) {
			if e.Type == schemas.TypeOther && !next.has(factSent) {
				next.seen |= 1 << factSent
				next.at[factSent] = e.OccurredAt.Seconds()
			}
		}),
		"(other) is like any value": mutant(func(old, next *State, e *schemas.Event) {
			if e.Dimensions.Campaign == schemas.OtherValue && e.DimensionSource > old.fields[fieldCampaign].source {
				next.fields[fieldCampaign] = register{schemas.OtherValue, e.DimensionSource, e.SourceRevision, origin{e.OccurredAt, e.ID}}
			}
		}),
		"the revision does not matter": mutant(func(old, next *State, e *schemas.Event) {
			r := register{e.Dimensions.Campaign, e.DimensionSource, 0, origin{e.OccurredAt, e.ID}}
			if next.fields[fieldCampaign] = old.fields[fieldCampaign]; r.beats(&next.fields[fieldCampaign]) {
				next.fields[fieldCampaign] = r
			}
		}),
	}
	m["of the copies of an event the first counts"] = func(r *rules) {
		heard := map[schemas.Key]bool{}
		r.join = func(s State, e *schemas.Event) (State, bool) {
			if heard[e.ID] {
				return s, false
			}
			heard[e.ID] = true
			return s.Join(e)
		}
	}
	m["of the copies of an event the last decides"] = mutant(func(old, next *State, e *schemas.Event) {
		if r := &next.fields[fieldCampaign]; e.Dimensions.Campaign != "" && r.from == (origin{e.OccurredAt, e.ID}) {
			r.value = e.Dimensions.Campaign
		}
	})
	m["of unequal costs of an event the last counts"] = mutant(func(old, next *State, e *schemas.Event) {
		if e.Cost != nil && next.charge.from == (origin{e.OccurredAt, e.ID}) && e.Cost.HasAmount == next.charge.cost.HasAmount {
			next.charge.cost = *e.Cost
		}
	})
	for f := range fields {
		m[fmt.Sprintf("last value of field %d wins", f)] = mutant(func(_, next *State, e *schemas.Event) {
			v := [fields]string{e.Sender, e.Country, e.Dimensions.Campaign, e.Dimensions.Template, e.Dimensions.Variant, e.Dimensions.Segment}[f]
			if v != "" {
				next.fields[f].value = v
			}
		})
	}
	return m
}

func deriveMutants() map[string]func(*rules) {
	mutant := func(f func(s *State, o *outcome)) func(*rules) {
		return func(r *rules) {
			r.derive = func(s *State) outcome {
				o := s.derive()
				if o.known {
					f(s, &o)
				}
				return o
			}
		}
	}
	return map[string]func(*rules){
		"dispatched alone is not an orphan": func(r *rules) {
			r.derive = func(s *State) outcome {
				if s.seen == 1<<factDispatched {
					return outcome{known: true, send: s.at[factDispatched]}
				}
				return s.derive()
			}
		},
		"delivered beyond the horizon counts": mutant(func(s *State, o *outcome) {
			if s.has(factDelivered) && o.slots[schemas.OutcomeDelivered] == 0 {
				o.slots[schemas.OutcomeDelivered] = schemas.Buckets
			}
		}),
		"late counts nothing": mutant(func(_ *State, o *outcome) { o.late = 0 }),
		"a failure beyond the horizon recovers": mutant(func(s *State, o *outcome) {
			if s.has(factFailed) && o.slots[schemas.OutcomeFailed] == 0 && o.slots[schemas.OutcomeDelivered] != 0 {
				o.slots[schemas.OutcomeFailed], o.recovered = schemas.Buckets, schemas.Buckets
			}
		}),
		"recovered at delivery, though it failed later": mutant(func(_ *State, o *outcome) {
			if o.recovered != 0 {
				o.recovered = o.slots[schemas.OutcomeDelivered]
			}
		}),
		"withheld is not counted": mutant(func(_ *State, o *outcome) { o.slots[schemas.OutcomeWithheld] = 0 }),
		"left by quoting it is not opened": mutant(func(s *State, o *outcome) {
			if !s.has(factRead) && !s.has(factClicked) && !s.has(factReplied) {
				o.slots[schemas.OutcomeOpened] = 0
			}
		}),
		"billed without delivery": mutant(func(s *State, o *outcome) {
			o.billed, o.billing = s.charge.set && s.charge.cost.Billable, s.charge.cost.Category
		}),
		"send time is the first time": mutant(func(s *State, o *outcome) {
			for f := range facts {
				o.send = min(o.send, s.time(f))
			}
		}),
	}
}

func addMutants() map[string]func(*rules) {
	mutant := func(f func(c *schemas.Counts, o *outcome, sign int64)) func(*rules) {
		return func(r *rules) {
			r.add = func(c *schemas.Counts, o *outcome, sign int64) {
				addOutcome(c, o, sign)
				f(c, o, sign)
			}
		}
	}
	return map[string]func(*rules){
		"nothing leaves a pane": func(r *rules) {
			r.add = func(c *schemas.Counts, o *outcome, sign int64) {
				if sign > 0 {
					addOutcome(c, o, sign)
				}
			}
		},
		"late is not taken back": mutant(func(c *schemas.Counts, o *outcome, sign int64) {
			c.Late += max(-sign, 0) * int64(o.late)
		}),
		"recovered stays failed": mutant(func(c *schemas.Counts, o *outcome, sign int64) {
			if o.recovered != 0 {
				c.Outcomes[schemas.OutcomeFailed][o.recovered-1] += sign
			}
		}),
		"recovered keeps its category": mutant(func(c *schemas.Counts, o *outcome, sign int64) {
			if o.recovered != 0 {
				addTo(&c.Failures, o.category, sign)
			}
		}),
		"cost of a failed message counts twice": mutant(func(c *schemas.Counts, o *outcome, sign int64) {
			if o.charged && o.slots[schemas.OutcomeFailed] != 0 {
				addTo(&c.CostMicros, o.currency, sign*o.micros)
			}
		}),
	}
}
