package rollup

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// brute computes the rates of a log straight from the definition: it
// keeps every pane in a plain list and sums anew for every row. It shares no
// code with the fold but the schemas.
type brute struct {
	cfg    Config
	panes  []schemas.Pane
	index  map[brutePane]int
	heard  map[int32]schemas.Progress
	known  schemas.Instant   // D-clock
	beyond []schemas.Instant // clocks more than a day ahead, not believed yet
	from   int64             // minutes before are forgotten
	closed int64             // 0: none
	out    []schemas.Rate

	shut    []schemas.Shutting
	reports map[string]map[int32]schemas.Reports
	// heardTo is, for each account that has a pane within reach, the last `at` heard
	// at each age.
	heardTo map[string]map[int64]int64
}

type brutePane struct {
	source int32
	minute int64
	tuple  schemas.Tuple
}

func bruteRates(cfg Config, log []task.Record) []schemas.Rate {
	b := &brute{
		cfg: cfg, index: map[brutePane]int{}, heard: map[int32]schemas.Progress{},
		reports: map[string]map[int32]schemas.Reports{}, heardTo: map[string]map[int64]int64{},
	}
	for _, r := range log {
		switch r.Schema {
		case schemas.SchemaPane:
			b.pane(r)
		case schemas.SchemaReports:
			b.report(r)
		default:
			b.progress(r)
		}
	}
	return b.out
}

func (b *brute) pane(r task.Record) {
	p, err := schemas.DecodePane(r.Value)
	if err != nil || p.Epoch != 1 {
		return
	}
	b.clock(min(p.DClock, r.Timestamp))
	var longest time.Duration
	for _, w := range b.cfg.Windows {
		for _, a := range w.Ages {
			longest = max(longest, w.Length+a)
		}
	}
	if keep := longest + 24*time.Hour; b.known.Time().After(time.UnixMilli(0).Add(keep)) {
		b.from = max(b.from, b.known.Time().Add(-keep).Truncate(time.Hour).Unix())
	}
	k := brutePane{p.Source, p.Minute, p.Tuple}
	i, known := b.index[k]
	switch {
	case p.Minute < b.from:
		return
	case !known:
		b.index[k] = len(b.panes)
		b.panes = append(b.panes, p)
	case p.Version > b.panes[i].Version:
		b.panes[i] = p
	}
	b.watch(p.Tuple.Account, p.Minute)
}

// clock takes in one D-clock: beyond a day ahead it needs an hour of such records in a
// row, and then the least of them counts.
func (b *brute) clock(at schemas.Instant) {
	if b.known == 0 || at-b.known <= 24*3600_000 {
		b.known, b.beyond = max(b.known, at), nil
		return
	}
	b.beyond = append(b.beyond, at)
	if least := slices.Min(b.beyond); slices.Max(b.beyond)-least >= 3600_000 {
		b.known, b.beyond = least, nil
		b.clock(at)
	}
}

func (b *brute) progress(r task.Record) {
	p, err := schemas.DecodeProgress(r.Value)
	if err != nil || p.Epoch != 1 || p.Stage != schemas.StageMessage {
		return
	}
	if old, ok := b.heard[p.Source]; ok {
		if p.NextOffset < old.NextOffset {
			return
		}
		p.CompleteTo = max(p.CompleteTo, old.CompleteTo)
	}
	b.heard[p.Source] = p
	b.shut = append(b.shut, p.Shut...)
	if len(b.heard) < int(p.Sources) {
		return
	}
	mark := p.CompleteTo
	for _, h := range b.heard {
		mark = min(mark, h.CompleteTo)
	}
	if mark == 0 {
		return
	}
	last := mark.Time().Truncate(time.Minute).Unix()
	if b.closed == 0 {
		b.closed = last
		for k := range b.index {
			if k.minute >= b.from {
				b.closed = min(b.closed, k.minute)
			}
		}
		for _, ages := range b.heardTo {
			for age := range ages {
				ages[age] = b.closed
			}
		}
	}
	for before := len(b.out); b.closed < last && len(b.out)-before < b.cfg.MaxRowsPerProgress; {
		if len(b.heardTo) == 0 {
			b.closed = last - 60
		}
		b.closed += 60
		for _, account := range slices.Sorted(maps.Keys(b.heardTo)) {
			b.listen(account, last, r.Offset, b.cfg.MaxRowsPerProgress-(len(b.out)-before))
			b.out = append(b.out, b.rates(account, b.closed, r.Offset, nil)...)
		}
		for account := range b.heardTo {
			if b.idle(account) {
				delete(b.heardTo, account)
			}
		}
	}
}

// rates are the rows of one account and `at`, in key order; of one age if it is
// given.
func (b *brute) rates(account string, at, version int64, only *int64) []schemas.Rate {
	var out []schemas.Rate
	for _, w := range b.cfg.Windows {
		if at%int64(w.Every/time.Second) != 0 {
			continue
		}
		for _, a := range w.Ages {
			age, length := int64(a/time.Second), int64(w.Length/time.Second)
			if only != nil && *only != age {
				continue
			}
			lo, hi := at-age-length, at-age
			if lo < b.from && b.from > 0 {
				continue
			}
			sums := map[schemas.Series]schemas.Totals{}
			for i := range b.panes {
				if p := &b.panes[i]; p.Tuple.Account == account && lo <= p.Minute && p.Minute < hi {
					for _, g := range b.cfg.Groupings {
						bruteAdd(sums, g, p, age)
					}
				}
			}
			for s, t := range sums {
				if t != (schemas.Totals{}) {
					out = append(out, schemas.Rate{
						Epoch: 1, Series: s, Window: uint32(length), Age: uint32(age), At: at,
						Version: version, DClock: b.known, Totals: t, Unheard: b.heardTo[account][age] < at,
					})
				}
			}
		}
	}
	slices.SortFunc(out, bruteOrder)
	return out
}

func bruteAdd(sums map[schemas.Series]schemas.Totals, g schemas.Grouping, p *schemas.Pane, age int64) {
	s := schemas.Series{Account: p.Tuple.Account, Grouping: g}
	if g != schemas.GroupAccount {
		s.Channel = p.Tuple.Channel
	}
	if g == schemas.GroupSender {
		s.Sender = p.Tuple.Sender
	}
	if g == schemas.GroupCampaign || g == schemas.GroupCampaignVariant {
		s.Campaign = p.Tuple.Campaign
	}
	if g == schemas.GroupCampaignVariant {
		if s.Variant = p.Tuple.Variant; s.Variant == "" {
			return
		}
	}
	count := func(h schemas.Histogram) (n int64) {
		for i, edge := range schemas.Edges() {
			if age == 0 || edge <= age {
				n += h[i]
			}
		}
		return n
	}
	t, c := sums[s], p.Counts
	t.Sent += c.Sent
	t.Outcomes[schemas.OutcomeDelivered] += count(c.Outcomes[schemas.OutcomeDelivered])
	t.Outcomes[schemas.OutcomeOpened] += count(c.Outcomes[schemas.OutcomeOpened])
	t.Outcomes[schemas.OutcomeRead] += count(c.Outcomes[schemas.OutcomeRead])
	t.Outcomes[schemas.OutcomeClicked] += count(c.Outcomes[schemas.OutcomeClicked])
	t.Outcomes[schemas.OutcomeReplied] += count(c.Outcomes[schemas.OutcomeReplied])
	t.Outcomes[schemas.OutcomeEngaged] += count(c.Outcomes[schemas.OutcomeEngaged])
	t.Outcomes[schemas.OutcomeOptedOut] += count(c.Outcomes[schemas.OutcomeOptedOut])
	t.Outcomes[schemas.OutcomeFailed] += count(c.Outcomes[schemas.OutcomeFailed])
	t.Outcomes[schemas.OutcomeWithheld] += count(c.Outcomes[schemas.OutcomeWithheld])
	sums[s] = t
}

func bruteOrder(a, b schemas.Rate) int {
	return cmp.Or(
		cmp.Compare(a.At, b.At),
		cmp.Compare(a.Series.Account, b.Series.Account), cmp.Compare(a.Series.Grouping, b.Series.Grouping),
		cmp.Compare(a.Series.Channel, b.Series.Channel), cmp.Compare(a.Series.Sender, b.Series.Sender),
		cmp.Compare(a.Series.Campaign, b.Series.Campaign), cmp.Compare(a.Series.Variant, b.Series.Variant),
		cmp.Compare(a.Window, b.Window), cmp.Compare(a.Age, b.Age), cmp.Compare(a.Version, b.Version),
	)
}
