package message

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/internal/task/tasktest"
	"github.com/bluetick/bluetick/schemas"
)

// TestOnTheRuntime has the runtime's model checker drive the fold: crashes at
// every step, power cuts, zombies, older copies of the state, with the brute
// force as the truth after every prefix (I1 to I4 of the runtime).
func TestOnTheRuntime(t *testing.T) {
	tasktest.Check(t, tasktest.Config{
		Stage: schemas.StageMessage, NewFold: NewFold(), Log: randomLog, Row: readRow, Want: wantRows, Runs: scale(100),
	})
}

// randomLog is a few messages in any order, or many weeks in order of arrival
// so that messages are forgotten, with gaps in the offsets and records that
// must be refused.
func randomLog(rng *rand.Rand) []task.Record {
	events := shuffled(rng, randomHistory(rng, 6, 8))
	if rng.IntN(2) == 0 {
		events = longHistory(rng, 160)
		for len(events) > 80 { // thinned, so that the weeks go by
			i := rng.IntN(len(events))
			events = slices.Delete(events, i, i+1)
		}
	}
	var log []task.Record
	offset := int64(0)
	for _, e := range events {
		rec := recordOf(e, offset)
		rec.Timestamp += schemas.Instant(rng.IntN(20_000) - 10_000)
		if rng.IntN(30) == 0 {
			rec.Value = rec.Value[:rng.IntN(len(rec.Value))]
		}
		log = append(log, rec)
		offset += int64(1 + rng.IntN(2)*rng.IntN(2))
	}
	return log
}

func rowKey(k cohortKey) string { return fmt.Sprintf("%d %q", k.minute, k.tuple) }

func rowValue(c schemas.Counts) string {
	if equalCounts(&c, &schemas.Counts{}) {
		return ""
	}
	return fmt.Sprintf("%+v", c)
}

func readRow(r task.Row) (tasktest.Row, bool) {
	p, err := schemas.DecodePane(r.Value)
	if err != nil || r.Schema != schemas.SchemaPane || r.Topic != schemas.TopicPanes {
		return tasktest.Row{}, false
	}
	return tasktest.Row{Key: rowKey(cohortKey{p.Minute, p.Tuple}), Version: p.Version, Offset: p.Version, Value: rowValue(p.Counts)}, true
}

func wantRows(log []task.Record) map[string]string {
	var events []schemas.Event
	for _, r := range log {
		if e, err := schemas.DecodeEvent(r.Value); err == nil {
			events = append(events, e)
		}
	}
	rows := map[string]string{}
	for k, c := range bruteForce(events) {
		rows[rowKey(k)] = rowValue(c)
	}
	return rows
}

// TestRuntimeLogsForget makes sure that the logs above reach what they are for.
func TestRuntimeLogsForget(t *testing.T) {
	s := seed(t)
	var forgotten, late, moves, repeats int64
	for i := range 50 {
		log := randomLog(rand.New(rand.NewPCG(s, uint64(i))))
		if !slices.IsSortedFunc(log, func(a, b task.Record) int { return cmp.Compare(a.Offset, b.Offset) }) {
			t.Fatal("offsets do not rise")
		}
		f, err := open(testSource, newMapStore())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range log {
			_ = f.Apply(r) // some are to be refused
		}
		st := f.Stats()
		forgotten, late, moves, repeats = forgotten+st.Forgotten, late+st.Late, moves+st.Moves, repeats+st.Repeats
	}
	if forgotten == 0 || late == 0 || moves == 0 || repeats == 0 {
		t.Errorf("BLUETICK_SEED=%d: forgotten %d, late %d, moves %d, repeats %d", s, forgotten, late, moves, repeats)
	}
}
