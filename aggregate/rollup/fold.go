package rollup

import (
	"bytes"
	"fmt"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// Logic names what this fold computes and how its state is laid out. A state
// written under another name is not resumed; another meaning is a new epoch.
const Logic = "rollup/1"

// Reasons of rejected records, besides task.ReasonSources.
const (
	reasonMinute = "minute_out_of_range"
	// reasonSource rejects a pane of a partition of events that does not exist.
	reasonSource = "source"
	// reasonTwoTruths rejects a pane that has other counts than an earlier one of
	// the same version: equal versions are equal values (I2), so one of the two is
	// forged. Which one cannot be known; the dead letter is the alarm.
	reasonTwoTruths = "two_truths"
)

// Fold is the roll-up of one partition of `panes`: see the package comment.
type Fold struct {
	src   task.Source
	st    store.State
	plan  *plan
	meta  meta
	saved []byte // the meta row as it stands in the store
	table *table
	rows  []task.Row // closed or heard, not yet drained; in the order in which they came to be

	hearing hearing
	// doubts are what of the D-clock is not believed yet.
	doubts task.Believed
	// asides are the rows of the store that hold shuttings, what is pending and doubts,
	// as they stand there.
	asides map[string]string

	// Scratch, valid within one Apply.
	key, value []byte
	delta      cohort
	members    []schemas.Series
}

var (
	_ task.Fold     = (*Fold)(nil)
	_ task.Follower = (*Fold)(nil)
)

// NewFold returns the constructor of the roll-up of one partition. It fails if
// cfg is invalid or the state cannot be read back.
func NewFold(cfg Config) task.NewFold {
	return func(src task.Source, st store.State) (task.Fold, error) {
		if err := cfg.Validate(); err != nil {
			return nil, err
		}
		p := newPlan(cfg)
		f := &Fold{
			src: src, st: st, plan: p, table: newTable(p), delta: make(cohort, len(p.ages)),
			hearing: hearing{accounts: map[string][]schemas.Reports{}}, asides: map[string]string{},
		}
		if err := f.load(); err != nil {
			return nil, fmt.Errorf("open roll-up state: %w", err)
		}
		return f, nil
	}
}

// load rebuilds from the store what Fold keeps in memory.
func (f *Fold) load() error {
	b, ok, err := f.st.Get(metaKey())
	if err != nil {
		return err
	}
	if ok {
		f.saved = bytes.Clone(b)
		if f.meta, err = decodeMeta(b); err != nil {
			return err
		}
	}
	f.table.next = f.meta.next
	if err := f.loadHearing(); err != nil {
		return err
	}
	var bad error
	err = f.st.Scan(paneFloor(0), paneEnd(), func(key, value []byte) bool {
		var p schemas.Pane
		if p, bad = decodePaneKey(key); bad != nil {
			return false
		}
		if bad = decodePane(value, &p); bad != nil {
			return false
		}
		f.count(&p)
		return true
	})
	if bad != nil {
		return bad
	}
	return err
}

// Apply folds one record of `panes`.
func (f *Fold) Apply(r task.Record) error {
	switch r.Schema {
	case schemas.SchemaPane:
		return f.applyPane(&r)
	case schemas.SchemaReports:
		return f.applyReports(&r)
	case schemas.SchemaProgress:
		return f.applyProgress(&r)
	default:
		return &task.Reject{Reason: schemas.ReasonSchema, Err: fmt.Errorf("panes: schema %q", r.Schema)}
	}
}

func (f *Fold) applyPane(r *task.Record) error {
	p, err := schemas.DecodePane(r.Value)
	if err != nil {
		return &task.Reject{Reason: schemas.ReasonDecode, Err: err}
	}
	if !f.src.Ours(p.Epoch) {
		return nil
	}
	if err := f.src.Place(r, string(r.Key) == p.Tuple.Account); err != nil {
		return err
	}
	if n := f.meta.sources.Len(); n > 0 && int(p.Source) >= n {
		return &task.Reject{Reason: reasonSource, Err: fmt.Errorf("panes: source %d, but events has %d partitions", p.Source, n)}
	}
	if p.Minute < 0 || p.Minute != floorMinute(p.Minute) {
		return &task.Reject{Reason: reasonMinute, Err: fmt.Errorf("panes: minute %d", p.Minute)}
	}
	old, known, err := f.stored(&p)
	if err != nil {
		return err
	}
	if known && p.Version == old.Version && (p.Counts.Sent != old.Counts.Sent || p.Counts.Outcomes != old.Counts.Outcomes) {
		return &task.Reject{Reason: reasonTwoTruths, Err: fmt.Errorf("panes: source %d says two things of minute %d as of offset %d: "+
			"some other producer wrote one of them; see who may write to the topic (docs/runbook.md)", p.Source, p.Minute, p.Version)}
	}
	if err := f.advance(min(p.DClock, r.Timestamp)); err != nil {
		return err
	}
	if p.Minute < f.meta.completeFrom || known && p.Version <= old.Version {
		return nil // forgotten; or, by I4, an older truth, or this one again
	}
	f.value = appendPane(f.value[:0], &p)
	f.st.Set(f.key, f.value)
	p.Counts.Sent -= old.Counts.Sent
	for o := range p.Counts.Outcomes {
		p.Counts.Outcomes[o].Add(&old.Counts.Outcomes[o], -1)
	}
	f.count(&p)
	return nil
}

// stored reads the stored pane with the key of p; the key is then in f.key. A
// pane of a forgotten minute is not found.
func (f *Fold) stored(p *schemas.Pane) (old schemas.Pane, known bool, err error) {
	f.key = appendPaneKey(f.key[:0], p)
	if p.Minute < f.meta.completeFrom {
		return old, false, nil
	}
	b, known, err := f.st.Get(f.key)
	if err == nil && known {
		err = decodePane(b, &old)
	}
	if err != nil {
		return old, false, fmt.Errorf("read pane [minute %d, source %d]: %w", p.Minute, p.Source, err)
	}
	return old, known, nil
}

// count adds the counts of p to the cohort of every series it belongs to.
func (f *Fold) count(p *schemas.Pane) {
	f.plan.set(f.delta, &p.Counts)
	f.members = seriesOf(f.members[:0], f.plan.groupings, &p.Tuple)
	for _, id := range f.members {
		f.table.add(id, p.Minute, f.delta)
	}
}

// advance moves the D-clock, and once in an hour of it forgets the panes that
// no rate can need any more.
func (f *Fold) advance(to schemas.Instant) error {
	clock := task.Believed{Clock: f.meta.dclock, From: f.doubts.From, To: f.doubts.To}
	moved := clock.Advance(to)
	if f.meta.dclock, f.doubts = clock.Clock, clock; !moved {
		return nil
	}
	to = clock.Clock
	const hour = 60 * minute // the coarser, the fewer range tombstones
	cutoff := (to.Seconds() - f.plan.keep) / hour * hour
	if cutoff <= f.meta.completeFrom {
		return nil
	}
	f.meta.completeFrom = cutoff
	if err := f.st.DeleteRange(paneFloor(0), paneFloor(cutoff)); err != nil {
		return fmt.Errorf("forget panes before minute %d: %w", cutoff, err)
	}
	if f.table.next == 0 || cutoff > f.table.lowest() {
		f.table.dropBefore(cutoff)
	}
	f.forgetReports(cutoff - schemas.HorizonSeconds)
	return nil
}

func (f *Fold) applyProgress(r *task.Record) error {
	p, err := schemas.DecodeProgress(r.Value)
	if err != nil {
		return &task.Reject{Reason: schemas.ReasonDecode, Err: err}
	}
	if !f.src.Ours(p.Epoch) || p.Stage != schemas.StageMessage {
		return nil
	}
	if err := f.src.Place(r, len(r.Key) == 0); err != nil {
		return err
	}
	news, err := f.meta.sources.Hear(&p)
	if err != nil || !news {
		return err
	}
	f.hearing.close(p.Shut, f.table.closed())
	if w, ok := f.meta.sources.Watermark(); ok {
		f.closeTo(floorMinute(w.Seconds()), r.Offset)
	}
	return nil
}

// closeTo closes every open `at` up to last, as far as the limit of rows allows.
func (f *Fold) closeTo(last, version int64) {
	t := f.table
	if last < 0 {
		return // a clock before 1970 completes nothing
	}
	if t.next == 0 {
		begin := last
		if first, ok := t.first(); ok {
			begin = min(begin, first)
		}
		t.place(begin + minute)
	}
	for rows := 0; t.next <= last && rows < f.plan.maxRows; t.step() {
		if len(t.accounts) == 0 {
			t.next = last // no series has data for any `at` in between
		}
		for _, a := range t.accounts {
			rows += f.listen(a, moment{at: t.next, now: last, version: version, most: f.plan.maxRows - rows})
			rows += f.emit(a, t.next, version)
		}
	}
	f.meta.next = t.next
}

// moment is when an account is listened to: while `at` closes, at a watermark of
// now, by the record of version. most bounds the rows.
type moment struct {
	at, now, version int64
	most             int
}

// listen takes in what has been heard of an account by now: earlier `at` that were
// not heard when they closed are emitted once more, in order, with the values of
// today. What is beyond the bound comes with the next record. It returns the number
// of rows.
//
// now is that of the record, not of the `at`, so that the same record never says
// of an `at` first that it was not heard and then that it was (I2).
func (f *Fold) listen(a *account, m moment) int {
	l, before := f.hearing.of(a.name), len(f.rows)
	for i, age := range f.plan.ages {
		for x := a.heardTo[i] + minute; x <= m.at && l.judge(x, age, m.now, f.hearing.shut) == heard; x += minute {
			if x < m.at && len(f.rows)-before >= m.most {
				break
			}
			if a.heardTo[i] = x; x < m.at {
				f.emitAgain(a, i, x, m)
			}
		}
	}
	return len(f.rows) - before
}

// emitAgain appends the rates of an age at an `at` that is closed. They are news of
// now, even if nothing has happened since.
func (f *Fold) emitAgain(a *account, ageIndex int, at int64, m moment) {
	clock := max(f.meta.dclock, schemas.Instant(m.now)*1000)
	for _, s := range a.series {
		for i := range f.plan.spans {
			if sp := &f.plan.spans[i]; sp.ageIndex == ageIndex && f.shows(sp, at) {
				f.append(s, sp, schemas.Rate{At: at, Version: m.version, DClock: clock, Totals: s.sum(sp, at)})
			}
		}
	}
}

// emit appends the rates of an account at the `at` that closes, and returns their
// number.
func (f *Fold) emit(a *account, at, version int64) int {
	before := len(f.rows)
	for _, s := range a.series {
		for i := range f.plan.spans {
			if sp := &f.plan.spans[i]; f.shows(sp, at) {
				f.append(s, sp, schemas.Rate{At: at, Version: version, DClock: f.meta.dclock, Totals: s.sums[i]})
			}
		}
	}
	return len(f.rows) - before
}

// shows reports whether a span has rows at `at`. A row whose cohorts include a
// forgotten minute is not emitted: it would pass a part off as the whole (R5).
func (f *Fold) shows(sp *span, at int64) bool {
	return sp.due(at) && max(0, sp.start(at)) >= f.meta.completeFrom
}

// append completes a rate of a series in a span, and adds it to the rows unless it
// counts nothing.
func (f *Fold) append(s *series, sp *span, r schemas.Rate) {
	if r.Totals == (schemas.Totals{}) {
		return
	}
	r.Epoch, r.Series, r.Window, r.Age = f.src.Epoch, s.id, uint32(sp.window), uint32(sp.age)
	r.Unheard = s.account.heardTo[sp.ageIndex] < r.At
	f.rows = append(f.rows, task.Row{Topic: schemas.TopicRates, Schema: schemas.SchemaRate, Key: s.key, Value: schemas.EncodeRate(&r)})
}

// Dirty is the number of rates not yet drained.
func (f *Fold) Dirty() int { return len(f.rows) }

// Drain returns the rates, by the `at` that closed, account, series, window and
// age; those heard later stand before the account's own of that `at`. The version
// of each is the offset of the Progress record at which it came to be, not
// next-1: it states what was known there.
func (f *Fold) Drain(int64) []task.Row {
	rows := f.rows
	f.rows = nil
	return rows
}

// Save writes meta and hearing where they have changed. It refuses while rates wait to be
// drained: a state saved then would count them as emitted, and they would be
// lost with the process (I3).
func (f *Fold) Save() error {
	if len(f.rows) > 0 {
		return fmt.Errorf("save roll-up: %d rates closed and not drained", len(f.rows))
	}
	b := appendMeta(nil, &f.meta)
	if !bytes.Equal(b, f.saved) {
		f.st.Set(metaKey(), b)
		f.saved = b
	}
	f.saveHearing()
	return nil
}

// CompleteTo is the last `at` closed; 0 if there is none.
func (f *Fold) CompleteTo() schemas.Instant {
	if f.meta.next == 0 {
		return 0
	}
	return schemas.Instant(f.meta.next-minute) * 1000
}

// Sources is how far each partition of events has been counted.
func (f *Fold) Sources() []task.SourceStatus { return f.meta.sources.Status() }

// DClock is the greatest D-clock of any pane applied, never beyond the
// timestamp of the record that brought it.
func (f *Fold) DClock() schemas.Instant { return f.meta.dclock }
