package simulate

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testStart = time.Date(2026, 2, 3, 4, 0, 0, 0, time.UTC)

// lastBlock is some minutes past live.
func lastBlock(p *plan) int64 { return p.blockOf(p.live + 300) }

func TestBlocksArePure(t *testing.T) {
	const scale = 0.05
	a, b := newPlan(7, testStart, scale), newPlan(7, testStart, scale)
	first := a.newBlocks(0)
	var whole [][]byte
	var from []int64
	for block := int64(0); block <= lastBlock(a); block++ {
		for _, body := range first.take(block) {
			whole = append(whole, a.render(body.updates))
			from = append(from, block)
		}
	}
	for _, resume := range []int64{0, 1, 700, a.blockOf(a.live) - 1, a.blockOf(a.live) + 40} {
		second := b.newBlocks(resume)
		i, _ := slices.BinarySearch(from, resume)
		for block := resume; block <= lastBlock(a); block++ {
			for _, body := range second.take(block) {
				if string(b.render(body.updates)) != string(whole[i]) {
					t.Fatalf("resumed at %d: body of block %d differs", resume, block)
				}
				i++
			}
		}
		if i != len(whole) {
			t.Errorf("resumed at %d: %d bodies of %d", resume, i, len(whole))
		}
	}
	other := newPlan(8, testStart, scale)
	if string(other.render(other.newBlocks(0).take(60)[0].updates)) == string(a.render(a.newBlocks(0).take(60)[0].updates)) {
		t.Error("another seed, the same bodies")
	}
}

// TestLiveResumesFarBehind: a restart hours after live sees the same bodies as
// one that never stopped, though it looks back only as far as news can reach.
func TestLiveResumesFarBehind(t *testing.T) {
	p := newPlan(3, testStart, 0.02)
	resume := p.blockOf(p.live + 4*3600)
	all, late := p.newBlocks(0), p.newBlocks(resume)
	for block := int64(0); block < resume; block++ {
		all.take(block)
	}
	for block := resume; block < resume+600; block++ {
		x, y := all.take(block), late.take(block)
		if len(x) != len(y) {
			t.Fatalf("block %d: %d and %d bodies", block, len(x), len(y))
		}
		for i := range x {
			if !slices.Equal(x[i].updates, y[i].updates) {
				t.Fatalf("block %d body %d differs", block, i)
			}
		}
	}
}

func TestBodies(t *testing.T) {
	p := newPlan(1, testStart, 1)
	blocks := p.newBlocks(0)
	sizes := map[string]int{}
	for block := int64(0); block < lastBlock(p); block++ {
		for _, b := range blocks.take(block) {
			raw := p.render(b.updates)
			if len(raw) > 3<<20 || len(b.updates) > maxUpdates || !json.Valid(raw) {
				t.Fatalf("block %d: %d bytes, %d updates", block, len(raw), len(b.updates))
			}
			switch n := len(b.updates); {
			case n == 1:
				sizes["one"]++
			case n == maxUpdates:
				sizes["most"]++
			default:
				sizes["between"]++
			}
		}
	}
	for _, want := range []string{"one", "most", "between"} {
		if sizes[want] == 0 {
			t.Errorf("no body of size %s: %v", want, sizes)
		}
	}
}

// TestRatesAreWhatTheStorySays checks the day against the limits that alerts
// use: the two bad campaigns are far beyond them, every other well clear.
func TestRatesAreWhatTheStorySays(t *testing.T) {
	p := newPlan(1, testStart, 1)
	type tally struct{ sent, withheld, delivered30m, delivered24h, left float64 }
	by := map[string]*tally{}
	for _, m := range p.history {
		name := p.campaigns[m.campaign].name
		if name == Collapsing && m.profile.deliver > 0.5 {
			name += " before"
		}
		c := by[name]
		if c == nil {
			c = &tally{}
			by[name] = c
		}
		c.sent++
		first := int64(math.MaxInt64)
		for _, u := range p.story(m) {
			switch u.kind {
			case kindDelivered, kindRead, kindTap, kindQuote, kindLeave:
				first = min(first, u.occurred-m.sentAt)
			case kindFailed:
				if u.repeat == 0 && (u.code == 131049 || u.code == 130472 || u.code == 131050) {
					c.withheld++
				}
			}
			if u.kind == kindLeave && u.repeat == 0 {
				c.left++
			}
		}
		if first <= 1800 {
			c.delivered30m++
		}
		if first <= 86400 {
			c.delivered24h++
		}
	}
	for name, c := range by {
		eligible := c.sent - c.withheld
		d30, d24, left := c.delivered30m/eligible, c.delivered24h/eligible, c.left/c.delivered24h
		t.Logf("%-22s sent %5.0f  30 min %.3f  24 h %.3f  opt-outs %.4f", name, c.sent, d30, d24, left)
		switch name {
		case Collapsing:
			if d30 > 0.4 {
				t.Errorf("%s: %.3f delivered after 30 minutes, want a collapse", name, d30)
			}
		case Swelling:
			if left < 0.05 {
				t.Errorf("%s: opt-out rate %.4f, want a swell", name, left)
			}
		default:
			if d30 < 0.75 || d24 < 0.965 || left > 0.006 {
				t.Errorf("%s is not healthy", name)
			}
		}
	}
}

func TestSampleIsValid(t *testing.T) {
	b := SampleBody(1_790_000_000)
	if !json.Valid(b) || strings.ContainsRune(string(b), '\'') {
		t.Errorf("%s: not JSON, or not pasteable between single quotes", b)
	}
}
