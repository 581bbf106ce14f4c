package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/kafkalog"
	"github.com/bluetick/bluetick/internal/meter"
	"github.com/bluetick/bluetick/internal/store"
)

// Defaults of a stage.
const (
	defaultRowCache    = 128 << 20
	defaultBlockCache  = 64 << 20
	defaultStopTimeout = 30 * time.Second
	// metadataMinAge decides how soon a client asks anew who leads a partition;
	// kgo's own 5 s would be added to every loss of a broker.
	metadataMinAge = 500 * time.Millisecond
)

// StageConfig describes what a stage runs; it is data.
type StageConfig struct {
	// Stage is the name in metrics, Progress and dead letters, e.g.
	// schemas.StageMessage.
	Stage string
	// Input is the topic read. Output is the topic that gets Progress; "" if
	// nobody listens for it.
	Input, Output string
	// Partitions of Input to run; nil is all.
	Partitions []int32
	Epoch      uint32
	// FromStart lets a partition without a state begin where its log begins, even if
	// older records were deleted: a rebuild, which knows from when on it counts.
	FromStart bool
	// Logic names the fold's logic with whatever changes its results (horizon,
	// edges); state of another logic is refused.
	Logic string
	// StateDir is the root; a task's state is <StateDir>/<epoch>/<topic>/<partition>.
	StateDir string
	// Embedded is true where the cluster id means nothing.
	Embedded bool
	Policy   Policy
	// StopTimeout bounds the last flush and checkpoint; 0 is 30 s.
	StopTimeout time.Duration
	// RowCacheBytes is shared out to the tasks' stores; 0 is 128 MiB.
	RowCacheBytes int64
}

// Validate reports every mistake at once.
func (c StageConfig) Validate() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"Stage", c.Stage}, {"Input", c.Input}, {"Logic", c.Logic}, {"StateDir", c.StateDir},
	} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("stage %q: %s is empty", c.Stage, f.name))
		}
	}
	if c.StopTimeout < 0 || c.RowCacheBytes < 0 {
		errs = append(errs, fmt.Errorf("stage %q: StopTimeout or RowCacheBytes is negative", c.Stage))
	}
	seen := map[int32]bool{}
	for _, p := range c.Partitions {
		if seen[p] {
			errs = append(errs, fmt.Errorf("stage %q: partition %d is named twice", c.Stage, p))
		}
		seen[p] = true
	}
	return errors.Join(append(errs, c.Policy.Validate())...)
}

// Deps is what a stage is given.
type Deps struct {
	// Kafka are the options that reach the cluster: seed brokers, TLS, dialer.
	Kafka   []kgo.Opt
	NewFold NewFold
	// Now stamps records and measures how old what is complete is; it may be a
	// virtual clock.
	Now func() time.Time
	// Wall runs the timers and measures durations; nil is Now.
	Wall func() time.Time
	Log  *slog.Logger
	// Registerer gets the metrics of each partition, those of its fold too, while
	// the partition is open; nil is nowhere.
	Registerer prometheus.Registerer
	// Board shows how far every partition is while the stage runs; nil: not shown.
	Board *Board
	// Ready is called once, when every task has opened its state and is about
	// to read; nil is allowed.
	Ready func()
	// BlockCache is Pebble's, shared by the states of a process; nil gives the
	// stage its own of 64 MiB.
	BlockCache *pebble.Cache
	// FS holds the states; nil is the disk.
	FS vfs.FS
	// Fault is MachineConfig.Fault.
	Fault func(Step) error
}

// RunStage runs one task per partition until ctx ends or a task fails, and
// returns when all have left. It returns nil after a stop that ctx asked for
// and that left every state checkpointed; otherwise the first error, having
// stopped the other tasks in good order. A *Refusal in the error says what the
// operator must do.
func RunStage(ctx context.Context, cfg StageConfig, deps Deps) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.StopTimeout == 0 {
		cfg.StopTimeout = defaultStopTimeout
	}
	if cfg.RowCacheBytes == 0 {
		cfg.RowCacheBytes = defaultRowCache
	}
	if deps.Wall == nil {
		deps.Wall = deps.Now
	}
	if deps.BlockCache == nil {
		deps.BlockCache = pebble.NewCache(defaultBlockCache)
		defer deps.BlockCache.Unref()
	}
	s := &stage{cfg: cfg, deps: deps, log: deps.Log.With("stage", cfg.Stage)}
	s.kafkaLog = kafkalog.New(s.log, deps.Wall)
	var err error
	if s.producer, err = s.client(producerOpts()...); err != nil {
		return fmt.Errorf("start stage %s: %w", cfg.Stage, err)
	}
	defer s.producer.Close()
	if err := s.open(ctx); err != nil {
		if ctx.Err() != nil { // stopped while starting: nothing was read
			return s.close()
		}
		return errors.Join(fmt.Errorf("start stage %s: %w", cfg.Stage, err), s.close())
	}
	if deps.Ready != nil {
		deps.Ready()
	}
	err = s.run(ctx)
	return errors.Join(err, s.close())
}

// stage is a running RunStage.
type stage struct {
	cfg      StageConfig
	deps     Deps
	log      *slog.Logger
	kafkaLog *kafkalog.Logger // shared by all clients of the stage
	producer *kgo.Client
	group    *groupReporter
	tasks    []*task
}

func (s *stage) client(opts ...kgo.Opt) (*kgo.Client, error) {
	all := []kgo.Opt{
		kgo.ClientID("bluetick-" + s.cfg.Stage),
		kgo.MetadataMinAge(metadataMinAge),
		kgo.WithLogger(s.kafkaLog),
	}
	all = append(append(all, s.deps.Kafka...), opts...)
	c, err := kgo.NewClient(all...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return c, nil
}

// open looks at the topics and opens every task's state.
func (s *stage) open(ctx context.Context) error {
	admin := kadm.NewClient(s.producer)
	v, err := look(ctx, admin, s.cfg)
	if err != nil {
		return err
	}
	s.group = newGroupReporter(admin, GroupName(s.cfg.Stage, s.cfg.Epoch), s.cfg.Input, s.log)
	emitter := &kafkaEmitter{client: s.producer, now: s.deps.Now, output: s.cfg.Output, partitions: v.outputPartitions, epoch: s.cfg.Epoch, log: s.log}
	for _, p := range v.chosen {
		t, err := s.openTask(v, p, len(v.chosen), emitter)
		if err != nil {
			return err
		}
		s.tasks = append(s.tasks, t)
	}
	return nil
}

func (s *stage) openTask(v view, partition int32, of int, emitter Emitter) (_ *task, err error) {
	dir := filepath.Join(s.cfg.StateDir, strconv.FormatUint(uint64(s.cfg.Epoch), 10), s.cfg.Input, strconv.Itoa(int(partition)))
	log := s.log.With("partition", partition)
	st, err := store.Open(store.Options{
		Dir: dir, FS: s.deps.FS, Cache: s.deps.BlockCache,
		CacheBytes: max(1, s.cfg.RowCacheBytes/int64(of)), Log: log,
	})
	if err != nil {
		return nil, err
	}
	scope := meter.NewScope(s.deps.Registerer)
	defer func() {
		if err != nil {
			scope.Close()
			err = errors.Join(err, st.Close())
		}
	}()
	want := v.belongs
	want.Partition = partition
	found, has := st.Meta()
	if want.NextOffset, err = resume(found, has, want, v.logs[partition], dir, s.cfg.FromStart); err != nil {
		return nil, err
	}
	g, err := newGauges(scope, s.cfg.Stage, partition)
	if err != nil {
		return nil, err
	}
	machine, err := NewMachine(MachineConfig{
		Stage: s.cfg.Stage, Belongs: want, NewFold: s.deps.NewFold, Store: st, Emitter: emitter,
		Rejected: g.rejected, OtherEpoch: g.otherEpoch.Inc, Metrics: scope, Fault: s.deps.Fault,
	})
	if err != nil {
		return nil, err
	}
	consumer, err := s.client(consumerOpts(s.cfg.Input, partition, want.NextOffset)...)
	if err != nil {
		return nil, err
	}
	log.Info("state opened", "next_offset", want.NextOffset, "log_start", v.logs[partition].start, "log_end", v.logs[partition].end)
	t := &task{
		policy: s.cfg.Policy, stop: s.cfg.StopTimeout, output: s.cfg.Output != "",
		where: fmt.Sprintf("%s[%d]", s.cfg.Input, partition), topic: s.cfg.Input, topicID: want.TopicID, part: partition,
		machine: machine, store: st, consumer: consumer, report: s.group.note,
		now: s.deps.Now, wall: s.deps.Wall, log: log, gauges: g, metrics: scope,
		board: s.deps.Board, end: v.logs[partition].end,
	}
	t.publish()
	return t, nil
}

// run gives every task its goroutine and the group reporter its own. The first
// task to fail ends the others' context with its error as the cause.
func (s *stage) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reporting, stopReporting := context.WithCancel(context.WithoutCancel(ctx))
	var reporter, tasks sync.WaitGroup
	reporter.Go(func() { s.group.run(reporting) })
	failed := make(chan error, len(s.tasks)) // each task sends at most once
	for _, t := range s.tasks {
		tasks.Go(func() {
			if err := t.run(ctx); err != nil {
				failed <- err
				cancel(err)
			}
		})
	}
	tasks.Wait()
	stopReporting()
	reporter.Wait()
	close(failed)
	first := <-failed // nil if there is none
	for err := range failed {
		s.log.Error("another task failed as well", "err", err)
	}
	return first
}

func (s *stage) close() error {
	var errs []error
	for _, t := range s.tasks {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}
