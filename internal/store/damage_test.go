package store_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bluetick/bluetick/internal/store"
)

const damagedDir = "/state/1/topic/0"

// committed is a state of two commits with rows that take several blocks, and the
// rows after each number of commits.
func committed(t *testing.T) (*vfs.MemFS, []map[string]string) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	s, rows, after := open(t, fs, 0), map[string]string{}, []map[string]string{{}}
	for commit := range 2 {
		for i := range 600 {
			k, v := fmt.Sprintf("key-%04d", i*(commit+1)), fmt.Sprintf("value %d of commit %d, %0100d", i, commit, i)
			s.Set([]byte(k), []byte(v))
			rows[k] = v
		}
		if err := s.Commit(store.Meta{Topic: "topic", NextOffset: int64(commit + 1)}); err != nil {
			t.Fatal(err)
		}
		after = append(after, maps.Clone(rows))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return fs, after
}

// readAll opens the state, reads every row, both by Scan and by Get, and says what
// differs from the commit that Meta names.
func readAll(fs vfs.FS, after []map[string]string) (wrong string, err error) {
	s, err := store.Open(store.Options{Dir: damagedDir, FS: fs, CacheBytes: 1})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m, _ := s.Meta()
	want, seen := after[m.NextOffset], 0
	if err := s.Scan(nil, nil, func(k, v []byte) bool {
		seen++
		if want[string(k)] != string(v) {
			wrong = fmt.Sprintf("%s is %q", k, v)
		}
		return true
	}); err != nil {
		return "", err
	}
	for k, v := range want {
		got, ok, err := s.Get([]byte(k))
		if err != nil {
			return "", err
		}
		if !ok || string(got) != v {
			wrong = fmt.Sprintf("%s is %q, %v", k, got, ok)
		}
	}
	if seen != len(want) {
		wrong = fmt.Sprintf("%d rows, want %d", seen, len(want))
	}
	return wrong, nil
}

// TestFlippedByteAnywhere: whatever byte on disk has changed, the state is what some
// commit wrote, from which the log is read again, or an error says that it is damaged
// and what to do. It is never another state, and never the end of the process.
func TestFlippedByteAnywhere(t *testing.T) {
	fs, rows := committed(t)
	names, err := fs.List(damagedDir)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 7))
	found := 0
	for _, name := range names {
		path := fs.PathJoin(damagedDir, name)
		size := len(content(t, fs, path))
		for range min(size, 60) {
			clone, at := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: r}), r.IntN(size)
			flip(t, clone, path, at, 1<<r.IntN(8))
			wrong, err := readAll(clone, rows)
			switch {
			case wrong != "":
				t.Errorf("byte %d of %s: %s", at, name, wrong)
			case err == nil:
			case !errors.Is(err, store.ErrDamaged):
				t.Errorf("byte %d of %s: %v", at, name, err)
			default:
				found++
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d flips were found", found)
	}
}

// TestMissingFile: a table that is gone is damage too.
func TestMissingFile(t *testing.T) {
	fs, rows := committed(t)
	names, err := fs.List(damagedDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		if err := fs.Remove(fs.PathJoin(damagedDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readAll(fs, rows); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func content(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}

func flip(t *testing.T, fs vfs.FS, path string, at int, mask byte) {
	t.Helper()
	b := content(t, fs, path)
	b[at] ^= mask
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamageFoundWhileMerging: what Pebble finds in the background, where nobody
// waits for an answer, refuses the next commit.
func TestDamageFoundWhileMerging(t *testing.T) {
	fs, rows := committed(t)
	names, err := fs.List(damagedDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			path := fs.PathJoin(damagedDir, name)
			flip(t, fs, path, 3*len(content(t, fs, path))/4, 1)
		}
	}
	s := open(t, fs, 0)
	defer s.Close()
	const commits = 10_000 // merging starts after a few
	for i := range commits {
		for k := range rows[2] {
			s.Set([]byte(k), fmt.Appendf(nil, "%d", i))
			break
		}
		if err := s.Commit(store.Meta{Topic: "topic", NextOffset: int64(3 + i)}); err != nil {
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), ".sst") {
				t.Errorf("got %v", err)
			}
			return
		}
	}
	t.Error("every commit went through")
}
