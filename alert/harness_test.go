package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testEpoch = 7

// midnight is 2026-03-02 00:00 UTC, the day tests play on.
var midnight = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).Unix()

// defaults is the configuration bluetick ships.
func defaults(t testing.TB) Config {
	t.Helper()
	rows, err := schemas.LoadBenchmarks()
	if err != nil {
		t.Fatal(err)
	}
	return Config{Rules: Default(), Benchmarks: rows}
}

// recorder is a receiver that remembers, and fails as told.
type recorder struct {
	got  []receiver.Notification
	fail func(n receiver.Notification) error
}

func (r *recorder) Name() string { return "recorder" }

func (r *recorder) Send(_ context.Context, n receiver.Notification) error {
	if r.fail != nil {
		if err := r.fail(n); err != nil {
			return err
		}
	}
	r.got = append(r.got, n)
	return nil
}

// world runs the real fold under the real protocol over a log in memory. It
// stands in for the parts with a network only.
type world struct {
	t       testing.TB
	cfg     Config
	fs      vfs.FS
	st      *store.Store
	m       *task.Machine
	fault   func(task.Step) error
	log     []task.Record
	emitted []task.Row
	recv    *recorder
	now     time.Time
	sources int32
	silent  bool
}

func newWorld(t testing.TB, cfg Config) *world {
	w := &world{t: t, cfg: cfg, fs: vfs.NewMem(), recv: &recorder{}, now: time.Unix(midnight, 0), sources: 1}
	w.open()
	t.Cleanup(func() { _ = w.st.Close() })
	return w
}

// Emit takes rows as a broker that acknowledges everything.
func (w *world) Emit(_ context.Context, rows []task.Row) error {
	w.emitted = append(w.emitted, rows...)
	return nil
}

// Progress is not looked at.
func (w *world) Progress(context.Context, schemas.Progress) error { return nil }

func (w *world) open() {
	w.t.Helper()
	st, err := store.Open(store.Options{Dir: "state", FS: w.fs})
	if err != nil {
		w.t.Fatal(err)
	}
	w.st = st
	belongs := store.Meta{Epoch: testEpoch, Topic: schemas.TopicRates, LogicVersion: Logic, Partitions: 1}
	if meta, ok := st.Meta(); ok {
		belongs.NextOffset = meta.NextOffset
	}
	w.m, err = task.NewMachine(task.MachineConfig{
		Stage: "alert", Belongs: belongs, Store: st, Emitter: w,
		NewFold: NewFold(w.cfg, Deps{
			Now: func() time.Time { return w.now }, Receivers: []receiver.Receiver{w.recv},
			Log: slog.New(slog.DiscardHandler), Silent: w.silent,
		}),
		Fault: func(s task.Step) error {
			if w.fault == nil {
				return nil
			}
			return w.fault(s)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// crash loses everything since the last checkpoint.
func (w *world) crash() {
	w.t.Helper()
	if err := w.st.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

func (w *world) append(schema string, key, value []byte, at int64) {
	w.log = append(w.log, task.Record{
		Offset: int64(len(w.log)), Timestamp: schemas.Instant(1000 * at), Schema: schema, Key: key, Value: value,
	})
}

func (w *world) rate(s schemas.Series, age Age, at int64, totals schemas.Totals) {
	w.append(schemas.SchemaRate, []byte(s.Account), schemas.EncodeRate(&schemas.Rate{
		Epoch: testEpoch, Series: s, Window: 60, Age: uint32(age), At: at, DClock: schemas.Instant(1000 * at), Totals: totals,
	}), at)
}

func (w *world) progress(at int64) {
	for i := range w.sources {
		w.append(schemas.SchemaProgress, nil, schemas.EncodeProgress(&schemas.Progress{
			Epoch: testEpoch, Stage: schemas.StageRollup, Source: i, Sources: w.sources, CompleteTo: schemas.Instant(1000 * at),
		}), at)
	}
	w.now = time.Unix(at+20, 0)
}

// catchUp applies what of the log has not been applied.
func (w *world) catchUp() error {
	for w.m.Next() < int64(len(w.log)) {
		if err := w.m.Apply(w.log[w.m.Next()]); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) flush() error {
	if err := w.catchUp(); err != nil {
		return err
	}
	_, err := w.m.Flush(context.Background())
	return err
}

func (w *world) checkpoint() error {
	if err := w.catchUp(); err != nil {
		return err
	}
	_, err := w.m.Checkpoint(context.Background())
	return err
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// transitions decodes the rows of alerts in the order emitted.
func (w *world) transitions() []schemas.Transition {
	w.t.Helper()
	var ts []schemas.Transition
	for _, r := range w.emitted {
		if r.Topic != schemas.TopicAlerts {
			continue
		}
		tr, err := schemas.DecodeTransition(r.Value)
		w.must(err)
		ts = append(ts, tr)
	}
	return ts
}

// newest keeps of every incident the row of greatest version, as every consumer
// does, and fails where equal versions differ.
func (w *world) newest() map[schemas.Key]schemas.Transition {
	w.t.Helper()
	rows := map[schemas.Key]schemas.Transition{}
	seen := map[string]schemas.Transition{}
	for _, tr := range w.transitions() {
		k := incidentKey(&tr)
		at := fmt.Sprint(k, tr.Version)
		if old, ok := seen[at]; ok && old != tr {
			w.t.Errorf("N4: version %d of one incident is two rows:\n%+v\n%+v", tr.Version, old, tr)
		}
		seen[at] = tr
		if old, ok := rows[k]; !ok || tr.Version > old.Version {
			rows[k] = tr
		}
	}
	return rows
}

var errCrash = errors.New("crash")

func campaign(account, name string) schemas.Series {
	return schemas.Series{Account: account, Grouping: schemas.GroupCampaign, Channel: schemas.ChannelWhatsApp, Campaign: name}
}

func account(name string) schemas.Series {
	return schemas.Series{Account: name, Grouping: schemas.GroupAccount}
}
