package sink

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

// Record is one record of a topic. Its Value is not kept.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp schemas.Instant
	// Schema is the header schemas.HeaderSchema.
	Schema string
	Key    []byte
	Value  []byte
}

// Limits say when a batch is full. Its age is left to the loop, which holds the
// timer.
type Limits struct {
	Rows  int
	Bytes int
}

// Batch gathers the rows of the records of one topic. It is pure: it asks for
// no time and talks to nobody. The zero value is an empty batch without limits.
type Batch struct {
	Limits Limits
	// Partitions is the topic's number of partitions; 0 if it is not known.
	Partitions int32
	// Epoch is the newest that any stage counts in; 0 if it is not known. Rows of
	// a later one are left out, and OtherEpoch, if it is not nil, is called for
	// each.
	Epoch      uint32
	OtherEpoch func()

	events      clickhouse.Events
	optOuts     clickhouse.OptOuts
	panes       clickhouse.Panes
	reports     clickhouse.Reports
	rates       clickhouse.Rates
	alerts      clickhouse.Alerts
	deadLetters clickhouse.DeadLetters
	progress    map[progressKey]clickhouse.Progress
	spans       map[int32]span
	records     int
	bytes       int
}

// span is the records of one partition in a batch: [first, last].
type span struct{ first, last int64 }

type progressKey struct {
	epoch          uint32
	stage          string
	source, output int32
}

// Empty reports whether nothing was added since the last Take.
func (b *Batch) Empty() bool { return b.records == 0 }

// Full reports whether the batch should be inserted whatever its age.
func (b *Batch) Full() bool {
	return b.records > 0 && (b.records >= b.Limits.Rows || b.bytes >= b.Limits.Bytes)
}

// Add decodes a record into rows. Records of a partition come in the order of
// their offsets. What cannot be decoded becomes a dead letter; rejected is its
// reason, else "".
func (b *Batch) Add(r Record) (rejected string) {
	b.records++
	b.bytes += len(r.Value)
	if b.spans == nil {
		b.spans = map[int32]span{}
	}
	s, ok := b.spans[r.Partition]
	if !ok {
		s.first = r.Offset
	}
	s.last = r.Offset
	b.spans[r.Partition] = s

	err := b.decode(r)
	if err == nil {
		return ""
	}
	if errors.Is(err, errOtherEpoch) {
		if b.OtherEpoch != nil {
			b.OtherEpoch()
		}
		return ""
	}
	reason := reasonOf(err)
	b.deadLetters = append(b.deadLetters, clickhouse.DeadLetter{
		Letter: schemas.DeadLetter{
			Stage: Stage, Source: r.Topic, Reason: reason, Detail: err.Error(),
			Where:      fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset),
			ReceivedAt: r.Timestamp,
		},
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Size: len(r.Value),
	})
	return reason
}

// Stage is the name under which the sink signs dead letters and, with a slash
// and the topic, its positions.
const Stage = schemas.StageSink

// reasonStage is a Progress of a stage that does not write to the topic. Taken as
// it is, it could pass for a position of the sink itself.
const reasonStage = "stage"

var (
	errSchema     = errors.New("schema does not belong in this topic")
	errStage      = errors.New("progress of a stage that does not write to this topic: some other producer wrote it (docs/runbook.md)")
	errOtherEpoch = errors.New("another epoch")
)

// reasonOf is the reason of the dead letter of a record that has no row.
func reasonOf(err error) string {
	var misplaced *schemas.Misplaced
	switch {
	case errors.As(err, &misplaced):
		return misplaced.Reason
	case errors.Is(err, errSchema):
		return schemas.ReasonSchema
	case errors.Is(err, errStage):
		return reasonStage
	default:
		return schemas.ReasonDecode
	}
}

// place returns why a record of the epoch, 0 for one that has none, cannot become
// a row: it is in the wrong place, or of an epoch that does not count yet.
// Earlier epochs pass: their rows were true, and some reach ClickHouse only after
// the switch.
func (b *Batch) place(r *Record, ownKey bool, epoch uint32) error {
	if b.Epoch != 0 && epoch > b.Epoch {
		return errOtherEpoch
	}
	if m := schemas.Misplacement(r.Key, ownKey, r.Partition, b.Partitions); m != nil {
		return m
	}
	return nil
}

func (b *Batch) decode(r Record) error {
	switch [2]string{schemas.BaseTopic(r.Topic), r.Schema} {
	case [2]string{schemas.TopicEvents, schemas.SchemaEvent}:
		return add(r, &b.events, func(v []byte) (clickhouse.Event, error) {
			e, err := schemas.DecodeEvent(v)
			if err == nil {
				err = cmp.Or(b.place(&r, schemas.HasEventKey(r.Key, &e), 0), inCalendar(e.ReceivedAt.Seconds()))
			}
			if err == nil {
				b.optOuts = append(b.optOuts, clickhouse.OptOutsOf(&e)...)
			}
			return clickhouse.Event{Event: e, Partition: r.Partition, Offset: r.Offset}, err
		})
	case [2]string{schemas.TopicEvents, schemas.SchemaHeartbeat}:
		// What it says comes with the Progress of the message fold.
		_, err := schemas.DecodeHeartbeat(r.Value)
		return cmp.Or(err, b.place(&r, len(r.Key) == 0, 0))
	case [2]string{schemas.TopicPanes, schemas.SchemaReports}:
		return add(r, &b.reports, func(v []byte) (schemas.Reports, error) {
			x, err := schemas.DecodeReports(v)
			return x, cmp.Or(err, b.place(&r, string(r.Key) == x.Account, x.Epoch), inCalendar(x.Newest.Seconds()))
		})
	case [2]string{schemas.TopicPanes, schemas.SchemaPane}:
		return add(r, &b.panes, func(v []byte) (schemas.Pane, error) {
			p, err := schemas.DecodePane(v)
			return p, cmp.Or(err, b.place(&r, string(r.Key) == p.Tuple.Account, p.Epoch), inCalendar(p.Minute))
		})
	case [2]string{schemas.TopicRates, schemas.SchemaRate}:
		return add(r, &b.rates, func(v []byte) (schemas.Rate, error) {
			x, err := schemas.DecodeRate(v)
			return x, cmp.Or(err, b.place(&r, string(r.Key) == x.Series.Account, x.Epoch), inCalendar(x.At))
		})
	case [2]string{schemas.TopicAlerts, schemas.SchemaTransition}:
		return add(r, &b.alerts, func(v []byte) (schemas.Transition, error) {
			t, err := schemas.DecodeTransition(v)
			return t, cmp.Or(err, b.place(&r, string(r.Key) == t.Series.Account, t.Epoch), inCalendar(t.At), inCalendar(t.OpenedAt), inCalendar(t.Since))
		})
	case [2]string{schemas.TopicDeadLetters, schemas.SchemaDeadLetter}:
		return add(r, &b.deadLetters, func(v []byte) (clickhouse.DeadLetter, error) {
			d, err := schemas.DecodeDeadLetter(v)
			size := len(d.Item)
			d.Item = nil
			return clickhouse.DeadLetter{Letter: d, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Size: size}, err
		})
	case [2]string{schemas.TopicPanes, schemas.SchemaProgress}, [2]string{schemas.TopicRates, schemas.SchemaProgress}:
		return b.addProgress(r)
	default:
		return fmt.Errorf("%w: %q in %s", errSchema, r.Schema, r.Topic)
	}
}

func add[T any, S ~[]T](r Record, rows *S, decode func([]byte) (T, error)) error {
	row, err := decode(r.Value)
	if err != nil {
		return err
	}
	*rows = append(*rows, row)
	return nil
}

// inCalendar checks a time, in seconds, against the range of DateTime.
func inCalendar(seconds int64) error {
	if seconds < 0 || seconds > math.MaxUint32 {
		return fmt.Errorf("time %d is outside the years 1970 to 2106", seconds)
	}
	return nil
}

// writes is the stage whose Progress a topic carries.
func writes(topic string) string {
	if schemas.BaseTopic(topic) == schemas.TopicPanes {
		return schemas.StageMessage
	}
	return schemas.StageRollup
}

// addProgress keeps the furthest Progress of each key: only that one is true of
// the batch as a whole.
func (b *Batch) addProgress(r Record) error {
	p, err := schemas.DecodeProgress(r.Value)
	if err = cmp.Or(err, b.place(&r, len(r.Key) == 0, p.Epoch)); err != nil {
		return err
	}
	if p.Stage != writes(r.Topic) || p.Epoch == 0 {
		return errStage
	}
	if b.progress == nil {
		b.progress = map[progressKey]clickhouse.Progress{}
	}
	key := progressKey{p.Epoch, p.Stage, p.Source, r.Partition}
	if old, ok := b.progress[key]; ok {
		if p.NextOffset < old.NextOffset {
			p.Shut = old.Shut
		}
		p.NextOffset = max(p.NextOffset, old.NextOffset)
		p.CompleteTo = max(p.CompleteTo, old.CompleteTo)
	}
	b.progress[key] = clickhouse.Progress{Progress: p, Output: r.Partition}
	return nil
}

// Frozen is a batch that no longer changes.
type Frozen struct {
	// Rows in the order in which they must be inserted; none is empty.
	Rows []clickhouse.Rows
	// Progress of stages, to be inserted after Rows.
	Progress clickhouse.Progresses
	// Token names the records of the batch: partition:first-last, sorted.
	Token string
	// Next is the offset after the last record of each partition.
	Next    map[int32]int64
	Records int
	Bytes   int
}

// Take freezes the batch and leaves an empty one.
func (b *Batch) Take() Frozen {
	f := Frozen{Next: make(map[int32]int64, len(b.spans)), Records: b.records, Bytes: b.bytes}
	for _, rows := range []clickhouse.Rows{b.events, b.optOuts, b.panes, b.reports, b.rates, b.alerts, b.deadLetters} {
		if rows.Len() > 0 {
			f.Rows = append(f.Rows, rows)
		}
	}
	for _, p := range b.progress {
		f.Progress = append(f.Progress, p)
	}
	slices.SortFunc(f.Progress, func(a, b clickhouse.Progress) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Output, b.Output))
	})
	var spans []string
	for p, s := range b.spans {
		f.Next[p] = s.last + 1
		spans = append(spans, fmt.Sprintf("%d:%d-%d", p, s.first, s.last))
	}
	slices.Sort(spans)
	f.Token = strings.Join(spans, ",")
	*b = Batch{Limits: b.Limits, Partitions: b.Partitions, Epoch: b.Epoch, OtherEpoch: b.OtherEpoch}
	return f
}
