package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/internal/task/tasktest"
	"github.com/bluetick/bluetick/schemas"
)

// script writes a day of two accounts with trouble that comes and goes, and now
// and then a row twice, as a crash of roll-up leaves them.
func script(r *rand.Rand, w *world, minutes int) {
	names := []string{"a", "b"}
	bad := map[string]bool{}
	for m := range int64(minutes) {
		at := midnight + 36000 + m*60
		for _, name := range names {
			if r.IntN(8) == 0 {
				bad[name] = !bad[name]
			}
			totals := schemas.Totals{Sent: 400, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 380, schemas.OutcomeOptedOut: r.Int64N(4)}}
			if bad[name] {
				totals.Outcomes[schemas.OutcomeDelivered], totals.Outcomes[schemas.OutcomeOptedOut] = 100+r.Int64N(50), 20+r.Int64N(20)
			}
			for range 1 + r.IntN(5)/4 {
				w.rate(account(name), 1800, at, totals)
				w.rate(campaign(name, "spring"), 1800, at, totals)
			}
		}
		if r.IntN(3) > 0 {
			w.progress(at)
		}
	}
	// An idle day ends whatever still fires.
	w.progress(midnight + 36000 + 90*60 + 2*86400)
	w.now = time.Unix(midnight+36000+90*60, 0)
}

// A run with crashes anywhere records the incidents of a run without, and tells
// of each at least once with the same key.
func TestCrashesLoseNoNotification(t *testing.T) {
	steps := []task.Step{
		task.StepApplied, task.StepDrained, task.StepAcked, task.StepActed,
		task.StepActAcked, task.StepSaved, task.StepCommitted,
	}
	repeats, crashes := 0, 0
	for seed := range uint64(40) {
		clean := newWorld(t, defaults(t))
		script(rand.New(rand.NewPCG(seed, 21)), clean, 60)
		clean.must(clean.checkpoint())

		r := rand.New(rand.NewPCG(seed, 22))
		w := newWorld(t, defaults(t))
		w.log, w.now = clean.log, clean.now
		var step task.Step
		w.fault = func(s task.Step) error {
			if s == step {
				step = ""
				return errCrash
			}
			return nil
		}
		for w.m.Next() < int64(len(w.log)) {
			if r.IntN(4) == 0 {
				step = steps[r.IntN(len(steps))]
			}
			err := w.some(r)
			if errors.Is(err, errCrash) {
				crashes++
				w.crash()
			} else if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		w.fault = nil
		w.must(w.checkpoint())

		want, got := clean.newest(), w.newest()
		if len(want) == 0 {
			t.Errorf("seed %d: the script raises no incident", seed)
		}
		for k, row := range want {
			if got[k] != row {
				t.Errorf("seed %d: with crashes\n%+v\nwithout\n%+v", seed, got[k], row)
			}
		}
		if len(got) != len(want) {
			t.Errorf("seed %d: %d incidents with crashes, %d without", seed, len(got), len(want))
		}
		told := map[string]int{}
		for _, n := range w.recv.got {
			told[n.Key]++
		}
		for _, n := range clean.recv.got {
			if told[n.Key] == 0 {
				t.Errorf("seed %d: never told: %s", seed, n.Title)
			}
		}
		repeats += len(w.recv.got) - len(clean.recv.got)
	}
	t.Logf("%d crashes, %d notifications repeated", crashes, repeats)
	if crashes < 100 || repeats == 0 {
		t.Errorf("%d crashes repeated %d notifications: the test has lost its bite", crashes, repeats)
	}
}

// some applies a few records and perhaps flushes or makes a checkpoint.
func (w *world) some(r *rand.Rand) error {
	for range 1 + r.IntN(12) {
		if w.m.Next() == int64(len(w.log)) {
			break
		}
		if err := w.m.Apply(w.log[w.m.Next()]); err != nil {
			return err
		}
	}
	switch r.IntN(4) {
	case 0:
		_, err := w.m.Flush(context.Background())
		return err
	case 1:
		_, err := w.m.Checkpoint(context.Background())
		return err
	}
	return nil
}

// The runtime's model checker: zombies, power cuts and moves as well.
func TestProtocol(t *testing.T) {
	cfg := defaults(t)
	now := time.Unix(midnight+86400, 0)
	tasktest.Check(t, tasktest.Config{
		Stage: "alert",
		NewFold: NewFold(cfg, Deps{
			Now: func() time.Time { return now }, Receivers: []receiver.Receiver{nobody{}},
			Log: slog.New(slog.DiscardHandler),
		}),
		Log: func(r *rand.Rand) []task.Record {
			w := &world{sources: 1}
			script(r, w, 8+r.IntN(10))
			for i := range w.log {
				w.log[i] = inEpoch(t, w.log[i], 1)
			}
			return w.log
		},
		Row:        decidedRow,
		LooseState: true,
		Runs:       60,
	})
}

// decidedRow reads a transition for the model checker: what was told is a matter
// of the clock and of crashes; what happened is not.
func decidedRow(r task.Row) (tasktest.Row, bool) {
	tr, err := schemas.DecodeTransition(r.Value)
	if err != nil || r.Topic != schemas.TopicAlerts {
		return tasktest.Row{}, false
	}
	key, version := incidentKey(&tr).String(), tr.Version
	tr.Notified, tr.Version, tr.Reason = false, version/2, ""
	return tasktest.Row{Key: key, Version: version, Offset: version / 2, Value: fmt.Sprintf("%+v", tr)}, true
}

type nobody struct{}

func (nobody) Name() string                                      { return "nobody" }
func (nobody) Send(context.Context, receiver.Notification) error { return nil }

func inEpoch(t testing.TB, r task.Record, epoch uint32) task.Record {
	t.Helper()
	switch r.Schema {
	case schemas.SchemaRate:
		rate, err := schemas.DecodeRate(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		rate.Epoch = epoch
		r.Value = schemas.EncodeRate(&rate)
	case schemas.SchemaProgress:
		p, err := schemas.DecodeProgress(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		p.Epoch = epoch
		r.Value = schemas.EncodeProgress(&p)
	}
	return r
}

// A task that is stopped while a receiver is slow does not know who took it:
// the notification is in the checkpoint and is sent after the restart.
func TestStopWhileNotifying(t *testing.T) {
	w := newWorld(t, defaults(t))
	ctx, cancel := context.WithCancel(context.Background())
	w.recv.fail = func(receiver.Notification) error {
		cancel()
		return fmt.Errorf("notify: %w", context.Cause(ctx))
	}
	w.rate(campaign("acme", "spring"), 1800, midnight+36000, schemas.Totals{Sent: 200, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 200, schemas.OutcomeOptedOut: 40}})
	w.must(w.catchUp())
	if _, err := w.m.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(w.transitions()); n != 1 {
		t.Fatalf("%d rows before the stop, want the transition alone", n)
	}
	w.recv.fail = nil
	w.now = time.Unix(midnight+36060, 0)
	w.crash()
	if w.m.Rows() == 0 {
		t.Error("nothing to flush after the restart: nobody would be told until the next checkpoint")
	}
	w.must(w.flush())
	rows := w.transitions()
	if len(w.recv.got) != 1 || len(rows) != 3 || !rows[2].Notified || rows[1] != rows[0] {
		t.Errorf("told %d times, rows %+v", len(w.recv.got), rows)
	}
	w.must(w.checkpoint())
	w.crash()
	if w.m.Rows() != 0 {
		t.Error("told and recorded, yet still pending after another restart")
	}
}

func TestTooOldToNotify(t *testing.T) {
	for _, c := range []struct {
		name  string
		speed float64
		after time.Duration
		told  bool
	}{
		{"two hours", 1, 2 * time.Hour, true},
		{"more than two hours", 1, 2*time.Hour + time.Minute, false},
		{"a day at a thousandfold speed is 86 s ago", 1000, 8 * time.Hour, true},
		{"9 hours at a thousandfold speed", 1000, 9 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Deps{Speed: func() float64 { return c.speed }}
			if told := c.after <= d.tooOldAfter(); told != c.told {
				t.Errorf("told %v after %s, limit %s", told, c.after, d.tooOldAfter())
			}
		})
	}
}

// A dead receiver must not hold the partition up for every pending incident.
func TestOneRoundOfADeadReceiver(t *testing.T) {
	w := newWorld(t, defaults(t))
	calls := 0
	w.recv.fail = func(receiver.Notification) error {
		calls++
		return &receiver.Error{Reason: receiver.ReasonUnreachable, Attempts: 4, Err: errors.New("status 503")}
	}
	for i := range 5 {
		w.rate(campaign("acme", "c"+strconv.Itoa(i)), 1800, midnight+36000, schemas.Totals{Sent: 400, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: 400, schemas.OutcomeOptedOut: 100}})
	}
	w.now = time.Unix(midnight+36000, 0)
	for round := 1; round <= 5; round++ {
		w.must(w.flush())
		if calls != round {
			t.Fatalf("%d calls after %d rounds", calls, round)
		}
	}
	dead := 0
	for _, r := range w.emitted {
		if r.Topic == schemas.TopicDeadLetters {
			dead++
		}
	}
	if dead != 5 {
		t.Errorf("%d dead letters, want 5", dead)
	}
}
