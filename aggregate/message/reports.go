package message

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// reportsFormat is the first byte of an account's row.
const reportsFormat = 1

// reports is, of each account, how its newest reports came.
type reports struct {
	st        store.State
	byAccount map[string]*account
	dirty     []*account
	unsaved   []*account
}

// account is how the reports of one came.
type account struct {
	name string
	// newest is the latest occurred_at of any.
	newest schemas.Instant
	// last are the lag buckets of the last reports that said something new, a
	// ring that begins at next once it is full.
	last []uint8
	next int
	lags schemas.Lags // the sum of last
	// gone: forgotten, but not yet drained since it last changed.
	dirty, unsaved, gone bool
}

func openReports(st store.State) (*reports, error) {
	rs := &reports{st: st, byAccount: map[string]*account{}}
	var bad error
	err := st.Scan([]byte{prefixAccount}, []byte{prefixAccount + 1}, func(key, value []byte) bool {
		var a *account
		if a, bad = decodeAccount(string(key[1:]), value); bad != nil {
			return false
		}
		rs.byAccount[a.name] = a
		return true
	})
	if bad != nil {
		err = bad
	}
	if err != nil {
		return nil, fmt.Errorf("read how accounts report: %w", err)
	}
	return rs, nil
}

// note takes in an event. isNews is false for a repeat: that it came late says
// nothing, since the first copy may have been in time.
func (rs *reports) note(e *schemas.Event, isNews bool) {
	if e.Type == schemas.TypeDispatched {
		return // the sender's own registration, not a report
	}
	a := rs.byAccount[e.Account]
	switch {
	case a == nil:
		a = &account{name: e.Account}
		rs.byAccount[a.name] = a
	case a.gone:
		*a = account{name: a.name, dirty: a.dirty}
	}
	newest, late := a.newest, a.late()
	a.newest = max(a.newest, e.OccurredAt)
	if isNews {
		a.push(uint8(schemas.LagBucket(int64(e.ReceivedAt - e.OccurredAt))))
	} else if a.newest == newest {
		return
	}
	if !a.unsaved {
		a.unsaved, rs.unsaved = true, append(rs.unsaved, a)
	}
	// Not with every report: what is judged by it is whole minutes, and a share.
	if !a.dirty && (a.newest/60_000 > newest/60_000 || a.late() != late) {
		a.dirty, rs.dirty = true, append(rs.dirty, a)
	}
}

func (a *account) push(bucket uint8) {
	if len(a.last) < schemas.LastReports {
		a.last = append(a.last, bucket)
	} else {
		a.lags[a.last[a.next]]--
		a.last[a.next] = bucket
		a.next = (a.next + 1) % schemas.LastReports
	}
	a.lags[bucket]++
}

// late tells, for each age, whether more than a tenth of the reports came after
// half of it.
func (a *account) late() (late [schemas.LagBuckets]bool) {
	for i, e := range schemas.Edges() {
		in, of := a.lags.Within(e)
		late[i] = 10*in < 9*of
	}
	return late
}

// drain returns the accounts of which there is something new to tell, in order.
func (rs *reports) drain() []*account {
	slices.SortFunc(rs.dirty, func(a, b *account) int { return cmp.Compare(a.name, b.name) })
	drained := rs.dirty
	rs.dirty = nil
	for _, a := range drained {
		if a.dirty = false; a.gone {
			delete(rs.byAccount, a.name)
		}
	}
	return drained
}

// save writes what changed.
func (rs *reports) save() {
	for _, a := range rs.unsaved {
		if a.unsaved {
			a.unsaved = false
			rs.st.Set(accountKey(a.name), a.encode())
		}
	}
	rs.unsaved = rs.unsaved[:0]
}

// forget drops accounts of which the newest report lies before the given second.
func (rs *reports) forget(before int64) {
	for name, a := range rs.byAccount {
		if a.newest.Seconds() >= before {
			continue
		}
		rs.st.Delete(accountKey(name))
		if a.unsaved, a.gone = false, a.dirty; !a.gone {
			delete(rs.byAccount, name)
		}
	}
}

func accountKey(name string) []byte { return append([]byte{prefixAccount}, name...) }

func (a *account) encode() []byte {
	b := []byte{reportsFormat}
	b = statecodec.AppendInt(b, int64(a.newest))
	b = statecodec.AppendText(b, string(a.last))
	return statecodec.AppendUint(b, uint64(a.next))
}

func decodeAccount(name string, b []byte) (*account, error) {
	r := statecodec.NewReader(b)
	r.Format(reportsFormat)
	a := &account{name: name, newest: schemas.Instant(r.Int())}
	a.last, a.next = []byte(r.Text()), int(r.Uint())
	if len(a.last) > schemas.LastReports || a.next < 0 || a.next > len(a.last) {
		r.Fail(statecodec.ErrRange)
	}
	for _, bucket := range a.last {
		if int(bucket) >= schemas.LagBuckets {
			r.Fail(statecodec.ErrRange)
			break
		}
		a.lags[bucket]++
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("read how account %q reports: %w", name, err)
	}
	return a, nil
}
