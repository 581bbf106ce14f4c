package message

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/bluetick/bluetick/internal/invariant"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// mapStore is a State in a Go map. It spoils what Get lent at the next call.
type mapStore struct {
	rows map[string][]byte
	lent []byte
	fail error // what every read answers, if set
}

func newMapStore() *mapStore { return &mapStore{rows: map[string][]byte{}} }

func (m *mapStore) clone() *mapStore { return &mapStore{rows: maps.Clone(m.rows)} }

func (m *mapStore) Get(key []byte) ([]byte, bool, error) {
	for i := range m.lent {
		m.lent[i] = 0xee
	}
	v, ok := m.rows[string(key)]
	m.lent = append(m.lent[:0], v...)
	return m.lent, ok, m.fail
}

func (m *mapStore) Scan(lo, hi []byte, fn func(key, value []byte) bool) error {
	for _, k := range slices.Sorted(maps.Keys(m.rows)) {
		if k >= string(lo) && k < string(hi) && !fn([]byte(k), bytes.Clone(m.rows[k])) {
			break
		}
	}
	return m.fail
}

func (m *mapStore) Set(key, value []byte) { m.rows[string(key)] = bytes.Clone(value) }

func (m *mapStore) Delete(key []byte) { delete(m.rows, string(key)) }

func (m *mapStore) DeleteRange(lo, hi []byte) error {
	if bytes.Compare(lo, hi) >= 0 {
		return errors.New("empty range")
	}
	maps.DeleteFunc(m.rows, func(k string, _ []byte) bool { return k >= string(lo) && k < string(hi) })
	return m.fail
}

// count is the number of rows under a prefix.
func (m *mapStore) count(prefix byte) int {
	n := 0
	for k := range m.rows {
		if k[0] == prefix {
			n++
		}
	}
	return n
}

// rig runs a fold as the runtime does: a log, a store with checkpoints, and a
// consumer that keeps the row of greatest version.
type rig struct {
	t       testing.TB
	log     []task.Record
	next    int64 // first record not applied
	st      *mapStore
	durable *mapStore
	at      int64 // offset of durable
	fold    *Fold
	mutate  func(*rules)
	rows    map[cohortKey]schemas.Pane
	reports map[string]schemas.Reports
}

// testSource has one partition, so that every key is where it belongs.
var testSource = task.Source{Epoch: 7, Partitions: 1}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, durable: newMapStore(), rows: map[cohortKey]schemas.Pane{}, reports: map[string]schemas.Reports{}}
	r.reopen()
	return r
}

// reopen starts from the last checkpoint and does not replay.
func (r *rig) reopen() {
	r.t.Helper()
	r.st, r.next = r.durable.clone(), r.at
	f, err := open(testSource, r.st)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.mutate != nil {
		r.mutate(&f.rules)
	}
	r.fold = f
}

// crash loses all since the last checkpoint and replays the log.
func (r *rig) crash() {
	r.t.Helper()
	end := int64(len(r.log))
	r.reopen()
	for r.next < end {
		r.step()
	}
}

func (r *rig) step() {
	r.t.Helper()
	if err := r.fold.Apply(r.log[r.next]); err != nil {
		r.t.Fatalf("apply record %d: %v", r.next, err)
	}
	r.next++
}

// feed appends an event to the log and applies it; a clock event that leaps after
// another an hour before, so that it is believed.
func (r *rig) feed(e schemas.Event) {
	r.t.Helper()
	if e.InboundKey == clockKey && r.fold.dclock.Ahead(e.OccurredAt) {
		r.take(clockEvent(e.OccurredAt - 3600_000))
	}
	r.take(e)
}

func (r *rig) take(e schemas.Event) {
	r.t.Helper()
	r.log = append(r.log, recordOf(e, int64(len(r.log))))
	r.step()
}

func recordOf(e schemas.Event, offset int64) task.Record {
	return task.Record{
		Offset: offset, Timestamp: e.ReceivedAt, Schema: schemas.SchemaEvent,
		Key: schemas.EventKey(&e), Value: schemas.EncodeEvent(&e),
	}
}

// flush drains and gives the rows to the consumer.
func (r *rig) flush() []schemas.Pane {
	r.t.Helper()
	want := r.fold.Dirty()
	rows := r.fold.Drain(r.next)
	if len(rows) != want || r.fold.Dirty() != 0 {
		r.t.Fatalf("Dirty was %d, Drain returned %d rows and left %d", want, len(rows), r.fold.Dirty())
	}
	out := make([]schemas.Pane, 0, len(rows))
	for _, row := range rows {
		if row.Schema == schemas.SchemaReports {
			r.hear(row)
			continue
		}
		p, err := schemas.DecodePane(row.Value)
		if err != nil {
			r.t.Fatal(err)
		}
		if row.Topic != schemas.TopicPanes || row.Schema != schemas.SchemaPane || string(row.Key) != p.Tuple.Account ||
			p.Epoch != testSource.Epoch || p.Source != testSource.Partition || p.Version != r.next-1 || p.DClock != r.fold.DClock() {
			r.t.Fatalf("row %+v of pane %+v: wrong envelope", row, p)
		}
		k := cohortKey{p.Minute, p.Tuple}
		old, ok := r.rows[k]
		if ok && old.Version == p.Version && !equalCounts(&old.Counts, &p.Counts) {
			r.t.Fatalf("I2: two values of one version: %+v and %+v", old, p)
		}
		if !ok || p.Version >= old.Version {
			r.rows[k] = p
		}
		if n := len(out); n > 0 && out[n-1].Minute > p.Minute {
			r.t.Fatal("rows are not in key order")
		}
		out = append(out, p)
	}
	return out
}

// hear keeps what a flush says of how an account reports.
func (r *rig) hear(row task.Row) {
	r.t.Helper()
	p, err := schemas.DecodeReports(row.Value)
	if err != nil {
		r.t.Fatal(err)
	}
	if row.Topic != schemas.TopicPanes || string(row.Key) != p.Account || p.Epoch != testSource.Epoch ||
		p.Source != testSource.Partition || p.Version != r.next-1 || p.DClock != r.fold.DClock() {
		r.t.Fatalf("row %+v of reports %+v: wrong envelope", row, p)
	}
	if old, ok := r.reports[p.Account]; ok && old.Version == p.Version && old != p {
		r.t.Fatalf("I2: two values of one version: %+v and %+v", old, p)
	}
	r.reports[p.Account] = p
}

// checkpoint flushes, saves and makes the state durable.
func (r *rig) checkpoint() {
	r.t.Helper()
	r.flush()
	if err := r.fold.Save(); err != nil {
		r.t.Fatal(err)
	}
	r.durable, r.at = r.st.clone(), r.next
}

// panes are the consumer's rows that count something.
func (r *rig) panes() map[cohortKey]schemas.Counts {
	out := map[cohortKey]schemas.Counts{}
	for k, p := range r.rows {
		if !equalCounts(&p.Counts, &schemas.Counts{}) {
			out[k] = p.Counts
		}
	}
	return out
}

func equalCounts(a, b *schemas.Counts) bool {
	x, y := *a, *b
	x.Failures, x.CostMicros, x.Billable = nil, nil, nil
	y.Failures, y.CostMicros, y.Billable = nil, nil, nil
	return fmt.Sprint(x) == fmt.Sprint(y) && maps.Equal(a.Failures, b.Failures) &&
		maps.Equal(a.CostMicros, b.CostMicros) && maps.Equal(a.Billable, b.Billable)
}

// difference describes how got differs from want, "" if it does not.
func difference(got, want map[cohortKey]schemas.Counts) string {
	var b bytes.Buffer
	for k, w := range want {
		if g, ok := got[k]; !ok {
			fmt.Fprintf(&b, "missing %+v: %+v\n", k, w)
		} else if !equalCounts(&g, &w) {
			fmt.Fprintf(&b, "pane %+v\n got %+v\nwant %+v\n", k, g, w)
		}
	}
	for k, g := range got {
		if _, ok := want[k]; !ok {
			fmt.Fprintf(&b, "unexpected %+v: %+v\n", k, g)
		}
	}
	return b.String()
}

// seed is new in every run; BLUETICK_SEED repeats one.
func seed(t testing.TB) uint64 {
	t.Helper()
	s := rand.Uint64()
	if v := os.Getenv("BLUETICK_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("BLUETICK_SEED: %v", err)
		}
		s = n
	}
	t.Logf("BLUETICK_SEED=%d", s)
	return s
}

// scale makes a number of runs smaller where checks make each one slow.
func scale(runs int) int {
	if invariant.Enabled {
		return runs / 8
	}
	return runs
}

func withID(e schemas.Event) schemas.Event {
	e.ID = schemas.EventID(&e)
	return e
}
