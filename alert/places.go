package alert

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"slices"

	"github.com/bluetick/bluetick/schemas"
)

// places are the series that take one of a partition's Config.MaxSeries places:
// all but those of whole accounts, which are always watched. Who gives way when
// all are taken follows from the series alone, so a replay and a restart choose
// the same one. Owned by the fold's goroutine.
type places struct {
	limit, taken int
	of           map[string]*share
	// most is at least the size of the largest share: it spares the search in a
	// run of refusals.
	most int
}

// share is what one account has of the places.
type share struct {
	size  int
	queue queue
}

func newPlaces(limit int) places { return places{limit: limit, of: map[string]*share{}} }

// takesPlace reports whether a series is bounded. That of a whole account is not:
// there is one per rule, and it is the last that should go unwatched.
func (a seriesID) takesPlace() bool { return a.of.Grouping != schemas.GroupAccount }

func (p *places) enter(s *series) {
	if !s.takesPlace() {
		return
	}
	of := p.of[s.of.Account]
	if of == nil {
		of = &share{}
		p.of[s.of.Account] = of
	}
	of.size++
	p.taken++
	p.most = max(p.most, of.size)
	p.wait(s)
}

func (p *places) leave(s *series) {
	of := p.of[s.of.Account]
	if of == nil || !s.takesPlace() {
		return
	}
	if s.place > 0 {
		heap.Remove(&of.queue, s.place-1)
	}
	p.taken--
	if of.size--; of.size == 0 {
		delete(p.of, s.of.Account)
	}
}

// wait puts a series among those that may have to give way, unless it is there.
func (p *places) wait(s *series) {
	if of := p.of[s.of.Account]; of != nil && s.takesPlace() && s.place == 0 {
		s.queuedAt = s.lastAt()
		heap.Push(&of.queue, s)
	}
}

// leaver is the series that gives way to a further one of the account, nil if
// none does. An account with more places gives one up, the largest first, until
// both have as many; of its series, the one without a cohort for longest goes. An
// account that has its share can only replace series of its own that have been
// idle for a day. So an account that holds no more than its share loses nothing
// to the others, however many series they have.
func (p *places) leaver(account string) *series {
	own := 0
	if of := p.of[account]; of != nil {
		own = of.size
	}
	if p.most >= own+2 {
		for _, name := range p.larger(own + 2) {
			if s := p.of[name].queue.longestIdle(); s != nil {
				return s
			}
		}
	}
	if own == 0 {
		return nil
	}
	if s := p.of[account].queue.longestIdle(); s != nil && !s.active {
		return s
	}
	return nil
}

// larger are the accounts with at least size places, the largest first.
func (p *places) larger(size int) []string {
	var names []string
	p.most = 0
	for name, of := range p.of {
		p.most = max(p.most, of.size)
		if of.size >= size {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(p.of[b].size, p.of[a].size), cmp.Compare(a, b))
	})
	return names
}

// queue is a heap of series, the longest without a cohort first. It goes by
// queuedAt: what lastAt was when the queue last looked, so never later than it.
type queue []*series

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].queuedAt, q[j].queuedAt), q[i].compare(q[j].seriesID)) < 0
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	s := x.(*series)
	*q = append(*q, s)
	s.place = len(*q)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	s.place = 0
	return s
}

// longestIdle is the series of least (lastAt, name) that does not fire. A firing
// one leaves the queue; the end of its incident brings it back.
func (q *queue) longestIdle() *series {
	for len(*q) > 0 {
		s := (*q)[0]
		at := s.lastAt()
		switch {
		case s.incident.Firing():
			heap.Pop(q)
		case at != s.queuedAt:
			s.queuedAt = at
			heap.Fix(q, 0)
		default:
			return s
		}
	}
	return nil
}

// admit makes the state of a series for a cohort that came at an age. nil means
// that the cohort is not to be judged: no place is free, or it was judged before
// the series was put aside.
func (f *fold) admit(id seriesID, p *plan, age Age, at int64) (*series, error) {
	var leaver *series
	if id.takesPlace() && f.places.taken >= f.places.limit {
		if leaver = f.places.leaver(id.of.Account); leaver == nil {
			f.refuse(id.of.Account)
			return nil, nil
		}
	}
	s := &series{seriesID: id}
	b, wasAside, err := f.st.Get(id.asideKey())
	if err != nil {
		return nil, fmt.Errorf("read a series put aside: %w", err)
	}
	if wasAside {
		if s, err = decodeSeries(b); err != nil {
			return nil, err
		}
	}
	s.bind(p)
	if at <= s.age(age).lastAt {
		return nil, nil
	}
	if wasAside {
		f.st.Delete(id.asideKey())
	}
	if leaver != nil {
		f.putAside(leaver)
	}
	f.series[id] = s
	f.places.enter(s)
	f.meters.watched.Set(float64(f.places.taken))
	return s, nil
}

// putAside stops watching a series. What keeps a repeated row from being judged
// twice stays in the store; nothing of the series stays in memory.
func (f *fold) putAside(s *series) {
	f.idle(s)
	f.places.leave(s)
	delete(f.series, s.seriesID)
	delete(f.dirty, s.seriesID)
	f.st.Delete(s.key())
	f.st.Set(s.asideKey(), s.withoutEvidence().encode())
	f.meters.putAside.Inc()
}

// withoutEvidence is what is kept of a series put aside: which cohorts have been
// judged, and which were part of an incident that has ended.
func (s *series) withoutEvidence() *series {
	kept := &series{seriesID: s.seriesID, settledTo: s.settledTo, settledSeverity: s.settledSeverity}
	for i := range s.ages {
		kept.ages = append(kept.ages, ageState{age: s.ages[i].age, lastAt: s.ages[i].lastAt})
	}
	return kept
}

// forgetAside deletes what was put aside so long ago that its rows cannot come
// again.
func (f *fold) forgetAside(minute int64) error {
	var gone [][]byte
	var bad error
	err := f.st.Scan([]byte{kindAside}, []byte{kindAside + 1}, func(key, value []byte) bool {
		var s *series
		if s, bad = decodeSeries(value); bad != nil {
			return false
		}
		if minute-s.lastAt() >= forgetAfter {
			gone = append(gone, slices.Clone(key))
		}
		return true
	})
	if bad != nil {
		return bad
	}
	if err != nil {
		return fmt.Errorf("read series put aside: %w", err)
	}
	for _, key := range gone {
		f.st.Delete(key)
	}
	return nil
}

// refuse counts every cohort refused, and logs the limit once an hour of event time.
func (f *fold) refuse(account string) {
	f.meters.refusedSeries.Inc()
	if f.full {
		return
	}
	f.full = true
	own := 0
	if of := f.places.of[account]; of != nil {
		own = of.size
	}
	f.log.Warn("too many series to watch, further ones of an account that has its share are not judged",
		"account", account, "account_series", own, "series", f.places.taken, "accounts", len(f.places.of),
		"remedy", "raise alerts.max_series, or watch fewer groupings in alerts.rules")
}

// fill gives the series of the state their places. Where the state was written
// under a higher limit, the largest accounts give way until it holds.
func (f *fold) fill() {
	for _, id := range slices.SortedFunc(maps.Keys(f.series), seriesID.compare) {
		f.places.enter(f.series[id])
	}
	for f.places.taken > f.places.limit {
		var leaver *series
		for _, name := range f.places.larger(1) {
			if leaver = f.places.of[name].queue.longestIdle(); leaver != nil {
				break
			}
		}
		if leaver == nil {
			break // all fire: they leave when their incidents have ended
		}
		f.putAside(leaver)
	}
	f.meters.watched.Set(float64(f.places.taken))
}
