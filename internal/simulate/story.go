package simulate

import (
	"math"
	"math/rand/v2"
)

// kind is what an update reports of its message.
type kind uint8

const (
	kindSent kind = iota
	kindDelivered
	kindRead
	kindFailed
	kindTap    // a button, list row or reply button that names the message
	kindQuote  // a text that quotes the message
	kindText   // a text that names nothing
	kindLeave  // an opt-out button that names the message
	kindStop   // a STOP text that names nothing
	kindPrefer // user_preferences stop, which names nothing
)

// update is one item of a webhook body.
type update struct {
	message  int   // index
	occurred int64 // seconds
	post     int64 // seconds: when the provider posts it
	kind     kind
	code     int32 // of kindFailed
	repeat   uint8 // 0, or which repetition by the provider
}

// story is everything that happens to a message, from its own random source.
func (p *plan) story(m message) []update {
	r := p.random(m.index, 1)
	t := &teller{random: r, message: m, post: p.random(m.index, 2)}
	t.add(kindSent, m.sentAt+int64(r.IntN(2)))
	delivered, ok := t.fate()
	if ok {
		t.react(delivered)
	}
	if m.sentAt >= p.live {
		t.updates = within(t.updates, m.sentAt+int64(storyLimit.Seconds())-600)
	}
	for _, u := range t.updates {
		if t.post.Float64() < 0.02 {
			u.repeat = 1
			u.post += 30 + int64(t.post.IntN(300))
			t.updates = append(t.updates, u)
		}
	}
	return t.updates
}

func within(updates []update, limit int64) []update {
	kept := updates[:0]
	for _, u := range updates {
		if u.occurred <= limit {
			kept = append(kept, u)
		}
	}
	return kept
}

type teller struct {
	random, post *rand.Rand
	message      message
	updates      []update
}

func (t *teller) add(k kind, occurred int64) *update {
	// Webhooks take a while: mostly a second or two, one in fifty up to a minute.
	// So they are not posted in the order in which things happened.
	travel := int64(t.post.IntN(4))
	if t.post.Float64() < 0.02 {
		travel = int64(t.post.IntN(60))
	}
	t.updates = append(t.updates, update{message: t.message.index, occurred: occurred, post: occurred + travel, kind: k})
	return &t.updates[len(t.updates)-1]
}

func (t *teller) fail(code int32, after int64) {
	t.add(kindFailed, t.message.sentAt+after).code = code
}

// fate decides between withheld, failed, pending and delivered; it returns the
// time of delivery.
func (t *teller) fate() (delivered int64, ok bool) {
	r, pr := t.random, t.message.profile
	if r.Float64() < pr.withheld {
		codes := [...]int32{131049, 131049, 130472, 131050}
		t.fail(codes[r.IntN(len(codes))], 1+int64(r.IntN(5)))
		return 0, false
	}
	if r.Float64() >= pr.deliver {
		// Half of what never arrives fails with a code, the rest stays at sent.
		if r.Float64() < 0.5 {
			codes := [...]int32{131026, 131026, 131047, 132015}
			t.fail(codes[r.IntN(len(codes))], 1+int64(r.IntN(20)))
		}
		return 0, false
	}
	at := t.message.sentAt + deliveryDelay(r, pr.prompt)
	if r.Float64() < 0.004 { // one device failed, another got it
		t.fail(131036, 1+int64(r.IntN(10)))
	}
	return at, true
}

// deliveryDelay follows the usual curve: 83 % of what is delivered within five
// minutes, 90 % in an hour, 94 % in four, the rest within 23 hours.
func deliveryDelay(r *rand.Rand, prompt bool) int64 {
	u := r.Float64()
	switch {
	case prompt || u < 0.83:
		return 1 + int64(math.Min(240, r.ExpFloat64()*35))
	case u < 0.90:
		return 300 + int64(r.Float64()*3300)
	case u < 0.94:
		return 3600 + int64(r.Float64()*3*3600)
	default:
		return 4*3600 + int64(r.Float64()*19*3600)
	}
}

// react is what the person does with a delivered message.
func (t *teller) react(delivered int64) {
	r, pr := t.random, t.message.profile
	read := r.Float64() < pr.read
	readAt := delivered + 2 + int64(math.Min(12*3600, math.Exp(r.NormFloat64()*1.4+math.Log(15*60))))
	if pr.prompt {
		readAt = delivered + 2 + int64(math.Min(3600, r.ExpFloat64()*300))
	}
	// Read in an open chat: no delivered webhook is sent.
	if !read || readAt-delivered > 5 || r.Float64() < 0.5 {
		t.add(kindDelivered, delivered)
	}
	if read {
		if r.Float64() < 0.93 { // the rest has receipts switched off
			t.add(kindRead, readAt)
		}
		if r.Float64() < pr.tap[t.message.variant] {
			t.add(kindTap, readAt+3+int64(math.Min(3600, r.ExpFloat64()*60)))
		}
		if r.Float64() < pr.reply {
			k := kindText
			if r.Float64() < 0.5 {
				k = kindQuote
			}
			t.add(k, readAt+10+int64(math.Min(3600, r.ExpFloat64()*120)))
		}
	}
	if r.Float64() < pr.leave {
		t.add(kindLeave, delivered+20+int64(math.Min(5000, r.ExpFloat64()*1200)))
	} else if r.Float64() < pr.stop {
		k := kindStop
		if r.Float64() < 0.5 {
			k = kindPrefer
		}
		t.add(k, delivered+20+int64(math.Min(7200, r.ExpFloat64()*1800)))
	}
}
