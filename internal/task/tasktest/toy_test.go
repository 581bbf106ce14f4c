package tasktest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// The toy: messages are counted in the least minute anybody reported for them,
// so they move between panes; "total" counts records, so a repeated or a lost
// one shows; three messages in a pane ring a bell, once. Keys are message
// numbers, values a minute; minute 255 is rejected.

const badMinute = 255

// toy keeps panes and the total in the store at each record.
type toy struct {
	st     store.State
	dirty  map[string]int64 // row key → offset of its last change
	clock  schemas.Instant
	bells  map[string]int64 // to ring: pane → offset
	clocks bool             // clock changed since Save
}

func newToy(_ task.Source, st store.State) (task.Fold, error) {
	f := &toy{st: st, dirty: map[string]int64{}, bells: map[string]int64{}}
	n, err := f.get("clock")
	f.clock = schemas.Instant(n)
	return f, err
}

func (f *toy) get(key string) (int64, error) {
	v, ok, err := f.st.Get([]byte(key))
	if err != nil || !ok {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

func (f *toy) set(key string, n int64) {
	f.st.Set([]byte(key), binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func (f *toy) add(key string, n, offset int64) (int64, error) {
	old, err := f.get(key)
	f.set(key, old+n)
	f.dirty[key] = offset
	return old + n, err
}

func (f *toy) Apply(r task.Record) error {
	minute := int64(r.Value[0])
	if minute == badMinute {
		return &task.Reject{Reason: "bad_minute", Err: errors.New("the minute is out of range")}
	}
	if r.Timestamp > f.clock {
		f.clock, f.clocks = r.Timestamp, true
	}
	_, err := f.add("total", 1, r.Offset)
	if err != nil {
		return err
	}
	message := "m" + string(r.Key)
	old, err := f.get(message) // minute + 1
	if err != nil || old != 0 && old-1 <= minute {
		return err
	}
	f.set(message, minute+1)
	if old != 0 {
		if _, err := f.add(pane(old-1), -1, r.Offset); err != nil {
			return err
		}
	}
	n, err := f.add(pane(minute), 1, r.Offset)
	if err != nil || n < 3 {
		return err
	}
	bell := "b" + pane(minute)
	if rung, err := f.get(bell); err != nil || rung != 0 {
		return err
	}
	f.set(bell, 1)
	f.dirty[bell], f.bells[bell] = r.Offset, r.Offset
	return nil
}

func pane(minute int64) string { return fmt.Sprintf("p%03d", minute) }

func (f *toy) Dirty() int { return len(f.dirty) }

func (f *toy) Drain(next int64) []task.Row {
	var rows []task.Row
	for _, k := range slices.Sorted(maps.Keys(f.dirty)) {
		n, version := int64(1), f.dirty[k]*2 // of a bell
		if k[0] != 'b' {
			version = (next - 1) * 2
			var err error
			if n, err = f.get(k); err != nil {
				panic(err)
			}
		}
		rows = append(rows, task.Row{Topic: "out", Key: []byte(k), Value: fmt.Appendf(nil, "%d %d", version, n)})
	}
	f.dirty = map[string]int64{}
	return rows
}

func (f *toy) Act(context.Context) ([]task.Row, error) {
	var rows []task.Row
	for _, k := range slices.Sorted(maps.Keys(f.bells)) {
		rows = append(rows, task.Row{Topic: "out", Key: []byte(k), Value: fmt.Appendf(nil, "%d %d", f.bells[k]*2+1, 2)})
	}
	f.bells = map[string]int64{}
	return rows, nil
}

func (f *toy) Save() error {
	if f.clocks {
		f.set("clock", int64(f.clock))
		f.clocks = false
	}
	return nil
}

func (f *toy) CompleteTo() schemas.Instant { return f.clock }
func (f *toy) DClock() schemas.Instant     { return f.clock }

// toyLog has duplicates, disorder, a few bad records and a gap in the offsets.
func toyLog(r *rand.Rand) []task.Record {
	var log []task.Record
	offset, clock := int64(0), schemas.Instant(1000)
	for range 10 + r.IntN(50) {
		minute := byte(r.IntN(4))
		if r.IntN(20) == 0 {
			minute = badMinute
		}
		clock += schemas.Instant(r.IntN(100) - 30)
		log = append(log, task.Record{
			Offset: offset, Timestamp: clock,
			Key: []byte{byte(r.IntN(12))}, Value: []byte{minute},
		})
		offset += 1 + int64(r.IntN(10)/9)
	}
	return log
}

func toyRow(out task.Row) (Row, bool) {
	if out.Topic == schemas.TopicDeadLetters {
		d, err := schemas.DecodeDeadLetter(out.Value)
		if err != nil {
			panic(err)
		}
		offset, err := strconv.ParseInt(d.Where[strings.LastIndex(d.Where, "/")+1:], 10, 64)
		if err != nil {
			panic(err)
		}
		return Row{Key: d.Where, Version: offset * 2, Offset: offset, Value: d.Reason + string(d.Item)}, true
	}
	var version, n int64
	if _, err := fmt.Sscan(string(out.Value), &version, &n); err != nil {
		panic(err)
	}
	row := Row{Key: string(out.Key), Version: version, Offset: version / 2}
	if n != 0 {
		row.Value = strconv.FormatInt(n, 10)
	}
	return row, true
}

// toyWant is the brute force; it knows nothing of folds.
func toyWant(log []task.Record) map[string]string {
	want, least, most, total := map[string]string{}, map[byte]byte{}, map[byte]int{}, 0
	for _, r := range log {
		m := r.Value[0]
		if m == badMinute {
			want[fmt.Sprintf("log/0/%d", r.Offset)] = "bad_minute" + string(r.Value)
			continue
		}
		total++
		if old, ok := least[r.Key[0]]; !ok || m < old {
			least[r.Key[0]] = m
		}
		count := map[byte]int{}
		for _, m := range least {
			count[m]++
			most[m] = max(most[m], count[m])
		}
		for m := range byte(4) {
			want[pane(int64(m))] = strconv.Itoa(count[m])
			if count[m] == 0 {
				want[pane(int64(m))] = ""
			}
			if most[m] >= 3 {
				want["b"+pane(int64(m))] = "2"
			}
		}
	}
	if total > 0 {
		want["total"] = strconv.Itoa(total)
	}
	return want
}

func toyConfig() Config {
	return Config{Stage: "toy", NewFold: newToy, Log: toyLog, Row: toyRow, Want: toyWant}
}
