package rollup

import (
	"slices"
	"time"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

func (b *brute) report(r task.Record) {
	p, err := schemas.DecodeReports(r.Value)
	if err != nil || p.Epoch != 1 {
		return
	}
	if b.reports[p.Account] == nil {
		b.reports[p.Account] = map[int32]schemas.Reports{}
	}
	if old, ok := b.reports[p.Account][p.Source]; !ok || p.Version > old.Version {
		b.reports[p.Account][p.Source] = p
	}
}

// ages are all that are configured, in order.
func (b *brute) ages() []int64 {
	var ages []int64
	for _, w := range b.cfg.Windows {
		for _, a := range w.Ages {
			ages = append(ages, int64(a/time.Second))
		}
	}
	slices.Sort(ages)
	return slices.Compact(ages)
}

func (b *brute) reach() int64 {
	var reach time.Duration
	for _, w := range b.cfg.Windows {
		for _, a := range w.Ages {
			reach = max(reach, w.Length+a)
		}
	}
	return int64(reach / time.Second)
}

// watch begins with an account when a pane comes that a rate can still need:
// nothing of it is waited for so far.
func (b *brute) watch(account string, minute int64) {
	if b.heardTo[account] == nil && (b.closed == 0 || minute >= b.closed+60-b.reach()) {
		b.heardTo[account] = map[int64]int64{}
		for _, age := range b.ages() {
			b.heardTo[account][age] = b.closed
		}
	}
}

// idle reports whether the account has no pane that a rate can still need.
func (b *brute) idle(account string) bool {
	low := b.closed
	for _, at := range b.heardTo[account] {
		low = min(low, at)
	}
	low = max(low+60-b.reach(), b.from)
	return !slices.ContainsFunc(b.panes, func(p schemas.Pane) bool {
		return p.Tuple.Account == account && p.Minute >= low
	})
}

// listen emits again what was not heard when its `at` closed and is now: every
// (age, at) waits for those before it.
func (b *brute) listen(account string, now, version int64, most int) {
	before := len(b.out)
	for _, age := range b.ages() {
		for at := b.heardTo[account][age] + 60; at <= b.closed; at += 60 {
			if at < b.closed && len(b.out)-before >= most || !b.isHeard(account, at, age, now) {
				break
			}
			b.heardTo[account][age] = at
			if at < b.closed {
				for _, r := range b.rates(account, at, version, &age) {
					r.DClock = max(r.DClock, schemas.Instant(now)*1000)
					b.out = append(b.out, r)
				}
			}
		}
	}
}

// isHeard is the definition of docs/metrics.md.
func (b *brute) isHeard(account string, at, age, now int64) bool {
	for _, s := range b.shut {
		overlaps := s.From.Seconds() < at && at-age-60 < s.To.Seconds()
		if overlaps && now-s.To.Seconds() < 3600 {
			return false
		}
	}
	if age == 0 || len(b.reports[account]) == 0 || now-at >= 6*3600 {
		return true
	}
	newest, late, all := int64(0), 0, 0
	for _, r := range b.reports[account] {
		newest = max(newest, r.Newest.Seconds())
		for i, n := range r.Lags {
			if all += int(n); i == len(r.Lags)-1 || schemas.Edges()[i] > age {
				late += int(n)
			}
		}
	}
	return 10*late <= all && newest >= at
}
