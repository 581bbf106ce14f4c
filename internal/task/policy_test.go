package task

import (
	"strings"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	p := DefaultPolicy()
	for _, c := range []struct {
		name string
		load load
		act  action
		why  reason
		wait time.Duration
	}{
		{"nothing", load{}, actWait, reasonNothing, time.Second},
		{"nothing, progress due in 200 ms", load{output: true, sinceProgress: 4800 * time.Millisecond}, actWait, reasonNothing, 200 * time.Millisecond},
		{"nothing, progress due", load{output: true, sinceProgress: 5 * time.Second}, actProgress, reasonHeartbeat, 0},
		{"nobody listens for progress", load{sinceProgress: time.Hour}, actWait, reasonNothing, time.Second},
		{"few rows, young", load{rows: 1, sinceDirty: 400 * time.Millisecond}, actWait, reasonNothing, 600 * time.Millisecond},
		{"few rows, 1 s", load{rows: 10_000, sinceDirty: time.Second}, actFlush, reasonAge, 0},
		{"many rows wait longer", load{rows: 10_001, sinceDirty: 9500 * time.Millisecond}, actWait, reasonNothing, 500 * time.Millisecond},
		{"many rows and progress overdue", load{rows: 10_001, sinceDirty: 6 * time.Second, output: true, sinceProgress: 6 * time.Second}, actWait, reasonNothing, time.Second},
		{"many rows, 10 s", load{rows: 10_001, sinceDirty: 10 * time.Second}, actFlush, reasonAgeOfMany, 0},
		{"one less than most rows", load{rows: 299_999}, actWait, reasonNothing, time.Second},
		{"most rows", load{rows: 300_000}, actFlush, reasonMaxRows, 0},
		{"large dead letters", load{rows: 1, letterBytes: 8 << 20}, actFlush, reasonLetters, 0},
		{"checkpoint due", load{uncommitted: true, sinceCheckpoint: 15 * time.Second}, actCheckpoint, reasonInterval, 0},
		{"checkpoint due in 100 ms", load{uncommitted: true, sinceCheckpoint: 14_900 * time.Millisecond}, actWait, reasonNothing, 100 * time.Millisecond},
		{"checkpoint would say nothing new", load{sinceCheckpoint: time.Hour}, actWait, reasonNothing, time.Second},
		{"much state", load{stateRows: 250_000, uncommitted: true}, actCheckpoint, reasonStateRows, 0},
		{"checkpoint before flush", load{rows: 500_000, uncommitted: true, sinceCheckpoint: time.Minute}, actCheckpoint, reasonInterval, 0},
		{"all but due", load{rows: 1, sinceDirty: time.Second - 1}, actWait, reasonNothing, time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			act, why, wait := p.decide(c.load)
			if act != c.act || why != c.why || wait != c.wait {
				t.Errorf("got %v %s %v, want %v %s %v", act, why, wait, c.act, c.why, c.wait)
			}
		})
	}
}

func TestPolicyValidate(t *testing.T) {
	if err := DefaultPolicy().Validate(); err != nil {
		t.Error(err)
	}
	err := Policy{}.Validate()
	for _, name := range []string{"FlushAfter", "FewRows", "MaxLetterBytes", "ProgressEvery", "CheckpointEvery", "MaxStateRows"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}
