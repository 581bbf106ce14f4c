package message

import (
	"github.com/bluetick/bluetick/internal/invariant"
	"github.com/bluetick/bluetick/schemas"
)

// checkOutcome asserts M1 to M4 for one message.
func checkOutcome(o *outcome) {
	if !invariant.Enabled {
		return
	}
	s := &o.slots
	for _, p := range [...]struct{ part, whole schemas.Outcome }{
		{schemas.OutcomeOpened, schemas.OutcomeDelivered},
		{schemas.OutcomeRead, schemas.OutcomeOpened},
		{schemas.OutcomeEngaged, schemas.OutcomeOpened},
		{schemas.OutcomeClicked, schemas.OutcomeEngaged},
		{schemas.OutcomeReplied, schemas.OutcomeEngaged},
		{schemas.OutcomeOptedOut, schemas.OutcomeOpened},
	} {
		invariant.Check(s[p.part] == 0 || s[p.whole] != 0 && s[p.whole] <= s[p.part],
			"M1: %s in slot %d, the one that holds it, %s, in slot %d", p.part, s[p.part], p.whole, s[p.whole])
	}
	invariant.Check(s[schemas.OutcomeWithheld] == 0 || s[schemas.OutcomeWithheld] == s[schemas.OutcomeFailed], "M2: withheld but not failed")
	both := s[schemas.OutcomeFailed] != 0 && s[schemas.OutcomeDelivered] != 0
	invariant.Check((o.recovered != 0) == both, "M3: recovered in slot %d, failed %d, delivered %d", o.recovered, s[schemas.OutcomeFailed], s[schemas.OutcomeDelivered])
	invariant.Check(!both || o.recovered >= max(s[schemas.OutcomeFailed], s[schemas.OutcomeDelivered]), "M3: recovered before it failed and was delivered")
	invariant.Check(o.known || *o == (outcome{}), "M4: an orphan counts")
}

// checkPane asserts M5 and M6 for the counts of a pane.
func checkPane(p *pane) {
	if !invariant.Enabled {
		return
	}
	c := &p.counts
	invariant.Check(c.Sent >= 0 && c.Recovered >= 0 && c.Late >= 0, "M5: pane %x counts less than nothing", p.cell)
	var sum schemas.ByOutcome
	for b := range schemas.Buckets {
		for h := range c.Outcomes {
			sum[h] += c.Outcomes[h][b]
			invariant.Check(sum[h] >= 0, "M5: %s of pane %x counts less than nothing", schemas.Outcome(h), p.cell)
		}
		invariant.Check(sum[schemas.OutcomeOpened] <= sum[schemas.OutcomeDelivered] && sum[schemas.OutcomeEngaged] <= sum[schemas.OutcomeOpened] &&
			sum[schemas.OutcomeRead] <= sum[schemas.OutcomeOpened] && sum[schemas.OutcomeOptedOut] <= sum[schemas.OutcomeDelivered] &&
			sum[schemas.OutcomeClicked] <= sum[schemas.OutcomeEngaged] && sum[schemas.OutcomeReplied] <= sum[schemas.OutcomeEngaged] &&
			sum[schemas.OutcomeWithheld] <= sum[schemas.OutcomeFailed], "M6: a part of pane %x exceeds its whole: %v", p.cell, sum)
		invariant.Check(sum[schemas.OutcomeDelivered]+sum[schemas.OutcomeFailed] <= c.Sent, "M6: pane %x has pending below zero", p.cell)
	}
	var failures int64
	for _, n := range c.Failures {
		failures += n
	}
	invariant.Check(failures == sum[schemas.OutcomeFailed], "M6: categories of pane %x sum to %d, failed is %d", p.cell, failures, sum[schemas.OutcomeFailed])
}
