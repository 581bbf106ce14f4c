package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/meter"
	"github.com/bluetick/bluetick/internal/retry"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

var errStopTooLong = errors.New("the stop took longer than its limit")

// task is one input partition: its consumer, its machine and the timers. The
// goroutine in run owns all of it.
type task struct {
	policy  Policy
	stop    time.Duration // limit of a graceful stop
	output  bool          // the stage sends Progress
	where   string        // topic[partition], for texts
	topic   string
	topicID [16]byte
	part    int32

	machine  *Machine
	store    *store.Store
	consumer *kgo.Client
	report   func(partition int32, next int64) // after each checkpoint
	now      func() time.Time                  // stamps; may be virtual
	wall     func() time.Time                  // timers
	log      *slog.Logger
	gauges   gauges
	metrics  *meter.Scope // of the gauges and of the fold
	board    *Board       // nil: nobody asks

	schema     string          // of the last record
	highWater  int64           // the log's end as the last fetch knew it
	end        int64           // the log's end as it was last asked for
	completeTo schemas.Instant // what the last Progress said
	dirtyAt    time.Time
	progressAt time.Time
	savedAt    time.Time
	warnedAt   time.Time
	lostAt     time.Time
}

// run polls, applies, flushes and checkpoints until ctx ends. Then it leaves in
// order: stop polling, flush, acknowledgements, checkpoint. Work begun is not cut
// off by the stop but has t.stop to end. An error means that nothing since the
// last checkpoint is durable.
func (t *task) run(ctx context.Context) error {
	work, release := outlive(ctx, t.stop)
	defer release()
	t.savedAt = t.wall()
	for ctx.Err() == nil {
		if err := t.step(ctx, work); err != nil {
			return fmt.Errorf("task %s: %w", t.where, err)
		}
		t.publish()
	}
	if err := t.checkpoint(work); err != nil {
		return fmt.Errorf("stop task %s: %w", t.where, err)
	}
	t.publish()
	t.log.Info("task stopped", "next_offset", t.machine.Next())
	return nil
}

// outlive returns a context that ends `after` after ctx does.
func outlive(ctx context.Context, after time.Duration) (context.Context, func()) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	timer := time.AfterFunc(math.MaxInt64, func() { cancel(errStopTooLong) })
	detach := context.AfterFunc(ctx, func() { timer.Reset(after) })
	return work, func() {
		detach()
		timer.Stop()
		cancel(nil)
	}
}

func (t *task) step(ctx, work context.Context) error {
	act, why, wait := t.policy.decide(t.load())
	if act != actWait {
		t.log.Debug("timer due", "action", act.String(), "reason", string(why))
	}
	switch act {
	case actCheckpoint:
		return t.checkpoint(work)
	case actFlush:
		return t.flush(work)
	case actProgress:
		return t.progress(work)
	default:
		return t.poll(ctx, work, wait)
	}
}

func (t *task) load() load {
	now, rows := t.wall(), t.machine.Rows()
	if rows == 0 {
		t.dirtyAt = now
	}
	t.gauges.dirty.Set(float64(rows))
	return load{
		rows: rows, letterBytes: t.machine.LetterBytes(), stateRows: t.store.Dirty(),
		uncommitted: t.machine.Uncommitted(), output: t.output,
		sinceDirty: now.Sub(t.dirtyAt), sinceProgress: now.Sub(t.progressAt), sinceCheckpoint: now.Sub(t.savedAt),
	}
}

// poll applies what comes within wait.
func (t *task) poll(ctx, work context.Context, wait time.Duration) error {
	pctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	fetches := t.consumer.PollRecords(pctx, maxPoll)
	var again error
	for _, e := range fetches.Errors() {
		fatal, retry := fetchError(e.Err, t.where, t.machine.Next())
		if fatal != nil {
			return fatal
		}
		if retry != nil {
			again = retry
		}
	}
	if err := t.apply(work, fetches); err != nil {
		return err
	}
	if again != nil {
		return t.pause(ctx, again)
	}
	return nil
}

// apply folds what was fetched, record by record, and flushes in between
// whenever the rows that wait reach their bound: one record of the roll-up can
// close some hundred thousand, and one fetch holds many such records.
func (t *task) apply(work context.Context, fetches kgo.Fetches) error {
	var applied int
	var failed error
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		t.highWater = max(t.highWater, p.HighWatermark)
		for _, r := range p.Records {
			if failed != nil {
				return
			}
			rec := toRecord(r, t.schema)
			t.schema = rec.Schema
			failed = t.machine.Apply(rec)
			applied++
			if failed == nil && t.policy.full(t.machine.Rows(), t.machine.LetterBytes()) != "" {
				failed = t.flush(work)
				t.dirtyAt = t.wall()
			}
		}
	})
	t.gauges.received.Add(float64(applied))
	t.gauges.lagOffsets.Set(float64(max(t.highWater, t.end) - t.machine.Next()))
	return failed
}

// pause waits a little after a fetch that kgo is trying again.
func (t *task) pause(ctx context.Context, why error) error {
	if err := t.trouble(ctx, why); err != nil {
		return err
	}
	// The loop sees by itself that the pause was cut short.
	_ = retry.Pause(ctx, retryPause)
	return nil
}

func (t *task) flush(work context.Context) error {
	began := t.wall()
	n, err := t.machine.Flush(work)
	if err != nil {
		return err
	}
	t.gauges.emitted.Add(float64(n))
	t.gauges.flush.Observe(since(t.wall, began))
	return t.progress(work)
}

func (t *task) checkpoint(work context.Context) error {
	began := t.wall()
	n, err := t.machine.Checkpoint(work)
	if err != nil {
		return err
	}
	t.savedAt = t.wall()
	t.gauges.emitted.Add(float64(n))
	t.gauges.checkpoint.Observe(t.savedAt.Sub(began).Seconds())
	t.report(t.part, t.machine.Next())
	return t.progress(work)
}

// progress reports how far the task has come. Not where the log has lost records:
// others than those folded will be at their offsets.
func (t *task) progress(work context.Context) error {
	t.progressAt = t.wall()
	if !t.output {
		return nil
	}
	whole, err := t.whole(work)
	if err != nil || !whole {
		return err
	}
	to, err := t.machine.Progress(work)
	if err != nil {
		return err
	}
	if t.completeTo = to; to > 0 {
		t.gauges.completeLag.Set(float64(schemas.InstantOf(t.now())-to) / 1000)
	}
	return nil
}

// whole reports whether all that is folded is still in the log. Kafka is asked
// where the log ends; no answer is not a no.
func (t *task) whole(work context.Context) (bool, error) {
	if t.machine.Next() < t.highWater {
		return true, nil // known without asking
	}
	ctx, cancel := context.WithTimeout(work, askTimeout)
	defer cancel()
	end, err := endOffset(ctx, t.consumer, t.topic, t.part)
	if err != nil {
		return true, t.trouble(work, err)
	}
	t.end = end
	t.measure(end)
	return t.machine.Next() <= end, nil
}

// measure shows how far away the log's end is. A log that ends before what is
// folded has lost records: that is an alarm, and nothing is reported as complete,
// since other records than those folded will be at these offsets.
func (t *task) measure(end int64) {
	next := t.machine.Next()
	t.gauges.lagOffsets.Set(float64(end - next))
	if now := t.wall(); end < next && now.Sub(t.lostAt) >= warnEvery {
		t.lostAt = now
		t.log.Error("the log ends before what is folded: it has lost records, and nothing is said to be complete until it has grown past them",
			"end_offset", end, "next_offset", next, "remedy", "stop, find out why the brokers lost records, and rebuild (docs/runbook.md)")
	}
}

// trouble handles an error that passes by itself. Only if the topic is gone it
// returns an error.
func (t *task) trouble(ctx context.Context, why error) error {
	if topicMayBeGone(why) {
		if err := sameTopic(ctx, t.consumer, t.topic, t.topicID, t.where); err != nil {
			return err
		}
	}
	if now := t.wall(); now.Sub(t.warnedAt) >= warnEvery {
		t.warnedAt = now
		t.log.Warn("kafka does not answer as it should and is asked again; check the brokers", "err", why)
	}
	return nil
}

// close gives up what the task holds; what was not checkpointed is discarded.
func (t *task) close() error {
	t.metrics.Close()
	t.board.drop(t.machine.cfg.Stage, t.part)
	t.consumer.Close()
	return t.store.Close()
}
