package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// Keys of what was heard, beside those of state.go:
//
//	a | account | source (4 B, big endian) → how the account's reports come
//	h | account                            → up to which `at` it was heard, if not to the last
//	s                                      → shuttings of the door
//	c                                      → what of the D-clock is not believed yet
const (
	prefixReports = 'a'
	prefixHeard   = 'h'
	prefixShut    = 's'
	prefixDoubts  = 'c'
	hearingFormat = 1
)

// applyReports keeps what a source knows of how an account's reports come.
func (f *Fold) applyReports(r *task.Record) error {
	p, err := schemas.DecodeReports(r.Value)
	if err != nil {
		return &task.Reject{Reason: schemas.ReasonDecode, Err: err}
	}
	if !f.src.Ours(p.Epoch) {
		return nil
	}
	if err := f.src.Place(r, string(r.Key) == p.Account); err != nil {
		return err
	}
	if n := f.meta.sources.Len(); n > 0 && int(p.Source) >= n {
		return &task.Reject{Reason: reasonSource, Err: fmt.Errorf("reports: source %d, but events has %d partitions", p.Source, n)}
	}
	if f.hearing.take(&p) {
		f.st.Set(reportsKey(p.Account, p.Source), encodeReports(&p))
	}
	return nil
}

// forgetReports drops what sources that have heard nothing of an account since
// cutoff, in seconds, knew of it. That is long ago: an account that is silent for
// some days is still one whose reports are waited for.
func (f *Fold) forgetReports(cutoff int64) {
	for name, of := range f.hearing.accounts {
		left := slices.DeleteFunc(of, func(r schemas.Reports) bool {
			old := r.Newest.Seconds() < cutoff
			if old {
				f.st.Delete(reportsKey(name, r.Source))
			}
			return old
		})
		if f.hearing.accounts[name] = left; len(left) == 0 {
			delete(f.hearing.accounts, name)
		}
	}
}

// saveHearing writes the shuttings, and which accounts wait to be heard.
func (f *Fold) saveHearing() {
	want := map[string]string{}
	if len(f.hearing.shut) > 0 {
		want[string(rune(prefixShut))] = string(encodeShut(f.hearing.shut))
	}
	if f.doubts.Doubts() {
		want[string(rune(prefixDoubts))] = string(encodeDoubts(&f.doubts))
	}
	for _, a := range f.table.accounts {
		if a.pending(f.table.closed()) {
			want[string(rune(prefixHeard))+a.name] = string(f.plan.encodeHeard(a.heardTo))
		}
	}
	for key := range f.asides {
		if _, ok := want[key]; !ok {
			f.st.Delete([]byte(key))
		}
	}
	for key, value := range want {
		if f.asides[key] != value {
			f.st.Set([]byte(key), []byte(value))
		}
	}
	f.asides = want
}

// loadHearing reads all of it back, before the panes.
func (f *Fold) loadHearing() error {
	var bad error
	each := func(prefix byte, read func(key, value []byte) error) error {
		err := f.st.Scan([]byte{prefix}, []byte{prefix + 1}, func(key, value []byte) bool {
			bad = read(key, value)
			return bad == nil
		})
		return errors.Join(bad, err)
	}
	aside := func(key, value []byte) { f.asides[string(key)] = string(value) }
	return errors.Join(
		each(prefixReports, func(key, value []byte) error {
			r, err := decodeReports(key, value)
			if err == nil {
				f.hearing.take(&r)
			}
			return err
		}),
		each(prefixHeard, func(key, value []byte) error {
			aside(key, value)
			heardTo, err := decodeHeard(value)
			if err == nil {
				f.table.wait(string(key[1:]), heardTo)
			}
			return err
		}),
		each(prefixDoubts, func(key, value []byte) (err error) {
			aside(key, value)
			f.doubts, err = decodeDoubts(value)
			return err
		}),
		each(prefixShut, func(key, value []byte) (err error) {
			aside(key, value)
			f.hearing.shut, err = decodeShut(value)
			return err
		}),
	)
}

func encodeDoubts(c *task.Believed) []byte {
	b := statecodec.AppendInt([]byte{hearingFormat}, int64(c.From))
	return statecodec.AppendInt(b, int64(c.To))
}

func decodeDoubts(b []byte) (task.Believed, error) {
	r := statecodec.NewReader(b)
	r.Format(hearingFormat)
	c := task.Believed{From: schemas.Instant(r.Int()), To: schemas.Instant(r.Int())}
	if c.From > c.To || c.From < 0 {
		r.Fail(statecodec.ErrRange)
	}
	if err := r.End(); err != nil {
		return task.Believed{}, fmt.Errorf("read D-clock in doubt: %w", err)
	}
	return c, nil
}

// wait takes up an account that was not heard to the last `at`; heardTo is by age.
// An age that was not configured then has nothing pending.
func (t *table) wait(name string, heardTo map[int64]int64) {
	a := t.accountOf(name)
	for i, age := range t.plan.ages {
		if at, ok := heardTo[age]; ok {
			a.heardTo[i] = min(at, t.closed())
		}
	}
	a.low = slices.Min(a.heardTo) + minute - t.plan.reach
}

func reportsKey(account string, source int32) []byte {
	b := statecodec.AppendText([]byte{prefixReports}, account)
	return binary.BigEndian.AppendUint32(b, uint32(source))
}

func encodeReports(r *schemas.Reports) []byte {
	b := []byte{hearingFormat}
	b = statecodec.AppendUint(b, uint64(r.Version))
	b = statecodec.AppendInt(b, int64(r.Newest))
	for _, n := range r.Lags {
		b = statecodec.AppendUint(b, uint64(n))
	}
	return b
}

func decodeReports(key, value []byte) (schemas.Reports, error) {
	k := statecodec.NewReader(key)
	k.Format(prefixReports)
	out := schemas.Reports{Account: k.Text()}
	if source := k.Take(4); source != nil {
		out.Source = int32(binary.BigEndian.Uint32(source))
	}
	r := statecodec.NewReader(value)
	r.Format(hearingFormat)
	out.Version, out.Newest = int64(r.Uint()), schemas.Instant(r.Int())
	for i := range out.Lags {
		n := r.Uint()
		if n > schemas.LastReports {
			r.Fail(statecodec.ErrRange)
		}
		out.Lags[i] = uint32(n)
	}
	if err := errors.Join(k.End(), r.End()); err != nil {
		return schemas.Reports{}, fmt.Errorf("read how an account reports: %w", err)
	}
	return out, nil
}

func (p *plan) encodeHeard(heardTo []int64) []byte {
	b := []byte{hearingFormat}
	b = statecodec.AppendUint(b, uint64(len(heardTo)))
	for i, at := range heardTo {
		b = statecodec.AppendInt(b, p.ages[i])
		b = statecodec.AppendInt(b, at)
	}
	return b
}

func decodeHeard(b []byte) (map[int64]int64, error) {
	r := statecodec.NewReader(b)
	r.Format(hearingFormat)
	heardTo := map[int64]int64{}
	for range r.Count(2) {
		age, at := r.Int(), r.Int()
		if at < 0 || at%minute != 0 {
			r.Fail(statecodec.ErrRange)
		}
		heardTo[age] = at
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("read up to where an account was heard: %w", err)
	}
	return heardTo, nil
}

func encodeShut(shut []schemas.Shutting) []byte {
	b := []byte{hearingFormat}
	b = statecodec.AppendUint(b, uint64(len(shut)))
	for _, s := range shut {
		b = statecodec.AppendInt(b, int64(s.From))
		b = statecodec.AppendInt(b, int64(s.To))
	}
	return b
}

func decodeShut(b []byte) ([]schemas.Shutting, error) {
	r := statecodec.NewReader(b)
	r.Format(hearingFormat)
	var shut []schemas.Shutting
	for range r.Count(2) {
		shut = append(shut, schemas.Shutting{From: schemas.Instant(r.Int()), To: schemas.Instant(r.Int())})
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("read shuttings: %w", err)
	}
	return shut, nil
}
