package tasktest

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// reference is what is right after every prefix of one log.
type reference struct {
	rows  []map[string]string // rows[o]: value by key after the records before o
	state []map[string]string // state[o]: the store's content, saved
}

// refer runs the fold over the log without a crash, looking at it after every
// record; rows come from Want where there is one.
func refer(c Config, log []task.Record) (_ *reference, err error) {
	st, err := store.Open(store.Options{Dir: "/state", FS: vfs.NewMem()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	ref := &reference{}
	seen := map[string]Row{}
	e := &keeper{c: c, rows: seen}
	m, err := task.NewMachine(task.MachineConfig{
		Stage: c.Stage, Belongs: belongs(), NewFold: c.NewFold, Store: st, Emitter: e,
	})
	if err != nil {
		return nil, err
	}
	for i := 0; ; i++ {
		// A checkpoint after each record: flush, act, save and commit.
		if _, err := m.Checkpoint(context.Background()); err != nil {
			return nil, fmt.Errorf("reference run: %w", err)
		}
		state, err := dump(st)
		if err != nil {
			return nil, err
		}
		rows := values(seen)
		if c.Want != nil {
			rows = nonEmpty(c.Want(log[:i]))
		}
		// Offsets may have gaps: every offset up to the next record's shares this.
		for end := offsetAt(log, i); int64(len(ref.rows)) <= end; {
			ref.rows, ref.state = append(ref.rows, rows), append(ref.state, state)
		}
		if i == len(log) {
			return ref, nil
		}
		if err := m.Apply(log[i]); err != nil {
			return nil, fmt.Errorf("reference run: %w", err)
		}
	}
}

// offsetAt is the offset of log[i], or the one after the last.
func offsetAt(log []task.Record, i int) int64 {
	if i < len(log) {
		return log[i].Offset
	}
	if len(log) == 0 {
		return 0
	}
	return log[len(log)-1].Offset + 1
}

// keeper is the Emitter of the reference run: a reader by I4.
type keeper struct {
	c    Config
	rows map[string]Row
}

func (k *keeper) Emit(_ context.Context, rows []task.Row) error {
	for _, out := range rows {
		if r, ok := k.c.Row(out); ok {
			keep(k.rows, r)
		}
	}
	return nil
}

func (k *keeper) Progress(context.Context, schemas.Progress) error { return nil }

// keep is I4: the row of greatest version is kept.
func keep(rows map[string]Row, r Row) {
	if old, ok := rows[r.Key]; !ok || r.Version >= old.Version {
		rows[r.Key] = r
	}
}

func values(rows map[string]Row) map[string]string {
	out := map[string]string{}
	for k, r := range rows {
		out[k] = r.Value
	}
	return nonEmpty(out)
}

func nonEmpty(m map[string]string) map[string]string {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(_, v string) bool { return v == "" })
	return m
}

func dump(st *store.Store) (map[string]string, error) {
	all := map[string]string{}
	err := st.Scan(nil, nil, func(k, v []byte) bool {
		all[string(k)] = string(v)
		return true
	})
	return all, err
}

// differ names one key in which got differs from want; "" if there is none.
func differ(got, want map[string]string) string {
	if maps.Equal(got, want) {
		return ""
	}
	for k, v := range want {
		if got[k] != v {
			return fmt.Sprintf("%q is %q, want %q", k, got[k], v)
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			return fmt.Sprintf("%q is %q, want none", k, v)
		}
	}
	return "an empty value stands for a missing one"
}

func belongs() store.Meta {
	return store.Meta{Epoch: 1, Topic: "log", LogicVersion: "1", Partitions: 1}
}
