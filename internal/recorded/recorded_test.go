package recorded

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bluetick/bluetick/aggregate/message"
	"github.com/bluetick/bluetick/aggregate/rollup"
	"github.com/bluetick/bluetick/alert"
	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

const (
	flushEvery      = 501   // records between two flushes: 500 and a heartbeat
	checkpointEvery = 20040 // records between two checkpoints
	settling        = 10 * second
)

// TestRecordedLog compares the rows of every fold, and the dead letters, with
// those of the golden file: byte for byte, in order. The first line that
// differs names the fold to look at, as each reads the rows of the one before.
func TestRecordedLog(t *testing.T) {
	log := recordedLog()
	events := 0
	for _, p := range log {
		events += len(p)
	}
	if events < 100_000 {
		t.Fatalf("%d events, want at least 100,000", events)
	}
	panes := &tape{}
	for p, records := range log {
		m := machine(t, input{schemas.StageMessage, schemas.TopicEvents, int32(p), partitions}, message.NewFold(), panes)
		feed(t, m, withHeartbeats(records), true)
	}
	rates := &tape{}
	feed(t, machine(t, input{schemas.StageRollup, schemas.TopicPanes, 0, 1}, rollup.NewFold(rollup.Default()), rates), merged(panes.runs), true)
	transitions := &tape{}
	feed(t, machine(t, input{schemas.StageAlert, schemas.TopicRates, 0, 1}, alert.NewFold(alertConfig(t), alert.Deps{
		Now: func() time.Time { return (start() + 40*day).Time() }, Log: slog.New(slog.DiscardHandler),
	}), transitions), rates.records, false)
	golden.Assert(t, "testdata/rows.golden", fmt.Appendf(nil, "events  %d\nmessage %s\nrollup  %s\nalert   %s\n", events, panes, rates, transitions))
}

func alertConfig(t *testing.T) alert.Config {
	t.Helper()
	benchmarks, err := schemas.LoadBenchmarks()
	if err != nil {
		t.Fatal(err)
	}
	return alert.Config{Rules: alert.Default(), Benchmarks: benchmarks}
}

// input is one partition of the topic that a stage reads.
type input struct {
	stage, topic          string
	partition, partitions int32
}

// machine is the real protocol on a store in memory.
func machine(t *testing.T, in input, fold task.NewFold, out *tape) *task.Machine {
	t.Helper()
	st, err := store.Open(store.Options{Dir: fmt.Sprintf("%s-%d", in.stage, in.partition), FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() }) // in memory: nothing to lose
	out.runs = append(out.runs, nil)
	m, err := task.NewMachine(task.MachineConfig{
		Stage: in.stage, NewFold: fold, Store: st, Emitter: out,
		Belongs: store.Meta{Topic: in.topic, Partition: in.partition, Partitions: in.partitions, Epoch: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// feed applies the records with flushes and checkpoints at fixed places.
func feed(t *testing.T, m *task.Machine, records []task.Record, progress bool) {
	t.Helper()
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range records {
		check(m.Apply(r))
		last := i == len(records)-1
		if (i+1)%checkpointEvery == 0 || last {
			_, err := m.Checkpoint(ctx)
			check(err)
		} else if (i+1)%flushEvery == 0 {
			_, err := m.Flush(ctx)
			check(err)
		} else {
			continue
		}
		if progress {
			_, err := m.Progress(ctx)
			check(err)
		}
	}
}

// withHeartbeats has a door say, before each flush, that all it took in is there.
func withHeartbeats(records []task.Record) []task.Record {
	var out []task.Record
	var now schemas.Instant
	opened := start() - 20*day // before any event
	add := func(r task.Record) {
		r.Offset = int64(len(out))
		out = append(out, r)
	}
	beat := func() {
		add(task.Record{Timestamp: now, Schema: schemas.SchemaHeartbeat, Value: schemas.EncodeHeartbeat(&schemas.Heartbeat{
			Door: schemas.Key{1}, Opened: opened, At: now, Settling: int64(settling), Patience: int64(100 * day),
		})})
	}
	for i, r := range records {
		if e, err := schemas.DecodeEvent(r.Value); err == nil {
			for at := min(e.ReceivedAt, r.Timestamp); at > now; {
				// Quiet days have heartbeats too, or they would be doubted.
				if now == 0 || at-now <= 6*hour {
					now = at
					break
				}
				now += 6 * hour
				beat()
			}
		}
		add(r)
		if last := i == len(records)-1; len(out)%flushEvery == flushEvery-1 || last {
			beat()
		}
	}
	return out
}

// tape is an Emitter that keeps what it gets and digests it.
type tape struct {
	records []task.Record
	// runs holds the records of each machine that wrote to the tape.
	runs   [][]task.Record
	digest hash.Hash
	rows   int
}

// Emit takes rows; dead letters are digested and go no further.
func (e *tape) Emit(_ context.Context, rows []task.Row) error {
	for _, r := range rows {
		e.rows++
		if r.Topic != schemas.TopicDeadLetters {
			e.add(r.Topic, r.Schema, r.Key, r.Value)
			e.keep(r.Schema, r.Key, r.Value)
			continue
		}
		letter, err := schemas.DecodeDeadLetter(r.Value)
		if err != nil {
			return err
		}
		letter.Detail = "" // the Protobuf library words its errors differently in each build
		e.add(r.Topic, r.Schema, r.Key, schemas.EncodeDeadLetter(&letter))
	}
	return nil
}

// Progress takes a Progress record.
func (e *tape) Progress(_ context.Context, p schemas.Progress) error {
	e.keep(schemas.SchemaProgress, nil, schemas.EncodeProgress(&p))
	return nil
}

func (e *tape) keep(schema string, key, value []byte) {
	r := task.Record{Offset: int64(len(e.records)), Timestamp: start() + 60*day, Schema: schema, Key: key, Value: value}
	e.records = append(e.records, r)
	last := len(e.runs) - 1
	e.runs[last] = append(e.runs[last], r)
}

func (e *tape) add(topic, schema string, key, value []byte) {
	if e.digest == nil {
		e.digest = sha256.New()
	}
	for _, part := range [][]byte{[]byte(topic), []byte(schema), key, value} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		e.digest.Write(size[:])
		e.digest.Write(part)
	}
}

// String is the digest of all rows and their number.
func (e *tape) String() string {
	if e.digest == nil {
		return "none"
	}
	return fmt.Sprintf("%x %d", e.digest.Sum(nil), e.rows)
}

// merged takes one flush of each run in turn, as a topic that several tasks
// write to would hold them, and numbers them anew.
func merged(runs [][]task.Record) []task.Record {
	var out []task.Record
	for more := true; more; {
		more = false
		for i := range runs {
			for len(runs[i]) > 0 {
				r := runs[i][0]
				runs[i] = runs[i][1:]
				r.Offset = int64(len(out))
				out = append(out, r)
				if r.Schema == schemas.SchemaProgress {
					break
				}
			}
			more = more || len(runs[i]) > 0
		}
	}
	return out
}
