package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/RaduBerinde/btreemap"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sizes and their reasons.
const (
	// memTableSize is as small as Pebble goes sensibly: Commit ingests, so no
	// memtable ever holds a row, and each state has one.
	memTableSize = 64 << 10
	// bloomBits per key: about 1 % false positives, so a look-up of an absent
	// key seldom reads a block.
	bloomBits = 10
	// defaultCacheBytes of rows per state: some 300,000 message rows.
	defaultCacheBytes = 64 << 20
	// treeDegree of the overlay's B-tree; 16 to 64 are equally fast.
	treeDegree = 32
)

// ErrLocked is in the error of Open when another owner has the directory open.
var ErrLocked = errors.New("state is in use")

// Options of Open.
type Options struct {
	// Dir is the state's own directory; Open makes it and its parents.
	Dir string
	// FS is the file system; nil is the disk.
	FS vfs.FS
	// Cache is Pebble's block cache, to share among the states of a process;
	// nil gives this one a small cache of its own.
	Cache *pebble.Cache
	// CacheBytes bounds the rows held in memory besides the dirty ones; 0 is
	// 64 MiB.
	CacheBytes int64
	// Log gets warnings, and at debug level Pebble's own log; nil is silence.
	Log *slog.Logger
}

// Open opens the state in o.Dir as the last Commit left it, or empty. Exactly
// one Store has a directory open; a second gets an error that wraps ErrLocked.
func Open(o Options) (_ *Store, err error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := makeDir(o.FS, o.Dir); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(o.Dir, o.FS)
	if _, unopened := errors.AsType[*os.PathError](err); unopened {
		return nil, fmt.Errorf("lock state %s: %w", o.Dir, err) // such as without a file to open it with
	}
	if err != nil {
		return nil, fmt.Errorf("%w: another bluetick process has %s open; stop it, or give this one its own state folder (%w)", ErrLocked, o.Dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	s := &Store{
		dir: o.Dir, lock: lock, cache: newCache(o.CacheBytes),
		dirty: btreemap.New[string, *row](treeDegree, strings.Compare),
	}
	if err := removeStray(o.FS, s.commitPath(o.FS)); err != nil {
		return nil, err
	}
	s.opts = pebbleOptions(o, lock, &s.damage)
	if s.db, err = pebble.Open(o.Dir, s.opts); err != nil {
		return nil, s.failed("open", unreadable(err))
	}
	if err := s.readMeta(); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

func pebbleOptions(o Options, lock *pebble.Lock, found *damage) *pebble.Options {
	p := &pebble.Options{
		FS:                          o.FS,
		Cache:                       o.Cache,
		Lock:                        lock,
		DisableWAL:                  true,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: 2,
		// One compaction at a time per state: there are many states, and the
		// folds need the cores.
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
		// The tables of commits overlap, so each lands in level 0; merge them
		// early, because reads look at every one.
		L0CompactionThreshold: 2,
		Logger:                pebbleLog{o.Log.With("state", o.Dir)},
		EventListener:         &pebble.EventListener{DataCorruption: found.note},
	}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	p.EnsureDefaults()
	return p
}

func (s *Store) readMeta() error {
	v, closer, err := s.db.Get([]byte(metaKey))
	if err == pebble.ErrNotFound {
		return nil
	}
	if err != nil {
		return s.failed("read meta", err)
	}
	s.meta, err = decodeMeta(v)
	s.hasMeta = true
	if err := errors.Join(err, closer.Close()); err != nil {
		return s.failed("read meta", err)
	}
	return nil
}

// Close releases the directory. What was not committed is discarded.
func (s *Store) Close() error {
	if err := errors.Join(s.db.Close(), s.lock.Close()); err != nil {
		return fmt.Errorf("close state %s: %w", s.dir, err)
	}
	return nil
}

// makeDir makes dir and its parents and syncs every entry it made, so that a
// power cut does not take a directory away from below its content.
func makeDir(fs vfs.FS, dir string) error {
	var missing []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := fs.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		missing = append(missing, d)
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make state folder %s: %w", dir, err)
	}
	for _, d := range missing {
		parent, err := fs.OpenDir(filepath.Dir(d))
		if err != nil {
			return fmt.Errorf("sync state folder %s: %w", dir, err)
		}
		if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
			return fmt.Errorf("sync state folder %s: %w", dir, err)
		}
	}
	return nil
}

// removeStray removes the table a crash inside Commit left.
func removeStray(fs vfs.FS, path string) error {
	if _, err := fs.Stat(path); err != nil {
		return nil // nothing there; anything worse shows when Pebble opens
	}
	if err := fs.Remove(path); err != nil {
		return fmt.Errorf("remove what an interrupted checkpoint left: %w", err)
	}
	return nil
}

// pebbleLog passes Pebble's log to slog.
type pebbleLog struct{ log *slog.Logger }

func (p pebbleLog) Infof(format string, args ...any) {
	p.log.Debug("pebble says", "text", lazy{format, args})
}

func (p pebbleLog) Errorf(format string, args ...any) {
	p.log.Warn("pebble reports an error", "text", lazy{format, args})
}

// Fatalf must not return: Pebble calls it when it cannot tell what its manifest
// on disk contains. A crash is safe here by design, going on is not.
func (p pebbleLog) Fatalf(format string, args ...any) {
	panic("state on disk cannot be trusted: " + fmt.Sprintf(format, args...))
}

// lazy formats only if the level is enabled.
type lazy struct {
	format string
	args   []any
}

func (l lazy) String() string { return fmt.Sprintf(l.format, l.args...) }

// LogValue implements slog.LogValuer.
func (l lazy) LogValue() slog.Value { return slog.StringValue(l.String()) }
