package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/aggregate/message"
	"github.com/bluetick/bluetick/internal/dataroot"
	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// Rebuild folds the events anew into an epoch of its own, beside the one that
// counts, and then has the new one count. It is for a build whose logic differs from
// that of the states, on a data folder; the servers may be embedded or given.
//
//		idle      epoch.json names the current epoch
//		folding   it names the new one too, and the first minute it will count from;
//		          states, topics and rows of the new epoch grow, those of the old rest
//		switched  a row in `epochs` has the new epoch count; it is the one moment at
//		          which anything that is read changes
//		idle      epoch.json names the new epoch as the current one
//
//	  - B1 until the switch, nothing of the current epoch is changed: the build before
//	    goes on with it as if there had been no rebuild.
//	  - B2 a minute counts in one epoch: the newest whose first minute is not after it.
//	    The new one holds every minute from its first on as a whole.
//	  - B3 what the old epoch told of is not told again: nobody is told while folding,
//	    and an incident that is open afterwards counts as told.
//
// A crash while folding leaves checkpoints, and the next call goes on from them. One
// between the row and epoch.json leaves a new epoch that counts and is not current:
// the next call finds that it counts, and finishes.
type Rebuild struct {
	// Again rebuilds although the states are of this build's logic.
	Again bool
	// Out gets what a person wants to read, Bar the progress; a terminal, or plain
	// lines.
	Out      io.Writer
	Terminal bool
}

// firstCounts is how long after the first record that the log still has a minute
// must lie to be counted from the log alone: outcomes come within the horizon, and a
// message that was sent before would look as if it had been sent when it was
// delivered. A day for the clocks.
const firstCounts = (schemas.HorizonDays + 1) * 24 * time.Hour

// stillChanging is how long after its sending most of what happens to a message has come.
// The old epoch stands still from the rebuild on, so that what was sent later than this
// before it is better counted by the new one, even from a log that is younger than a
// horizon.
const stillChanging = 3 * 24 * time.Hour

// Run rebuilds until it is done or ctx ends; then the next call goes on.
func (r Rebuild) Run(ctx context.Context, cfg Config) error {
	cfg.Log.Level = "warn"
	log, err := cfg.Logger()
	if err != nil {
		return err
	}
	p, err := New(cfg, log, WallTimes())
	if err != nil {
		return err
	}
	if err := r.run(ctx, p, &cfg); err != nil {
		return p.Fail(err)
	}
	return p.Stop()
}

func (r Rebuild) run(ctx context.Context, p *Process, cfg *Config) error {
	old := p.epoch
	if err := r.needed(p.root, old); err != nil {
		return err
	}
	if err := r.room(p.root, old); err != nil {
		return err
	}
	if !cfg.Kafka.Embedded() || !cfg.ClickHouse.Embedded() {
		r.say("the servers need as much again as epoch %d has: see that they have it", old.Current)
	}
	next := old
	if next.Rebuild == 0 {
		next.Rebuild = old.Current + 1
	}
	p.epoch, p.rebuilding, p.counting = dataroot.Epoch{Current: next.Rebuild}, true, old.Current
	if err := p.openKafka(ctx); err != nil {
		return err
	}
	if old.Rebuild == 0 {
		var err error
		if next.FirstMinute, err = p.firstWhole(ctx); err != nil {
			return err
		}
		if err := p.root.SetEpoch(next); err != nil {
			return err
		}
	}
	r.say("epoch %d is folded from the events, beside epoch %d, which goes on counting until then; %s", next.Rebuild, old.Current, since(next.FirstMinute))
	if err := p.openClickHouse(ctx); err != nil {
		return err
	}
	conn, err := p.ClickHouse(ctx, "rebuild")
	if err != nil {
		return err
	}
	for _, start := range []step{p.startSink, p.startAlert, p.startRollup, p.startMessage} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	if err := r.fold(ctx, p, conn); err != nil {
		return err
	}
	if err := switchTo(ctx, conn, next); err != nil {
		return err
	}
	if err := p.root.SetEpoch(dataroot.Epoch{Current: next.Rebuild}); err != nil {
		return err
	}
	r.say("epoch %d counts now. `bluetick run` goes on from here; `bluetick rebuild --drop-old` frees what epoch %d took", next.Rebuild, old.Current)
	return nil
}

func since(firstMinute int64) string {
	if firstMinute == 0 {
		return "the log has every event, so it will count all minutes"
	}
	return fmt.Sprintf("the log no longer has every event, so it will count minutes from %s on, and epochs before it the earlier ones",
		time.Unix(firstMinute, 0).UTC().Format("2006-01-02 15:04 MST"))
}

func (r Rebuild) say(format string, args ...any) {
	fmt.Fprintf(r.Out, "rebuild: "+format+"\n", args...)
}

// needed refuses a rebuild that would change nothing.
func (r Rebuild) needed(root *dataroot.Root, e dataroot.Epoch) error {
	if r.Again || e.Rebuild != 0 {
		return nil
	}
	logic, err := logicOf(filepath.Join(root.StateOf(e.Current), schemas.TopicEvents))
	if err != nil {
		return err
	}
	if logic == message.Logic {
		return fmt.Errorf("the states of epoch %d are of this build's logic (%s), so a rebuild would change nothing; --again does it all the same", e.Current, logic)
	}
	return nil
}

// logicOf is the logic of the states of a topic; "" if there are none.
func logicOf(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the states: %w", err)
	}
	st, err := store.Open(store.Options{Dir: filepath.Join(dir, entries[0].Name()), CacheBytes: 1 << 20, Log: discard()})
	if err != nil {
		return "", err
	}
	meta, _ := st.Meta()
	return meta.LogicVersion, st.Close()
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// room says how much disk the new epoch will take, as much as the old one did, and
// refuses where it is not there.
func (r Rebuild) room(root *dataroot.Root, e dataroot.Epoch) error {
	need := uint64(startRoom)
	for _, dir := range []string{root.StateOf(e.Current), root.ClickHouse()} {
		n, err := sizeOf(dir)
		if err != nil {
			return fmt.Errorf("measure %s: %w", dir, err)
		}
		need += n
	}
	topics, err := filepath.Glob(filepath.Join(root.Kafka(), "partitions", "bluetick.[par]*"))
	if err != nil {
		return err
	}
	for _, dir := range topics {
		n, err := sizeOf(dir)
		if err != nil {
			return fmt.Errorf("measure %s: %w", dir, err)
		}
		need += n
	}
	free, err := dataroot.FreeBytes(root.Dir())
	if err != nil {
		return fmt.Errorf("measure the disk: %w", err)
	}
	r.say("up to %d MB of disk will be needed, %d MB are free", need>>20, free>>20)
	if free < need {
		return errors.New("free some room first: nothing was changed")
	}
	return nil
}

func sizeOf(dir string) (n uint64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err == nil {
			n += uint64(info.Size())
		}
		return ignoreMissing(err)
	})
	return n, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// firstWhole is the first send minute that the log holds as a whole, in seconds; 0
// if nothing of it was ever deleted.
func (p *Process) firstWhole(ctx context.Context) (int64, error) {
	starts, err := p.admin.ListStartOffsets(ctx, schemas.TopicEvents)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("ask where the log begins: %w", err)
	}
	ends, err := p.Ends(ctx, schemas.TopicEvents)
	if err != nil {
		return 0, err
	}
	now := p.times.Now()
	var begins time.Time
	for partition, o := range starts[schemas.TopicEvents] {
		if o.Offset == 0 {
			continue
		}
		at := now // of a partition that has lost everything
		if o.Offset < ends[partition] {
			if at, err = p.timeOf(ctx, partition, o.Offset); err != nil {
				return 0, err
			}
		}
		if at.After(begins) {
			begins = at
		}
	}
	if begins.IsZero() {
		return 0, nil
	}
	return firstMinute(begins, now), nil
}

// firstMinute is the first send minute, in seconds, that a rebuild at the time now counts
// from a log that begins at another time: the first that it holds as a whole, but none
// that the old epoch would leave unfinished. From a log of less than a horizon, messages
// sent before it then count in the minute of their first outcome that it has.
func firstMinute(begins, now time.Time) int64 {
	first, latest := begins.Add(firstCounts+time.Minute), now.Add(-stillChanging)
	if begins.After(latest) {
		latest = begins
	}
	if first.After(latest) {
		first = latest
	}
	return first.Truncate(time.Minute).Unix()
}

// timeOf is the time of a record of events.
func (p *Process) timeOf(ctx context.Context, partition int32, offset int64) (time.Time, error) {
	client, err := kgo.NewClient(append(slices.Clone(p.reach), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		schemas.TopicEvents: {partition: kgo.NewOffset().At(offset)},
	}))...)
	if err != nil {
		return time.Time{}, fmt.Errorf("make kafka client: %w", err)
	}
	defer client.Close()
	fetches := client.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return time.Time{}, fmt.Errorf("read the first event that is left: %w", err)
	}
	return fetches.Records()[0].Timestamp, nil
}

// switchTo has the epoch count, once.
func switchTo(ctx context.Context, conn driver.Conn, e dataroot.Epoch) error {
	var counting uint32
	var sequence uint64
	if err := conn.QueryRow(ctx, "SELECT argMax(epoch, sequence), max(sequence) FROM epochs").Scan(&counting, &sequence); err != nil {
		return fmt.Errorf("read which epoch counts: %w", err)
	}
	if counting == e.Rebuild {
		return nil
	}
	if e.FirstMinute < 0 || e.FirstMinute > math.MaxUint32 {
		return fmt.Errorf("the first minute %d is outside the years 1970 to 2106", e.FirstMinute)
	}
	err := conn.Exec(ctx, "INSERT INTO epochs (sequence, epoch, first_minute, activated_at, note) VALUES (?, ?, ?, fromUnixTimestamp64Milli(?), ?)",
		sequence+1, e.Rebuild, time.Unix(e.FirstMinute, 0).UTC(), Wall().UnixMilli(), "rebuilt by logic "+message.Logic)
	if err != nil {
		return fmt.Errorf("have epoch %d count: %w", e.Rebuild, err)
	}
	return nil
}

// DropOld deletes the states and topics of the epochs before the current one.
func (r Rebuild) DropOld(ctx context.Context, cfg Config) error {
	cfg.Log.Level = "warn"
	log, err := cfg.Logger()
	if err != nil {
		return err
	}
	p, err := New(cfg, log, WallTimes())
	if err != nil {
		return err
	}
	if err := r.drop(ctx, p); err != nil {
		return p.Fail(err)
	}
	return p.Stop()
}

func (r Rebuild) drop(ctx context.Context, p *Process) error {
	e := p.epoch
	if e.Rebuild != 0 {
		return fmt.Errorf("epoch %d is being rebuilt and does not count yet: nothing was dropped", e.Rebuild)
	}
	if err := p.openKafka(ctx); err != nil {
		return err
	}
	for old := uint32(1); old < e.Current; old++ {
		size, err := sizeOf(p.root.StateOf(old))
		if err != nil {
			return err
		}
		names := []string{schemas.TopicIn(schemas.TopicPanes, old), schemas.TopicIn(schemas.TopicRates, old), schemas.TopicIn(schemas.TopicAlerts, old)}
		there, err := p.admin.ListTopics(ctx, names...)
		if err != nil {
			return fmt.Errorf("list topics: %w", err)
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !there.Has(n) })
		if len(names) > 0 {
			if _, err := p.admin.DeleteTopics(ctx, names...); err != nil {
				return fmt.Errorf("delete topics of epoch %d: %w", old, err)
			}
		}
		if err := os.RemoveAll(p.root.StateOf(old)); err != nil {
			return fmt.Errorf("delete states of epoch %d: %w", old, err)
		}
		r.say("epoch %d: %d topics and %d MB of states dropped", old, len(names), size>>20)
	}
	return nil
}
