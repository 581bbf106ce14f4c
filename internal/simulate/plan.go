package simulate

import (
	"math/rand/v2"
	"time"
)

// The campaigns that go wrong. No other may raise an alert.
const (
	Swelling   = "win_back"     // opt-outs swell after launch
	Collapsing = "flash_friday" // delivery collapses from its second wave on
	// AlwaysOn goes on after the day of campaigns, for ever.
	AlwaysOn = "order_updates"
)

// History is the time of campaigns before the account goes live: what happens
// in it is posted in blocks of a minute, what comes after in blocks of a second.
const History = 26 * time.Hour

// liveEvery is the distance of the messages of AlwaysOn once live.
const liveEvery = 2 * time.Second

// storyLimit is how long after its sending a live message still has news; it
// bounds how far back a block must look.
const storyLimit = 2 * time.Hour

// profile is how the people of a campaign behave. Shares are fractions.
type profile struct {
	deliver  float64    // of those not withheld, in the end
	withheld float64    // of all
	read     float64    // of delivered
	tap      [2]float64 // of those who read, per variant
	reply    float64    // of those who read
	leave    float64    // of delivered: an opt-out button that names the message
	stop     float64    // of delivered: a STOP that names nothing
	prompt   bool       // a service message: everything is quick
}

type wave struct {
	after    time.Duration // from the start
	messages int           // at scale 1
	over     time.Duration
	profile  profile
}

type campaign struct {
	name, template, category string
	sender                   int
	waves                    []wave
}

func healthy(read, tapA, tapB float64) profile {
	return profile{deliver: 0.983, withheld: 0.02, read: read, tap: [2]float64{tapA, tapB}, reply: 0.03, leave: 0.002, stop: 0.001}
}

// campaigns is the plan of the day.
func campaigns() []campaign {
	h := func(f float64) time.Duration { return time.Duration(f * float64(time.Hour)) }
	swell := healthy(0.62, 0.10, 0.12)
	swell.leave = 0.065
	collapse := healthy(0.55, 0.12, 0.12)
	collapse.deliver = 0.3
	service := profile{deliver: 0.99, withheld: 0.001, read: 0.8, tap: [2]float64{0.2, 0.2}, reply: 0.02, leave: 0.0005, stop: 0.0005, prompt: true}
	cart := healthy(0.58, 0.20, 0.24)
	var reminders []wave
	for hour := range 20 {
		reminders = append(reminders, wave{h(1 + float64(hour)), 150, h(0.8), cart})
	}
	return []campaign{
		{"spring_sale", "spring_sale_v3", "marketing", 0, []wave{{h(0.4), 2500, h(0.4), healthy(0.66, 0.22, 0.30)}, {h(3), 1500, h(0.03), healthy(0.66, 0.22, 0.30)}}},
		{"loyalty_week", "loyalty_points", "marketing", 1, []wave{{h(0.8), 2000, h(0.6), healthy(0.71, 0.34, 0.31)}, {h(9), 1500, h(0.5), healthy(0.71, 0.34, 0.31)}}},
		{"new_arrivals", "new_arrivals_carousel", "marketing", 0, []wave{{h(2), 1800, h(0.5), healthy(0.52, 0.12, 0.16)}, {h(11), 1500, h(0.5), healthy(0.52, 0.12, 0.16)}}},
		{"cart_reminder", "cart_reminder", "marketing", 1, reminders},
		{Swelling, "win_back_20", "marketing", 0, []wave{{h(4), 4000, h(1), swell}}},
		{Collapsing, "flash_friday", "marketing", 1, []wave{{h(1.2), 1200, h(0.3), healthy(0.55, 0.12, 0.12)}, {h(6), 2400, h(1), collapse}}},
		{AlwaysOn, "order_update", "utility", 1, []wave{{h(0.2), 1500, h(25.7), service}}},
	}
}

// message is one planned message, known by its index.
type message struct {
	index    int
	campaign int // index in campaigns
	variant  int
	sentAt   int64 // seconds since the epoch
	profile  profile
}

// plan answers which messages there are. Immutable after newPlan.
type plan struct {
	seed      uint64
	start     int64 // seconds, a whole minute
	live      int64 // seconds
	campaigns []campaign
	history   []message // in order of index
}

func newPlan(seed uint64, start time.Time, scale float64) *plan {
	p := &plan{seed: seed, start: start.Truncate(time.Minute).Unix(), campaigns: campaigns()}
	p.live = p.start + int64(History/time.Second)
	for ci, c := range p.campaigns {
		for _, w := range c.waves {
			n := max(2, int(float64(w.messages)*scale))
			for i := range n {
				m := message{index: len(p.history), campaign: ci, profile: w.profile}
				r := p.random(m.index, 0)
				offset := w.after + time.Duration((float64(i)+r.Float64())/float64(n)*float64(w.over))
				m.sentAt = p.start + int64(offset/time.Second)
				m.variant = r.IntN(2)
				p.history = append(p.history, m)
			}
		}
	}
	return p
}

// liveMessage is the k-th message after the history.
func (p *plan) liveMessage(k int) message {
	last := len(p.campaigns) - 1
	m := message{index: len(p.history) + k, campaign: last, profile: p.campaigns[last].waves[0].profile}
	m.sentAt = p.live + int64(k)*int64(liveEvery/time.Second)
	m.variant = p.random(m.index, 0).IntN(2)
	return m
}

// at is the message of an index.
func (p *plan) at(index int) message {
	if index < len(p.history) {
		return p.history[index]
	}
	return p.liveMessage(index - len(p.history))
}

// random is the source of everything about one message, by purpose.
func (p *plan) random(index int, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(p.seed, uint64(index)<<8|purpose))
}
