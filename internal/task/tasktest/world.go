package tasktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// stepSent is the checker's own crash place: some rows of an emission are in
// the log, none is acknowledged.
const stepSent task.Step = "sent in part"

var errCrash = errors.New("crash")

// tally counts what a history went through.
type tally struct {
	crashes map[task.Step]int
	zombies int
	copies  int // moves to an older copy, or to nothing
	rows    int
	commits int
	reports int // Progress records
}

func (t *tally) add(o tally) {
	if t.crashes == nil {
		t.crashes = map[task.Step]int{}
	}
	for s, n := range o.crashes {
		t.crashes[s] += n
	}
	t.zombies, t.copies, t.rows = t.zombies+o.zombies, t.copies+o.copies, t.rows+o.rows
	t.commits, t.reports = t.commits+o.commits, t.reports+o.reports
}

func (t *tally) String() string {
	var all []string
	n := 0
	for _, s := range slices.Sorted(maps.Keys(t.crashes)) {
		all = append(all, fmt.Sprintf("%s %d", s, t.crashes[s]))
		n += t.crashes[s]
	}
	return fmt.Sprintf("%d crashes (%s), %d zombies, %d older copies, %d rows, %d checkpoints, %d progress",
		n, strings.Join(all, ", "), t.zombies, t.copies, t.rows, t.commits, t.reports)
}

func (t *tally) missing() []task.Step {
	all := []task.Step{stepSent, task.StepApplied, task.StepDrained, task.StepAcked, task.StepSaved, task.StepCommitted}
	if t.reports > 0 {
		all = append(all, task.StepProgressed)
	}
	if t.crashes[task.StepActed] > 0 {
		all = append(all, task.StepActAcked)
	}
	var none []task.Step
	for _, s := range all {
		if t.crashes[s] == 0 {
			none = append(none, s)
		}
	}
	return none
}

// world is one history: the log, the owners, and what readers have got.
type world struct {
	c   Config
	r   *rand.Rand
	log []task.Record
	ref *reference

	out     []Row             // the output log: rows in the order of arrival
	truth   map[string]string // value by key and version, for I2
	owner   *owner
	zombies []*owner
	copies  []*vfs.MemFS // states as they once were durable
	group   int64        // the mutant's offset outside the state
	calm    bool         // no more crashes
	tally   tally
}

// owner is a process that believes it owns the partition.
type owner struct {
	w       *world
	fs      *vfs.MemFS
	store   *store.Store
	machine *task.Machine
	zombie  bool
	waiting []Row // the mutant's rows, taken and not in the log
}

// run plays one history; an error is a finding.
func run(c Config, seed uint64) (_ tally, err error) {
	w := &world{
		c: c, r: rand.New(rand.NewPCG(seed, seed)),
		truth: map[string]string{}, tally: tally{crashes: map[task.Step]int{}},
	}
	w.log = c.Log(w.r)
	if w.ref, err = refer(c, w.log); err != nil {
		return w.tally, err
	}
	defer func() {
		for _, o := range append(w.zombies, w.owner) {
			if o != nil {
				err = errors.Join(err, o.store.Close())
			}
		}
	}()
	if err := w.start(vfs.NewCrashableMem()); err != nil {
		return w.tally, err
	}
	for range 4 * (len(w.log) + 10) {
		if err := w.turn(); err != nil {
			return w.tally, err
		}
	}
	return w.tally, w.finish()
}

// start opens the state on fs as the new owner would, and checks I1.
func (w *world) start(fs *vfs.MemFS) error {
	st, err := store.Open(store.Options{Dir: "/state", FS: fs, CacheBytes: 1 << 10})
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	w.owner = &owner{w: w, fs: fs, store: st}
	meta, has := st.Meta()
	if !has {
		meta = belongs()
	}
	state, err := dump(st)
	if err != nil {
		return err
	}
	if d := differ(state, w.ref.state[meta.NextOffset]); d != "" && has && !w.c.LooseState {
		return fmt.Errorf("I1: state at %d: %s", meta.NextOffset, d)
	}
	if w.c.mutant == offsetApart {
		meta.NextOffset = w.group
	}
	m, err := task.NewMachine(task.MachineConfig{
		Stage: w.c.Stage, Belongs: meta, NewFold: w.c.NewFold, Store: st, Emitter: w.owner, Fault: w.owner.fault,
	})
	if err != nil {
		return fmt.Errorf("open fold: %w", err)
	}
	if m.DClock() != meta.DClock {
		return fmt.Errorf("I1: D-clock is %d after opening a state of %d", m.DClock(), meta.DClock)
	}
	w.owner.machine = m
	return nil
}

// turn lets somebody do something.
func (w *world) turn() error {
	switch n := w.r.IntN(100); {
	case n < 2:
		return w.crash("between", w.r.IntN(2) == 0)
	case n < 4:
		return w.replace()
	case n < 25 && len(w.zombies) > 0:
		i := w.r.IntN(len(w.zombies))
		if err := w.zombies[i].work(); errors.Is(err, errCrash) {
			err = w.zombies[i].store.Close()
			w.zombies = slices.Delete(w.zombies, i, i+1)
			return err
		} else if err != nil {
			return fmt.Errorf("zombie: %w", err)
		}
		return nil
	}
	err := w.owner.work()
	if errors.Is(err, errCrash) {
		return w.restart(w.r.IntN(2) == 0)
	}
	return err
}

// crash ends the owner where it stands.
func (w *world) crash(at task.Step, power bool) error {
	w.tally.crashes[at]++
	return w.restart(power)
}

// restart opens the state anew: as the process left it, as a power cut left it,
// or seldom an older copy, as after a move.
func (w *world) restart(power bool) error {
	left := 100
	if power {
		left = []int{0, 50, 100}[w.r.IntN(3)]
	}
	// A random source of its own: how often it is asked depends on what Pebble
	// does in the background, and a seed must repeat its history.
	keep := rand.New(rand.NewPCG(w.r.Uint64(), 0))
	fs := w.owner.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: left, RNG: keep})
	if err := w.owner.store.Close(); err != nil {
		return fmt.Errorf("close the crashed owner: %w", err)
	}
	w.owner = nil
	return w.start(w.maybeOlder(fs))
}

func (w *world) maybeOlder(fs *vfs.MemFS) *vfs.MemFS {
	if n := w.r.IntN(20); n == 0 && w.c.mutant != offsetApart {
		w.tally.copies++
		return vfs.NewCrashableMem()
	} else if n <= 2 && len(w.copies) > 0 && w.c.mutant != offsetApart {
		w.tally.copies++
		old := w.copies[w.r.IntN(len(w.copies))]
		return old.CrashClone(vfs.CrashCloneCfg{})
	}
	return fs
}

// replace gives the partition to a new owner on a copy of the state, and lets
// the old one live on without knowing.
func (w *world) replace() error {
	old := w.owner
	fs := old.fs.CrashClone(vfs.CrashCloneCfg{})
	old.zombie = true
	w.zombies = append(w.zombies, old)
	w.owner = nil
	w.tally.zombies++
	if len(w.zombies) > 3 {
		if err := w.zombies[0].store.Close(); err != nil {
			return err
		}
		w.zombies = w.zombies[1:]
	}
	return w.start(w.maybeOlder(fs))
}

// work is one act of an owner: mostly records, at times the rest.
func (o *owner) work() error {
	ctx, r := context.Background(), o.w.r
	switch n := r.IntN(100); {
	case n < 70:
		for range 1 + r.IntN(4) {
			if err := o.apply(); err != nil {
				return err
			}
		}
		return nil
	case n < 82:
		_, err := o.machine.Flush(ctx)
		return err
	case n < 92:
		_, err := o.machine.Checkpoint(ctx)
		return err
	default:
		if _, err := o.machine.Flush(ctx); err != nil {
			return err
		}
		_, err := o.machine.Progress(ctx)
		return err
	}
}

func (o *owner) apply() error {
	log := o.w.log
	i, _ := slices.BinarySearchFunc(log, o.machine.Next(), func(r task.Record, at int64) int { return int(r.Offset - at) })
	if i == len(log) {
		return nil
	}
	return o.machine.Apply(log[i])
}

// fault is where crashes happen, and where the checker looks.
func (o *owner) fault(s task.Step) error {
	w := o.w
	switch s {
	case task.StepSaved:
		if w.c.mutant == offsetApart && !o.zombie {
			w.group = o.machine.Next()
		}
	case task.StepCommitted:
		w.tally.commits++
		if !o.zombie {
			w.copies = append(w.copies, o.fs.CrashClone(vfs.CrashCloneCfg{}))
		}
		if err := w.acknowledged("I3: checkpoint", o.machine.Next()); err != nil {
			return err
		}
	}
	oneIn := 12
	if s == task.StepApplied {
		oneIn = 80 // passed far more often
	}
	if w.calm || w.r.IntN(oneIn) > 0 {
		return nil
	}
	w.tally.crashes[s]++
	return fmt.Errorf("%w at %s", errCrash, s)
}

// acknowledged checks that a reader who has got all that is in the output log,
// and looks at offsets before next only, holds what is right there.
func (w *world) acknowledged(what string, next int64) error {
	rows := map[string]Row{}
	for _, r := range w.out {
		if r.Offset < next {
			keep(rows, r)
		}
	}
	if d := differ(values(rows), w.ref.rows[next]); d != "" {
		return fmt.Errorf("%s at %d: %s", what, next, d)
	}
	return nil
}

// Emit implements task.Emitter.
func (o *owner) Emit(_ context.Context, rows []task.Row) error {
	var read []Row
	for _, out := range rows {
		if r, ok := o.w.c.Row(out); ok {
			read = append(read, r)
		}
	}
	if o.w.c.mutant == checkpointBeforeAck {
		if err := o.send(o.waiting); err != nil {
			return err
		}
		o.waiting = read
		return nil
	}
	if !o.w.calm && len(read) > 0 && o.w.r.IntN(20) == 0 {
		o.w.tally.crashes[stepSent]++
		if err := o.send(read[:o.w.r.IntN(len(read))]); err != nil {
			return err
		}
		return fmt.Errorf("%w at %s", errCrash, stepSent)
	}
	return o.send(read)
}

// send puts rows into the output log and checks I2.
func (o *owner) send(rows []Row) error {
	w := o.w
	for _, r := range rows {
		w.tally.rows++
		w.out = append(w.out, r)
		id := fmt.Sprintf("%s at version %d", r.Key, r.Version)
		if old, ok := w.truth[id]; ok && old != r.Value {
			return fmt.Errorf("I2: %s is %q and was %q", id, r.Value, old)
		}
		w.truth[id] = r.Value
	}
	return nil
}

// Progress implements task.Emitter.
func (o *owner) Progress(_ context.Context, p schemas.Progress) error {
	o.w.tally.reports++
	return o.w.acknowledged("Progress", p.NextOffset)
}

// finish lets the owner come to the end of the log in peace and reads the rows.
func (w *world) finish() error {
	w.calm = true
	ctx := context.Background()
	for end := offsetAt(w.log, len(w.log)); w.owner.machine.Next() < end; {
		if err := w.owner.apply(); err != nil {
			return err
		}
	}
	if _, err := w.owner.machine.Checkpoint(ctx); err != nil {
		return err
	}
	rows := map[string]Row{}
	for _, r := range w.out {
		if w.c.mutant == lastWriteWins {
			rows[r.Key] = r
		} else {
			keep(rows, r)
		}
	}
	if d := differ(values(rows), w.ref.rows[len(w.ref.rows)-1]); d != "" {
		return fmt.Errorf("in the end: %s", d)
	}
	return nil
}
