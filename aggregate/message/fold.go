package message

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluetick/bluetick/internal/invariant"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// Logic names what a stored state depends on: the rules of this package, the
// horizon and the edges of the histograms. State of another logic is rebuilt in
// a new epoch, never read.
const Logic = "message/1"

// ReasonTime rejects an event whose time lies beyond the calendar of the state.
const ReasonTime = "time"

// Fold counts the messages of one partition of events. NewFold makes one; it
// implements task.Fold, whose comments define what the methods promise.
type Fold struct {
	source task.Source
	st     store.State
	rules  rules

	messages *remembered
	tuples   *tuples
	panes    *panes
	doors    hearsay
	reports  *reports
	codec    stateCodec
	stats    stats

	dclock      task.Believed
	savedClock  task.Believed
	savedTuples uint32
	savedDoors  []byte

	// Scratch of one Apply: what is passed to rules would escape otherwise.
	event         schemas.Event
	old           row
	next          State
	before, after outcome
	value         []byte
}

var (
	_ task.Fold   = (*Fold)(nil)
	_ task.Hearer = (*Fold)(nil)
)

// rules are the decisions of the fold as values, so that a test can break one
// and see that the properties notice.
type rules struct {
	join   func(State, *schemas.Event) (State, bool)
	derive func(*State) outcome
	add    func(*schemas.Counts, *outcome, int64)
}

// NewFold returns what opens the message fold on the state of one partition.
func NewFold() task.NewFold {
	return func(src task.Source, st store.State) (task.Fold, error) { return open(src, st) }
}

// open reads the keys of all remembered messages once, to build their filters.
func open(src task.Source, st store.State) (*Fold, error) {
	f := &Fold{
		source: src, st: st, codec: stateCodec{words: words{}},
		rules: rules{join: State.Join, derive: (*State).derive, add: addOutcome},
	}
	err := f.readClock()
	if err == nil {
		f.tuples, err = openTuples(st, f.savedTuples)
	}
	if err == nil {
		f.panes, err = openPanes(st)
	}
	if err == nil {
		f.messages, err = openRemembered(st)
	}
	if err == nil {
		f.reports, err = openReports(st)
	}
	if err == nil {
		err = f.readDoors()
	}
	if err != nil {
		return nil, fmt.Errorf("open message fold of partition %d: %w", src.Partition, err)
	}
	for _, h := range f.messages.homes {
		f.stats.live.Add(h.messages)
		f.stats.orphans.Add(h.orphans)
	}
	f.stats.tuples.Store(int64(len(f.tuples.byID)))
	if err := f.stats.register(src.Metrics, src.Partition); err != nil {
		return nil, fmt.Errorf("open message fold of partition %d: %w", src.Partition, err)
	}
	return f, nil
}

func (f *Fold) readClock() error {
	value, ok, err := f.st.Get([]byte(keyClock))
	if err != nil || !ok {
		return err
	}
	r := reader{b: value}
	f.dclock.Clock = schemas.Instant(r.varint())
	f.savedTuples = uint32(r.uvarint())
	if err := r.done(); err != nil || f.dclock.Clock < 0 || f.dclock.Clock > lastInstant {
		return fmt.Errorf("read D-clock: %w", errShort)
	}
	err = f.readDoubts()
	f.savedClock = f.dclock
	return err
}

func (f *Fold) readDoors() error {
	value, ok, err := f.st.Get([]byte(keyDoors))
	if err != nil || !ok {
		return err
	}
	f.savedDoors = bytes.Clone(value)
	f.doors, err = decodeHearsay(f.savedDoors)
	return err
}

// Apply folds one record of `events`.
func (f *Fold) Apply(r task.Record) error {
	switch r.Schema {
	case schemas.SchemaEvent:
		return f.applyEvent(&r)
	case schemas.SchemaHeartbeat:
		return f.applyHeartbeat(&r)
	default:
		return &task.Reject{Reason: schemas.ReasonSchema, Err: fmt.Errorf("events: schema %q", r.Schema)}
	}
}

// applyHeartbeat moves what is complete. It advances no D-clock: nothing is
// forgotten because a door is open.
func (f *Fold) applyHeartbeat(r *task.Record) error {
	h, err := schemas.DecodeHeartbeat(r.Value)
	if err != nil {
		return &task.Reject{Reason: schemas.ReasonDecode, Err: err}
	}
	if err := f.source.Place(r, len(r.Key) == 0); err != nil {
		return err
	}
	f.doors.hear(&h)
	return nil
}

// applyEvent folds one event into the state of its message and moves what the
// message adds to its pane. An event that names no message advances the D-clock.
func (f *Fold) applyEvent(r *task.Record) error {
	var err error
	if f.event, err = schemas.DecodeEvent(r.Value); err != nil {
		return &task.Reject{Reason: schemas.ReasonDecode, Err: err}
	}
	e := &f.event
	if err := f.source.Place(r, schemas.HasEventKey(r.Key, e)); err != nil {
		return err
	}
	if e.ReceivedAt > lastInstant { // it occurred between 1970 and then: DecodeEvent
		return &task.Reject{Reason: ReasonTime, Err: errors.New("event was received after 2149")}
	}
	if err := f.advance(min(e.OccurredAt, e.ReceivedAt, r.Timestamp)); err != nil {
		return err
	}
	isNews, err := false, error(nil)
	if !e.MessageKey.IsZero() {
		isNews, err = f.fold(e)
	}
	f.reports.note(e, isNews)
	return err
}

// advance moves the D-clock and, when its day changes, forgets.
func (f *Fold) advance(to schemas.Instant) error {
	before := f.today()
	if !f.dclock.Advance(to) {
		return nil
	}
	if last := int(f.today()) - rememberDays - 1; f.today() != before && last >= 0 {
		return f.forget(day(last))
	}
	return nil
}

func (f *Fold) today() day { return dayOf(f.dclock.Clock.Seconds()) }

// forget drops messages whose home is at or before last, then panes that no
// remembered message was in, then tuples that neither a message nor a pane has
// any more. The order matters: a tuple must outlive every pane row that names its
// id.
func (f *Fold) forget(last day) error {
	messages, orphans, err := f.messages.forget(last)
	if err != nil {
		return err
	}
	f.stats.live.Add(-messages)
	f.stats.orphans.Add(-orphans)
	f.stats.forgotten.Add(messages)
	oldest, err := f.panes.forget(last)
	if err != nil {
		return err
	}
	f.tuples.forget(min(int(last)+1, oldest))
	f.reports.forget(int64(last) * daySeconds)
	f.stats.tuples.Store(int64(len(f.tuples.byID)))
	return nil
}

// row is what is known of a message before an event.
type row struct {
	home  *home // nil if it is not remembered
	state State
	tuple *tuple
}

func (f *Fold) look(k schemas.Key, h uint64) (row, error) {
	at, value, err := f.messages.find(k, h)
	if err != nil || at == nil {
		return row{}, err
	}
	s, t, err := f.codec.decode(value, f.tuples.of)
	if err != nil {
		return row{}, fmt.Errorf("read state of message %s: %w", k, err)
	}
	return row{at, s, t}, nil
}

// fold joins an event into its message and reports whether it said anything new.
func (f *Fold) fold(e *schemas.Event) (isNews bool, err error) {
	h := digest(&e.MessageKey)
	if f.old, err = f.look(e.MessageKey, h); err != nil {
		return false, err
	}
	var changed bool
	if f.next, changed = f.rules.join(f.old.state, e); !changed {
		f.stats.repeats.Add(1)
		return false, nil
	}
	f.before, f.after = f.rules.derive(&f.old.state), f.rules.derive(&f.next)
	checkOutcome(&f.after)

	home := f.homeOf()
	t := f.old.tuple
	if v := f.next.tuple(); t == nil || v != t.Tuple {
		if t, err = f.tuples.intern(v, home); err != nil {
			return false, err
		}
		f.stats.tuples.Store(int64(len(f.tuples.byID)))
	}
	f.tuples.touch(t, home)
	if err := f.count(t, home); err != nil {
		return false, err
	}
	f.value = f.codec.append(f.value[:0], &f.next, t.id)
	f.write(e.MessageKey, h, home)
	return true, nil
}

// homeOf is the home day the message has now. It is never earlier than before: a
// row forgotten sooner could be missing when an event comes that still counts.
func (f *Fold) homeOf() day {
	home := f.today()
	if f.old.home != nil {
		home = f.old.home.day
	}
	if f.after.known {
		home = max(home, dayOf(f.after.send))
	}
	return home
}

// count takes out what the message added and adds what it adds now. If the pane
// is another, both become dirty, and so are emitted in one flush.
func (f *Fold) count(t *tuple, home day) error {
	before, after := &f.before, &f.after
	if !after.known {
		return nil
	}
	f.panes.touch(after.minute(), home)
	invariant.Check(home >= dayOf(after.send), "M7: home %d before send day", home)
	invariant.Check(t.lastHome >= home, "M8: tuple %d is forgotten before its message", t.id)
	moved := before.known && (before.minute() != after.minute() || f.old.tuple != t)
	if *before == *after && !moved {
		return nil
	}
	to, err := f.panes.get(after.minute(), t)
	if err != nil {
		return err
	}
	from := to
	if moved {
		f.stats.moves.Add(1)
		if from, err = f.panes.get(before.minute(), f.old.tuple); err != nil {
			return err
		}
	}
	if before.known {
		invariant.Check(from.counts.Sent > 0, "M5: message leaves pane %x, which counts none", from.cell)
		f.rules.add(&from.counts, before, -1)
	}
	f.rules.add(&to.counts, after, 1)
	if late := int64(after.late) - int64(before.late); late != 0 {
		f.stats.late.Add(late)
	}
	return nil
}

// write stores the row and keeps the numbers of Stats.
func (f *Fold) write(k schemas.Key, h uint64, home day) {
	isNew := f.old.home == nil
	orphan, wasOrphan := !f.after.known, !isNew && !f.before.known
	f.messages.put(k, h, lodging{from: f.old.home, to: home, wasOrphan: wasOrphan, orphan: orphan}, f.value)
	if isNew {
		f.stats.live.Add(1)
	}
	if orphan != wasOrphan {
		f.stats.orphans.Add(one(orphan) - one(wasOrphan))
	}
}

// Dirty is the number of rows Drain would return.
func (f *Fold) Dirty() int { return f.panes.dirtyCount + len(f.reports.dirty) }

// Drain returns the changed panes in the order of minute and first sight of
// their tuple, those that fell to zero as zeros, and then how accounts report.
func (f *Fold) Drain(next int64) []task.Row {
	if f.Dirty() == 0 {
		return nil
	}
	rows := make([]task.Row, 0, f.Dirty())
	dirty := f.panes.drain()
	for _, p := range dirty {
		checkPane(p)
		key := p.key()
		out := schemas.Pane{
			Epoch: f.source.Epoch, Source: f.source.Partition, Minute: key.Minute, Tuple: key.Tuple,
			Version: next - 1, DClock: f.dclock.Clock, Counts: p.counts,
		}
		rows = append(rows, task.Row{
			Topic: schemas.TopicPanes, Schema: schemas.SchemaPane, Key: p.tuple.rowKey, Value: schemas.EncodePane(&out),
		})
	}
	clear(dirty) // lets go of panes that were forgotten
	for _, a := range f.reports.drain() {
		out := schemas.Reports{
			Epoch: f.source.Epoch, Source: f.source.Partition, Account: a.name,
			Version: next - 1, DClock: f.dclock.Clock, Newest: a.newest, Lags: a.lags,
		}
		rows = append(rows, task.Row{
			Topic: schemas.TopicPanes, Schema: schemas.SchemaReports, Key: []byte(a.name), Value: schemas.EncodeReports(&out),
		})
	}
	return rows
}

// Save writes what changed to the store: panes, accounts, doors, the D-clock and
// the next tuple id.
func (f *Fold) Save() error {
	f.panes.save()
	f.reports.save()
	if f.doors.clock.Clock > 0 {
		if b := f.doors.encode(); !bytes.Equal(b, f.savedDoors) {
			f.st.Set([]byte(keyDoors), b)
			f.savedDoors = b
		}
	}
	if f.dclock == f.savedClock && f.tuples.next == f.savedTuples {
		return nil
	}
	f.value = binary.AppendVarint(f.value[:0], int64(f.dclock.Clock))
	f.value = binary.AppendUvarint(f.value, uint64(f.tuples.next))
	f.st.Set([]byte(keyClock), f.value)
	f.saveDoubts()
	f.savedClock, f.savedTuples = f.dclock, f.tuples.next
	return nil
}

// CompleteTo is what the doors have put into the log; 0 before the first
// heartbeat.
func (f *Fold) CompleteTo() schemas.Instant { return f.doors.completeTo }

// Shuttings are the newest times during which no door was open.
func (f *Fold) Shuttings() []schemas.Shutting { return f.doors.shut }

// DClock is the running maximum of the least of occurred_at, received_at and record
// timestamp, as far as it is believed.
func (f *Fold) DClock() schemas.Instant { return f.dclock.Clock }
