package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

// maxPoll bounds how far a batch overshoots its limit of rows.
const maxPoll = 5_000

// askTimeout bounds asking where the log ends.
const askTimeout = 2 * time.Second

// writer carries one topic. All fields are owned by the goroutine of run.
type writer struct {
	topic   string
	topicID string
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics

	client *kgo.Client
	// fetchFailures are the polls in a row that told of one.
	fetchFailures int
	partitions    map[int32]*partition
	batch         Batch
	// linger ends when the batch has to be inserted; nil while it is empty.
	linger context.Context
	// unlinger frees linger's timer.
	unlinger context.CancelFunc
	// age measures the batch from its first record.
	age *prometheus.Timer
}

// partition is how far the sink has come in one partition.
type partition struct {
	// next is the first offset not yet in ClickHouse, fetched the first not yet
	// in the batch, end the end of the log as far as we know.
	next, fetched, end int64
	// newest is the timestamp of the newest record fetched.
	newest schemas.Instant
}

func (w *writer) stage() string { return Stage + "/" + w.topic }

// run is the loop. It returns nil when ctx has ended and the last batch is in.
func (w *writer) run(ctx context.Context) error {
	if err := w.open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // nothing was begun
		}
		return err
	}
	w.batch = Batch{
		Limits: w.cfg.Limits, Partitions: int32(len(w.partitions)), Epoch: w.deps.Epoch,
		OtherEpoch: w.metrics.ignored.WithLabelValues(w.topic).Inc,
	}
	defer w.client.Close()
	// Inserts outlive ctx: a frozen batch is finished, not abandoned.
	insert, cancel := outliving(ctx, w.cfg.StopTimeout)
	defer cancel()
	defer w.empty()
	if err := w.heartbeat(insert); err != nil { // every partition has a position from the start
		return err
	}
	for ctx.Err() == nil {
		due, err := w.poll(ctx)
		if err == nil {
			err = w.work(insert, due)
		}
		if err != nil {
			return err
		}
	}
	return w.flush(insert)
}

// outliving returns a context that ends a while after ctx has.
func outliving(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		time.AfterFunc(while, func() { cancel(errors.New("no time left to insert the last batch: it will be read again")) })
	})
	return out, func() {
		unhook()
		cancel(nil)
	}
}

// poll adds what has been fetched to the batch. due says that the batch has
// lingered long enough or, if it is empty, that the topic has been idle for a
// heartbeat.
func (w *writer) poll(ctx context.Context) (due bool, err error) {
	wait, cancel := w.linger, context.CancelFunc(func() {})
	if wait == nil {
		wait, cancel = context.WithTimeout(ctx, w.cfg.Heartbeat)
	}
	defer cancel()
	fetches := w.client.PollRecords(wait, maxPoll)
	failed := false
	for _, e := range fetches.Errors() {
		if errors.Is(e.Err, context.DeadlineExceeded) || ctx.Err() != nil {
			continue
		}
		// The client goes on by itself, but reports some of the errors it met on
		// the way, such as a broker whose machine is gone.
		if classify(e.Err) == clickhouse.ClassPermanent {
			return false, fetchError(e)
		}
		if !failed {
			failed = true
			w.fetchFailures++
		}
		w.trouble(callFetch, w.fetchFailures, "fetch will be tried again", e.Err, "partition", e.Partition)
	}
	if !failed {
		w.fetchFailures = 0
		w.metrics.inARow.WithLabelValues(w.topic, callFetch).Set(0)
	}
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		at := w.partitions[p.Partition]
		if at == nil {
			return // kgo reports the end of the wait as a partition of its own
		}
		at.end = max(at.end, p.HighWatermark)
		for _, r := range p.Records {
			w.add(ctx, at, r)
		}
		w.metrics.lag.WithLabelValues(w.topic, strconv.Itoa(int(p.Partition))).Set(float64(at.end - at.next))
	})
	return wait.Err() != nil, nil
}

func fetchError(e kgo.FetchError) error {
	if errors.Is(e.Err, kerr.OffsetOutOfRange) {
		return fmt.Errorf("fetch partition %d: %w: retention has deleted records before they came to ClickHouse, or the topic was made anew; a restart says which", e.Partition, e.Err)
	}
	return fmt.Errorf("fetch partition %d: %w", e.Partition, e.Err)
}

func (w *writer) add(ctx context.Context, at *partition, r *kgo.Record) {
	if w.linger == nil {
		w.linger, w.unlinger = context.WithTimeout(ctx, w.cfg.Linger)
		w.age = prometheus.NewTimer(w.metrics.age.WithLabelValues(w.topic))
	}
	stamp := schemas.InstantOf(r.Timestamp)
	reason := w.batch.Add(Record{
		Topic: w.topic, Partition: r.Partition, Offset: r.Offset, Timestamp: stamp, Schema: schemaOf(r), Key: r.Key, Value: r.Value,
	})
	if reason != "" {
		w.metrics.dropped.WithLabelValues(w.topic, reason).Inc()
		w.log.Warn("record becomes a dead letter", "partition", r.Partition, "offset", r.Offset, "reason", reason)
	}
	w.metrics.received.WithLabelValues(w.topic).Inc()
	at.fetched = r.Offset + 1
	at.newest = max(at.newest, stamp)
}

func schemaOf(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == schemas.HeaderSchema {
			return string(h.Value)
		}
	}
	return ""
}

// work inserts the batch if it is full or due.
func (w *writer) work(ctx context.Context, due bool) error {
	switch {
	case w.batch.Empty() && due:
		return w.heartbeat(ctx)
	case w.batch.Full(), !w.batch.Empty() && due:
		return w.flush(ctx)
	default:
		return nil
	}
}

// empty forgets the batch's timers.
func (w *writer) empty() {
	if w.unlinger != nil {
		w.unlinger()
	}
	w.linger, w.unlinger, w.age = nil, nil, nil
}

// flush freezes the batch and inserts it: first the rows, then the progress of
// the stages and the positions (S1, S2).
func (w *writer) flush(ctx context.Context) error {
	if w.batch.Empty() {
		return nil
	}
	f := w.batch.Take()
	for _, rows := range f.Rows {
		if err := w.insert(ctx, rows, f.Token); err != nil {
			return err
		}
	}
	progress := slices.Concat(f.Progress, w.positions(), w.ends(ctx))
	if err := w.insert(ctx, progress, f.Token); err != nil {
		return err
	}
	w.acknowledged(&f)
	w.empty()
	return nil
}

// insert repeats the same rows until they are acknowledged (S3). A repeat is
// harmless, even if the attempt before it went through (S4).
func (w *writer) insert(ctx context.Context, rows clickhouse.Rows, token string) error {
	table := rows.Table()
	token = tokenOf(revision, w.topic, w.topicID, token, table)
	return w.retry(ctx, fmt.Sprintf("insert %s [%s]", table, token), func(ctx context.Context) error {
		timer := prometheus.NewTimer(w.metrics.duration.WithLabelValues(table))
		if err := w.deps.Store.Insert(ctx, rows, token); err != nil {
			return err
		}
		timer.ObserveDuration()
		w.metrics.inserted.WithLabelValues(table).Add(float64(rows.Len()))
		return nil
	})
}

// acknowledged takes note of an inserted batch.
func (w *writer) acknowledged(f *Frozen) {
	now := schemas.InstantOf(w.deps.Now())
	for p, next := range f.Next {
		at := w.partitions[p]
		at.next = next
		w.metrics.lag.WithLabelValues(w.topic, strconv.Itoa(int(p))).Set(float64(at.end - at.next))
	}
	w.metrics.rows.WithLabelValues(w.topic).Observe(float64(f.Records))
	w.metrics.bytes.WithLabelValues(w.topic).Observe(float64(f.Bytes))
	w.age.ObserveDuration()
	for _, rows := range f.Rows {
		events, _ := rows.(clickhouse.Events)
		for i := range events {
			w.metrics.freshness.Observe(float64(now-events[i].ReceivedAt) / 1000)
		}
	}
}

// heartbeat writes the positions of an idle topic.
func (w *writer) heartbeat(ctx context.Context) error {
	return w.insert(ctx, append(w.positions(), w.ends(ctx)...), "heartbeat "+w.deps.Now().UTC().Format(time.RFC3339Nano))
}

// positions are the rows that say how far the sink is once everything fetched is
// inserted. They are complete to now if the sink is at the end of the log, else
// to the time of the newest record.
func (w *writer) positions() clickhouse.Progresses {
	now := schemas.InstantOf(w.deps.Now())
	rows := make(clickhouse.Progresses, 0, len(w.partitions))
	for p := range int32(len(w.partitions)) {
		at := w.partitions[p]
		complete := now
		if at.fetched != at.end { // behind; or the log has lost records, and nothing is complete
			complete = at.newest
		}
		rows = append(rows, clickhouse.Progress{
			Progress: schemas.Progress{
				Stage: w.stage(), Source: p, Sources: int32(len(w.partitions)), NextOffset: at.fetched, CompleteTo: complete,
			},
			TopicID: w.topicID,
		})
	}
	return rows
}

// ends are the rows that say where the log ends, asked for now: no record has a
// version at or past it, however far the sink itself has come. Without an answer
// there are none; the next batch asks again.
func (w *writer) ends(ctx context.Context) clickhouse.Progresses {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answers, err := kadm.NewClient(w.client).ListEndOffsets(ctx, w.topic)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		w.log.Warn("kafka does not say where the log ends and is asked again; check the brokers", "err", err)
		return nil
	}
	now := schemas.InstantOf(w.deps.Now())
	rows := make(clickhouse.Progresses, 0, len(w.partitions))
	for p := range int32(len(w.partitions)) {
		end, ok := answers.Lookup(w.topic, p)
		if !ok {
			continue
		}
		w.measure(p, end.Offset)
		rows = append(rows, clickhouse.Progress{
			Progress: schemas.Progress{
				Stage: schemas.StageLog + "/" + w.topic, Source: p, Sources: int32(len(w.partitions)), NextOffset: end.Offset, CompleteTo: now,
			},
			TopicID: w.topicID,
		})
	}
	return rows
}

// measure takes note of the end of a partition. An end before what was fetched is
// cause for alarm: the log has lost records.
func (w *writer) measure(p int32, end int64) {
	at := w.partitions[p]
	at.end = end
	w.metrics.lag.WithLabelValues(w.topic, strconv.Itoa(int(p))).Set(float64(end - at.next))
	if end < at.fetched {
		w.log.Error("the log ends before what was read from it: it has lost records",
			"partition", p, "end_offset", end, "next_offset", at.fetched, "remedy", "stop, find out why the brokers lost records, and rebuild (docs/runbook.md)")
	}
}
