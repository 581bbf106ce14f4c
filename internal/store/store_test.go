package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/internal/invariant"
	"github.com/bluetick/bluetick/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, fs vfs.FS, cacheBytes int64) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Dir: "/state/1/topic/0", FS: fs, CacheBytes: cacheBytes})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shut(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func dump(t testing.TB, s store.Reader, lo, hi string) map[string]string {
	t.Helper()
	got, last := map[string]string{}, ""
	err := s.Scan([]byte(lo), []byte(hi), func(k, v []byte) bool {
		if string(k) <= last {
			t.Fatalf("scan order: %q after %q", k, last)
		}
		last = string(k)
		got[last] = string(v)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// seed is new in every run; BLUETICK_SEED repeats one.
func seed(t testing.TB) uint64 {
	t.Helper()
	s := rand.Uint64()
	if v := os.Getenv("BLUETICK_SEED"); v != "" {
		var err error
		if s, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("BLUETICK_SEED=%d", s)
	return s
}

// TestAgainstMap runs random histories of all operations, commits, reopenings
// and power cuts against plain maps: what is seen equals the newest writes,
// what survives equals the last commit (I1).
func TestAgainstMap(t *testing.T) {
	base := seed(t)
	runs := 60
	if testing.Short() {
		runs = 10
	}
	for i := range runs {
		runAgainstMap(t, base+uint64(i))
	}
}

type pair struct {
	t            *testing.T
	r            *rand.Rand
	fs           *vfs.MemFS
	s            *store.Store
	now, durable map[string]string
	next         int64
	cache        int64
}

func runAgainstMap(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	p := &pair{t: t, r: r, fs: vfs.NewCrashableMem(), now: map[string]string{}, durable: map[string]string{}}
	p.cache = []int64{1, 2000, 1 << 20}[r.IntN(3)] // evict at once, often, never
	p.s = open(t, p.fs, p.cache)
	defer func() { shut(t, p.s) }()
	for range 400 {
		p.step()
	}
	if got := dump(t, p.s, "", ""); !maps.Equal(got, p.now) {
		t.Fatalf("seed %d: state differs at the end", seed)
	}
}

func (p *pair) key() []byte { return fmt.Appendf(nil, "k%03d", p.r.IntN(200)) }

func (p *pair) step() {
	switch n := p.r.IntN(100); {
	case n < 45:
		k := p.key()
		v := bytes.Repeat([]byte{byte(p.r.IntN(256))}, p.r.IntN(20))
		p.s.Set(k, v)
		p.now[string(k)] = string(v)
	case n < 55:
		k := p.key()
		p.s.Delete(k)
		delete(p.now, string(k))
	case n < 58:
		lo, hi := p.bounds()
		if err := p.s.DeleteRange([]byte(lo), []byte(hi)); err != nil {
			p.t.Fatal(err)
		}
		maps.DeleteFunc(p.now, func(k, _ string) bool { return lo <= k && k < hi })
	case n < 80:
		k := p.key()
		v, ok, err := p.s.Get(k)
		want, wantOK := p.now[string(k)]
		if err != nil || ok != wantOK || string(v) != want {
			p.t.Fatalf("get %q: %q %v %v, want %q %v", k, v, ok, err, want, wantOK)
		}
	case n < 88:
		lo, hi := p.bounds()
		want := maps.Clone(p.now)
		maps.DeleteFunc(want, func(k, _ string) bool { return k < lo || k >= hi })
		if got := dump(p.t, p.s, lo, hi); !maps.Equal(got, want) {
			p.t.Fatalf("scan [%s, %s): %v, want %v", lo, hi, got, want)
		}
	case n < 95:
		p.commit()
	default:
		p.restart(n%2 == 0)
	}
}

func (p *pair) bounds() (lo, hi string) {
	a, b := p.r.IntN(200), p.r.IntN(200)
	return fmt.Sprintf("k%03d", min(a, b)), fmt.Sprintf("k%03d", max(a, b)+1)
}

func (p *pair) commit() {
	p.next += int64(p.r.IntN(5))
	if err := p.s.Commit(store.Meta{NextOffset: p.next}); err != nil {
		p.t.Fatal(err)
	}
	if p.s.Dirty() != 0 {
		p.t.Fatalf("%d dirty after commit", p.s.Dirty())
	}
	p.durable = maps.Clone(p.now)
}

// restart closes, or cuts the power with some of the unsynced data kept.
func (p *pair) restart(power bool) {
	fs := p.fs
	if power {
		fs = fs.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: []int{0, 50, 100}[p.r.IntN(3)],
			RNG:                 rand.New(rand.NewPCG(p.r.Uint64(), 0)), // its own: Pebble's background work decides how often it is asked
		})
	}
	shut(p.t, p.s)
	p.fs, p.s = fs, open(p.t, fs, p.cache)
	m, ok := p.s.Meta()
	if ok && m.NextOffset != p.next || !ok && len(p.durable) > 0 {
		p.t.Fatalf("meta after restart: %v %v, want offset %d", m, ok, p.next)
	}
	p.now = maps.Clone(p.durable)
	if got := dump(p.t, p.s, "", ""); !maps.Equal(got, p.now) {
		p.t.Fatalf("I1: after restart (power %v) %d rows, want %d", power, len(got), len(p.now))
	}
}

func TestMetaRoundTrip(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, 0)
	if _, ok := s.Meta(); ok {
		t.Fatal("a new state has meta")
	}
	want := store.Meta{
		Epoch: 7, Topic: "t", TopicID: [16]byte{1, 255}, ClusterID: "c", LogicVersion: "3",
		Partition: 2, Partitions: 4, NextOffset: 12, DClock: -5,
	}
	if err := s.Commit(want); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	s = open(t, fs, 0)
	defer shut(t, s)
	if got, ok := s.Meta(); !ok || got != want {
		t.Fatalf("meta %+v %v, want %+v", got, ok, want)
	}
}

func TestCloseDiscards(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, 0)
	s.Set([]byte("a"), []byte("1"))
	if s.Dirty() != 1 {
		t.Fatalf("dirty %d", s.Dirty())
	}
	shut(t, s)
	s = open(t, fs, 0)
	defer shut(t, s)
	if _, ok, err := s.Get([]byte("a")); ok || err != nil {
		t.Fatalf("an uncommitted row survived Close: %v %v", ok, err)
	}
}

func TestSecondOwnerIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(store.Options{Dir: dir}); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second owner: %v", err)
	}
	shut(t, s)
	s, err = store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatalf("after close: %v", err)
	}
	shut(t, s)
}

func TestStrayTableIsRemoved(t *testing.T) {
	fs := vfs.NewMem()
	shut(t, open(t, fs, 0))
	f, err := fs.Create("/state/1/topic/0/commit.sst", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("torn")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, fs, 0)
	defer shut(t, s)
	if _, err := fs.Stat("/state/1/topic/0/commit.sst"); err == nil {
		t.Fatal("stray table is still there")
	}
	if err := s.Commit(store.Meta{NextOffset: 1}); err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk expects an error, not a wait, and the old state afterwards.
func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem, 0)
	s.Set([]byte("a"), []byte("1"))
	if err := s.Commit(store.Meta{NextOffset: 1}); err != nil {
		t.Fatal(err)
	}
	shut(t, s)

	full := &fullFS{FS: mem}
	s = open(t, full, 0)
	full.full = true
	s.Set([]byte("a"), []byte("2"))
	if err := s.Commit(store.Meta{NextOffset: 2}); !errors.Is(err, errFull) {
		t.Fatalf("commit on a full disk: %v", err)
	}
	full.full = false
	shut(t, s)
	s = open(t, mem, 0)
	defer shut(t, s)
	v, _, err := s.Get([]byte("a"))
	if m, _ := s.Meta(); string(v) != "1" || m.NextOffset != 1 || err != nil {
		t.Fatalf("after the failed commit: %q at %d, %v", v, m.NextOffset, err)
	}
}

var errFull = errors.New("no space left on device")

type fullFS struct {
	vfs.FS
	full bool
}

func (f *fullFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err != nil || !strings.HasSuffix(name, "commit.sst") {
		return file, err
	}
	return &fullFile{File: file, fs: f}, nil
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f *fullFile) Write(b []byte) (int, error) {
	if f.fs.full {
		return 0, errFull
	}
	return f.File.Write(b)
}

func TestSharedBlockCache(t *testing.T) {
	cache := pebble.NewCache(1 << 20)
	defer cache.Unref()
	fs := vfs.NewMem()
	var all []*store.Store
	for i := range 3 {
		s, err := store.Open(store.Options{Dir: fmt.Sprintf("/s/%d", i), FS: fs, Cache: cache, CacheBytes: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.Set([]byte("k"), []byte{byte(i)})
		if err := s.Commit(store.Meta{}); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	for i, s := range all {
		if v, ok, err := s.Get([]byte("k")); !ok || err != nil || v[0] != byte(i) {
			t.Errorf("state %d: %v %v %v", i, v, ok, err)
		}
		shut(t, s)
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, vfs.NewMem(), 0)
	defer shut(t, s)
	for _, c := range []struct{ lo, hi string }{{"b", "a"}, {"a", "a"}, {"a", ""}} {
		if err := s.DeleteRange([]byte(c.lo), []byte(c.hi)); err == nil {
			t.Errorf("delete range [%q, %q) was taken", c.lo, c.hi)
		}
	}
	for _, k := range []string{"", "\x00meta"} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "BUG:") {
					t.Errorf("key %q: %v", k, p)
				}
			}()
			s.Set([]byte(k), nil)
		}()
	}
}

// TestLentSliceIsSpoilt shows what the invariants build does to a fold that
// keeps what Get returned.
func TestLentSliceIsSpoilt(t *testing.T) {
	if !invariant.Enabled {
		t.Skip("slices are spoilt only with -tags invariants or -race")
	}
	s := open(t, vfs.NewMem(), 0)
	defer shut(t, s)
	s.Set([]byte("a"), []byte("1"))
	kept, _, err := s.Get([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	s.Set([]byte("a"), kept) // handing it on is allowed
	if !slices.Equal(kept, []byte{0xee}) {
		t.Errorf("kept slice reads %q", kept)
	}
	if v, _, _ := s.Get([]byte("a")); string(v) != "1" {
		t.Errorf("value %q", v)
	}
}

func TestScanStops(t *testing.T) {
	s := open(t, vfs.NewMem(), 0)
	defer shut(t, s)
	for i := range 6 {
		s.Set([]byte{'a' + byte(i)}, nil)
		if i%2 == 0 {
			if err := s.Commit(store.Meta{NextOffset: int64(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got string
	if err := s.Scan(nil, nil, func(k, _ []byte) bool {
		got += string(k)
		return string(k) != "d"
	}); err != nil || got != "abcd" {
		t.Errorf("scan saw %q, %v", got, err)
	}
}
