package rollup

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// memory is a store.State that is strict about what may be kept: it copies what
// it is given and spoils what it lent at the next call.
type memory struct {
	rows map[string][]byte
	lent []byte
}

var _ store.State = (*memory)(nil)

func newMemory() *memory { return &memory{rows: map[string][]byte{}} }

func (m *memory) enter() {
	for i := range m.lent {
		m.lent[i] = 0xee
	}
	m.lent = nil
}

func (m *memory) Get(key []byte) ([]byte, bool, error) {
	m.enter()
	v, ok := m.rows[string(key)]
	m.lent = bytes.Clone(v)
	return m.lent, ok, nil
}

func (m *memory) Scan(lo, hi []byte, fn func(key, value []byte) bool) error {
	m.enter()
	for _, k := range slices.Sorted(maps.Keys(m.rows)) {
		if k >= string(lo) && k < string(hi) && !fn([]byte(k), bytes.Clone(m.rows[k])) {
			return nil
		}
	}
	return nil
}

func (m *memory) Set(key, value []byte) {
	m.enter()
	m.rows[string(key)] = bytes.Clone(value)
}

func (m *memory) Delete(key []byte) {
	m.enter()
	delete(m.rows, string(key))
}

func (m *memory) DeleteRange(lo, hi []byte) error {
	m.enter()
	maps.DeleteFunc(m.rows, func(k string, _ []byte) bool { return k >= string(lo) && k < string(hi) })
	return nil
}

// clone is what a checkpoint leaves on disk.
func (m *memory) clone() *memory { return &memory{rows: maps.Clone(m.rows)} }

// open opens a fold of epoch 1.
func open(t testing.TB, cfg Config, st store.State) *Fold {
	t.Helper()
	f, err := NewFold(cfg)(task.Source{Epoch: 1, Partition: 0, Partitions: 1}, st)
	if err != nil {
		t.Fatal(err)
	}
	return f.(*Fold)
}

// paneRecord is the record of p at an offset, stamped at.
func paneRecord(offset int64, at schemas.Instant, p *schemas.Pane) task.Record {
	return task.Record{
		Offset: offset, Timestamp: at, Schema: schemas.SchemaPane,
		Key: []byte(p.Tuple.Account), Value: schemas.EncodePane(p),
	}
}

func reportsRecord(offset int64, at schemas.Instant, p *schemas.Reports) task.Record {
	return task.Record{
		Offset: offset, Timestamp: at, Schema: schemas.SchemaReports, Key: []byte(p.Account), Value: schemas.EncodeReports(p),
	}
}

func progressRecord(offset int64, at schemas.Instant, p *schemas.Progress) task.Record {
	return task.Record{Offset: offset, Timestamp: at, Schema: schemas.SchemaProgress, Value: schemas.EncodeProgress(p)}
}

// ratesOf decodes rows and checks that they are what the topic promises.
func ratesOf(t testing.TB, rows []task.Row) []schemas.Rate {
	t.Helper()
	var out []schemas.Rate
	for _, row := range rows {
		r, err := schemas.DecodeRate(row.Value)
		if err != nil {
			t.Fatal(err)
		}
		if row.Topic != schemas.TopicRates || row.Schema != schemas.SchemaRate || string(row.Key) != r.Series.Account {
			t.Fatalf("row goes to %s as %s under key %q, account %q", row.Topic, row.Schema, row.Key, r.Series.Account)
		}
		out = append(out, r)
	}
	return out
}
