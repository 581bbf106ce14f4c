package rollup

import (
	"slices"

	"github.com/bluetick/bluetick/schemas"
)

// deaf is why the cohort of a minute is not heard; heard if it is. The words are
// for tests and the docs.
type deaf string

const (
	heard      deaf = ""
	deafShut   deaf = "shut"   // the door was shut while its reports came, and what could not be taken may still come
	deafBehind deaf = "behind" // the account's reports come later than half the age
	deafSilent deaf = "silent" // the account has reported nothing that occurred after the age was reached
)

// listened is what is known of how an account's reports come, over all sources.
type listened struct {
	// known is false where no source has said anything: then only the door is asked.
	known  bool
	newest schemas.Instant
	lags   schemas.Lags
}

// judge says whether what became of the messages sent in the minute before
// at - age, by the time they were `age` old, has been heard at `now`; all in
// seconds, now at least at. shut are the shuttings of the door.
//
//   - No shutting overlaps the time from the minute to at, or schemas.RetryGrace has passed
//     since the end of the last one that does.
//   - Nine tenths of the account's last reports came within half the age. Not
//     asked at age 0, which promises nothing.
//   - The account has reported something that occurred at or after at. Neither is
//     this.
//
// The last two excuse for no longer than schemas.Patience.
func (l *listened) judge(at, age, now int64, shut []schemas.Shutting) deaf {
	for _, s := range shut {
		if s.From.Seconds() < at && s.To.Seconds() > at-age-minute && s.To.Seconds() > now-schemas.RetryGrace {
			return deafShut
		}
	}
	if !l.known || age == 0 || now-at >= schemas.Patience {
		return heard
	}
	if in, of := l.lags.Within(age); 10*in < 9*of {
		return deafBehind
	}
	if l.newest.Seconds() < at {
		return deafSilent
	}
	return heard
}

// hearing is what the roll-up knows about what was heard: of the door, and of
// each account from each partition of events.
type hearing struct {
	// shut are the shuttings that can still matter, in order and apart.
	shut     []schemas.Shutting
	accounts map[string][]schemas.Reports // by source, each once
}

// take keeps the newer of two reports of one source. It reports whether r is news.
func (h *hearing) take(r *schemas.Reports) bool {
	of := h.accounts[r.Account]
	i, known := slices.BinarySearchFunc(of, r.Source, func(r schemas.Reports, source int32) int { return int(r.Source - source) })
	switch {
	case !known:
		h.accounts[r.Account] = slices.Insert(of, i, *r)
	case r.Version <= of[i].Version:
		return false
	default:
		of[i] = *r
	}
	return true
}

// of is what all sources know of an account.
func (h *hearing) of(account string) (l listened) {
	for i := range h.accounts[account] {
		r := &h.accounts[account][i]
		l.known, l.newest = true, max(l.newest, r.Newest)
		for b, n := range r.Lags {
			l.lags[b] += n
		}
	}
	return l
}

// close takes in what a source knows of the door. What cannot matter at `now`, in
// seconds, or later is left out.
func (h *hearing) close(shut []schemas.Shutting, now int64) {
	all := slices.Clone(h.shut)
	all = append(all, shut...)
	all = slices.DeleteFunc(all, func(s schemas.Shutting) bool { return s.To.Seconds() <= now-schemas.RetryGrace })
	slices.SortFunc(all, func(a, b schemas.Shutting) int { return int(a.From - b.From) })
	joined := all[:0]
	for _, s := range all {
		if last := len(joined) - 1; last >= 0 && s.From <= joined[last].To {
			joined[last].To = max(joined[last].To, s.To)
		} else {
			joined = append(joined, s)
		}
	}
	h.shut = slices.Clip(joined)
}
