package simulate

import (
	"cmp"
	"slices"
)

// blocks hands out the updates of one block after another. One goroutine owns
// it.
type blocks struct {
	plan    *plan
	pending map[int64][]update // by block
	told    int                // live messages told so far
}

// blockOf is the block of a posting time: minutes from the start before live,
// seconds after.
func (p *plan) blockOf(second int64) int64 {
	if second < p.live {
		return max(0, second-p.start) / 60
	}
	return (p.live-p.start)/60 + second - p.live
}

// bounds are the first second of a block and the first after it.
func (p *plan) bounds(block int64) (from, to int64) {
	minutes := (p.live - p.start) / 60
	if block < minutes {
		return p.start + 60*block, p.start + 60*block + 60
	}
	return p.live + block - minutes, p.live + block - minutes + 1
}

// newBlocks starts at block first; what was due before is not handed out.
func (p *plan) newBlocks(first int64) *blocks {
	b := &blocks{plan: p, pending: map[int64][]update{}}
	for _, m := range p.history {
		b.tell(m, first)
	}
	// Live messages older than their last news and its repetition are history.
	if from, _ := p.bounds(first); from > p.live {
		b.told = int(max(0, from-p.live-int64(storyLimit.Seconds())) / int64(liveEvery.Seconds()))
	}
	return b
}

func (b *blocks) tell(m message, first int64) {
	for _, u := range b.plan.story(m) {
		if block := b.plan.blockOf(u.post); block >= first {
			b.pending[block] = append(b.pending[block], u)
		}
	}
}

// take returns the bodies of a block. Blocks must be taken in ascending order.
func (b *blocks) take(block int64) []body {
	_, to := b.plan.bounds(block)
	for m := b.plan.liveMessage(b.told); m.sentAt < to; m = b.plan.liveMessage(b.told) {
		b.tell(m, block)
		b.told++
	}
	updates := b.pending[block]
	delete(b.pending, block)
	slices.SortFunc(updates, func(x, y update) int {
		return cmp.Or(cmp.Compare(x.post, y.post), cmp.Compare(x.message, y.message), cmp.Compare(x.kind, y.kind), cmp.Compare(x.repeat, y.repeat))
	})
	return b.plan.compose(block, updates)
}
