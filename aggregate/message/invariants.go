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
	for _, p := range [...]struct{ part, whole histogram }{
		{histOpened, histDelivered},
		{histRead, histOpened},
		{histEngaged, histOpened},
		{histClicked, histEngaged},
		{histReplied, histEngaged},
		{histOptedOut, histOpened},
	} {
		invariant.Check(s[p.part] == 0 || s[p.whole] != 0 && s[p.whole] <= s[p.part],
			"M1: histogram %d in slot %d, the one that holds it, %d, in slot %d", p.part, s[p.part], p.whole, s[p.whole])
	}
	invariant.Check(s[histWithheld] == 0 || s[histWithheld] == s[histFailed], "M2: withheld but not failed")
	both := s[histFailed] != 0 && s[histDelivered] != 0
	invariant.Check((o.recovered != 0) == both, "M3: recovered in slot %d, failed %d, delivered %d", o.recovered, s[histFailed], s[histDelivered])
	invariant.Check(!both || o.recovered >= max(s[histFailed], s[histDelivered]), "M3: recovered before it failed and was delivered")
	invariant.Check(o.known || *o == (outcome{}), "M4: an orphan counts")
}

// checkPane asserts M5 and M6 for the counts of a pane.
func checkPane(p *pane) {
	if !invariant.Enabled {
		return
	}
	c := &p.counts
	invariant.Check(c.Sent >= 0 && c.Recovered >= 0 && c.Late >= 0, "M5: pane %x counts less than nothing", p.cell)
	var sum [histograms]int64
	for b := range schemas.Buckets {
		for h, hist := range histogramsOf(c) {
			sum[h] += hist[b]
			invariant.Check(sum[h] >= 0, "M5: histogram %d of pane %x counts less than nothing", h, p.cell)
		}
		invariant.Check(sum[histOpened] <= sum[histDelivered] && sum[histEngaged] <= sum[histOpened] &&
			sum[histRead] <= sum[histOpened] && sum[histOptedOut] <= sum[histDelivered] &&
			sum[histClicked] <= sum[histEngaged] && sum[histReplied] <= sum[histEngaged] &&
			sum[histWithheld] <= sum[histFailed], "M6: a part of pane %x exceeds its whole: %v", p.cell, sum)
		invariant.Check(sum[histDelivered]+sum[histFailed] <= c.Sent, "M6: pane %x has pending below zero", p.cell)
	}
	var failures int64
	for _, n := range c.Failures {
		failures += n
	}
	invariant.Check(failures == sum[histFailed], "M6: categories of pane %x sum to %d, failed is %d", p.cell, failures, sum[histFailed])
}
