package alert

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// entry is one transition on its way: emitted, then notified, then gone. One that
// nobody is to be told of (Notified from the start) is gone once emitted.
type entry struct {
	row     schemas.Transition
	emitted bool
}

// push appends a transition. Of two of one incident at one offset (a jump of
// the watermark may hold a reminder and the end) the later takes the place of
// the earlier, which is then the newest: equal versions must be equal rows.
func (f *fold) push(row schemas.Transition) {
	if last := len(f.outbox) - 1; last >= 0 {
		if e := &f.outbox[last].row; e.Version/2 == row.Version/2 && incidentKey(e) == incidentKey(&row) {
			f.outbox = f.outbox[:last]
		}
	}
	f.outbox = append(f.outbox, &entry{row: row})
}

// Dirty is the number of transitions not yet emitted.
func (f *fold) Dirty() int {
	n := 0
	for _, e := range f.outbox {
		if !e.emitted {
			n++
		}
	}
	return n
}

// Drain emits every transition in the order decided, each with the version of
// the record that decided it: that holds however late it is emitted.
func (f *fold) Drain(int64) []task.Row {
	var rows []task.Row
	kept := f.outbox[:0]
	for _, e := range f.outbox {
		if !e.emitted {
			rows = append(rows, alertRow(&e.row))
			e.emitted = true
		}
		if !e.row.Notified {
			kept = append(kept, e)
		}
	}
	clear(f.outbox[len(kept):])
	f.outbox = kept
	return rows
}

func alertRow(t *schemas.Transition) task.Row {
	return task.Row{
		Topic: schemas.TopicAlerts, Schema: schemas.SchemaTransition,
		Key: []byte(t.Series.Account), Value: schemas.EncodeTransition(t),
	}
}

// maxPerAct bounds how long the partition stands still for notifications. So
// does the time that one may take: none begins after that. A receiver that
// was given up ends the round as well: it has used its time, and the next
// incident would wait as long again. What is left waits for the next flush, at
// the latest that of the next checkpoint.
const maxPerAct = 20

// notifyPending notifies in order, and returns what became of it: the
// transition's row as notified, or dead letters. It stops between notifications
// when the task stops; the rest is pending in the checkpoint, and is sent after
// the restart.
func (f *fold) notifyPending(ctx context.Context) ([]task.Row, error) {
	round, cancel := context.WithTimeout(ctx, f.deps.limits().Total)
	defer cancel()
	var rows []task.Row
	done := 0
	for givenUp := false; done < len(f.outbox) && done < maxPerAct && !givenUp && round.Err() == nil; {
		e := f.outbox[done]
		if !e.emitted {
			break
		}
		more, ok, err := f.notify(ctx, e.row)
		if err != nil {
			return rows, err
		}
		if !ok {
			break
		}
		rows = append(rows, more...)
		givenUp = more[0].Topic == schemas.TopicDeadLetters
		done++
	}
	clear(f.outbox[:done])
	f.outbox = f.outbox[done:]
	return rows, nil
}

// notify tells every receiver of one transition. ok is false if the task
// stopped meanwhile: then it is not known who took it.
func (f *fold) notify(ctx context.Context, t schemas.Transition) (rows []task.Row, ok bool, err error) {
	told := prefixed(kindTold, incidentKey(&t))
	_, wasTold, err := f.st.Get(told)
	if err != nil {
		return nil, false, fmt.Errorf("read told: %w", err)
	}
	now := f.deps.Now()
	// How old the news is counts from when it was heard, if that was later.
	switch age := now.Unix() - max(t.At, t.DClock.Seconds()); {
	case f.deps.Silent:
		if t.State == schemas.StateFiring {
			f.st.Set(told, []byte{stateVersion})
		}
	case age > int64(f.deps.tooOldAfter().Seconds()):
		t.Reason = string(ReasonTooOld)
		f.log.Info("incident not notified: too old", "rule", t.Rule, "state", string(t.State), "account", t.Series.Account, "age_seconds", age)
	case t.State == schemas.StateResolved && !wasTold:
		t.Reason = string(ReasonNeverTold)
	default:
		var dead []task.Row
		if dead, ok = f.tell(ctx, &t, schemas.InstantOf(now)); !ok {
			return nil, false, nil
		}
		if t.State == schemas.StateFiring {
			f.st.Set(told, []byte{stateVersion})
		}
		rows = dead
	}
	if t.State == schemas.StateResolved {
		f.st.Delete(told)
	}
	if len(rows) == 0 {
		t.Notified = true
		t.Version++
		rows = []task.Row{alertRow(&t)}
	}
	return rows, true, nil
}

// tell shows t to all receivers and returns a dead letter for each that gave it
// up, in the order of the receivers. ok is false if the task stopped meanwhile.
func (f *fold) tell(ctx context.Context, t *schemas.Transition, now schemas.Instant) (dead []task.Row, ok bool) {
	n := message(t, f.children(t))
	for i, err := range receiver.Tell(ctx, f.deps.Receivers, n, f.deps.limits()) {
		name := f.deps.Receivers[i].Name()
		if err == nil {
			f.meters.notifications.WithLabelValues(name, outcomeTaken).Inc()
			continue
		}
		given := (*receiver.Error)(nil)
		if !errors.As(err, &given) {
			return nil, false
		}
		f.meters.notifications.WithLabelValues(name, string(given.Reason)).Inc()
		f.log.Error("notification given up, kept as a dead letter", "receiver", name, "rule", t.Rule,
			"account", t.Series.Account, "notification", n.Key, "err", err)
		dead = append(dead, f.deadLetter(t, name, n.Key, given, now))
	}
	return dead, true
}

func (f *fold) deadLetter(t *schemas.Transition, name, key string, why *receiver.Error, now schemas.Instant) task.Row {
	d := schemas.DeadLetter{
		Stage: schemas.StageAlert, Source: schemas.TopicAlerts, Reason: "receiver_" + string(why.Reason),
		Detail:     fmt.Sprintf("receiver %s, notification %s: %v", name, key, why),
		Where:      fmt.Sprintf("%s/%d/%d", schemas.TopicRates, f.src.Partition, t.Version/2),
		ReceivedAt: now, Item: schemas.EncodeTransition(t),
	}
	return task.Row{
		Topic: schemas.TopicDeadLetters, Schema: schemas.SchemaDeadLetter,
		Key: []byte(d.Source), Value: schemas.EncodeDeadLetter(&d),
	}
}

// children names the incidents under a firing account.
func (f *fold) children(t *schemas.Transition) []string {
	if t.Series.Grouping != schemas.GroupAccount || t.State != schemas.StateFiring {
		return nil
	}
	var names []string
	for _, id := range f.firingIDs() {
		if id.rule == t.Rule && id.of.Account == t.Series.Account && id.of.Grouping != schemas.GroupAccount {
			names = append(names, where(&f.firing[id].of))
		}
	}
	return names
}

func pendingKey(i int) []byte { return binary.BigEndian.AppendUint32([]byte{kindPending}, uint32(i)) }

// savePending replaces the stored outbox by the present one.
func (f *fold) savePending() {
	for i := len(f.outbox); i < f.stored; i++ {
		f.st.Delete(pendingKey(i))
	}
	for i, e := range f.outbox {
		f.st.Set(pendingKey(i), schemas.EncodeTransition(&e.row))
	}
	f.stored = len(f.outbox)
}

// loadPending takes up what a stop left over. The rows go out once more, the
// same bytes, and then the receivers get what they may have missed.
func (f *fold) loadPending() error {
	var bad error
	err := f.st.Scan([]byte{kindPending}, []byte{kindPending + 1}, func(_, value []byte) bool {
		var e entry
		if e.row, bad = schemas.DecodeTransition(value); bad != nil {
			return false
		}
		f.outbox = append(f.outbox, &e)
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("read pending notifications: %w", err)
	}
	f.stored = len(f.outbox)
	return nil
}
