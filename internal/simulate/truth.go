package simulate

import (
	"slices"
	"strings"
	"sync"
)

// CampaignTruth is what a perfect observer of the acknowledged webhooks counts:
// unique messages, so far.
type CampaignTruth struct {
	Campaign  string
	Sent      int64
	Delivered int64
	Opened    int64
	Engaged   int64
	OptedOut  int64
	Failed    int64
	Recovered int64
}

// truth remembers per message which kinds of update were acknowledged. It is
// guarded by its mutex.
type truth struct {
	plan *plan

	mu struct {
		sync.Mutex
		seen         map[int]uint16 // by message index: a bit per kind
		updates      int64          // acknowledged, repetitions included
		unattributed int64          // opt-outs that name no message
	}
}

func newTruth(p *plan) *truth {
	t := &truth{plan: p}
	t.mu.seen = map[int]uint16{}
	return t
}

func (t *truth) acknowledge(updates []update) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.updates += int64(len(updates))
	for _, u := range updates {
		bit := uint16(1) << u.kind
		if t.mu.seen[u.message]&bit == 0 && (u.kind == kindStop || u.kind == kindPrefer) {
			t.mu.unattributed++
		}
		t.mu.seen[u.message] |= bit
	}
}

func has(seen uint16, kinds ...kind) bool {
	for _, k := range kinds {
		if seen&(1<<k) != 0 {
			return true
		}
	}
	return false
}

// campaigns counts by the definitions of docs/metrics.md.
func (t *truth) campaigns() []CampaignTruth {
	byName := map[string]*CampaignTruth{}
	t.mu.Lock()
	defer t.mu.Unlock()
	for index, seen := range t.mu.seen {
		if !has(seen, kindSent, kindDelivered, kindFailed) {
			continue // nothing yet says that the message was sent
		}
		name := t.campaign(index, seen)
		c := byName[name]
		if c == nil {
			c = &CampaignTruth{Campaign: name}
			byName[name] = c
		}
		opened := has(seen, kindRead, kindTap, kindQuote, kindLeave)
		delivered := opened || has(seen, kindDelivered)
		failed := has(seen, kindFailed)
		c.Sent++
		count(&c.Delivered, delivered)
		count(&c.Opened, opened)
		count(&c.Engaged, has(seen, kindTap, kindQuote))
		count(&c.OptedOut, has(seen, kindLeave))
		count(&c.Failed, failed && !delivered)
		count(&c.Recovered, failed && delivered)
	}
	var all []CampaignTruth
	for _, c := range byName {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b CampaignTruth) int { return strings.Compare(a.Campaign, b.Campaign) })
	return all
}

// Unattributed counts the messages whose campaign no webhook has named so far.
const Unattributed = "(unattributed)"

// campaign is the campaign that the acknowledged webhooks of a message name.
func (t *truth) campaign(index int, seen uint16) string {
	m := t.plan.at(index)
	if !has(seen, kindSent) {
		_, onlySent := t.plan.callbackHabits(m)
		if onlySent || !has(seen, kindDelivered, kindRead, kindFailed) {
			return Unattributed
		}
	}
	return t.plan.campaigns[m.campaign].name
}

func count(n *int64, yes bool) {
	if yes {
		*n++
	}
}

func (t *truth) totals() (updates, unattributed int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.updates, t.mu.unattributed
}
