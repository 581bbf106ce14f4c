package kafka

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDamagedPack flips, cuts and removes: the start is refused and changes
// nothing, and with the operator's word it goes on with every other record at
// its offset (P4). What kfake has not let go of yet is not lost at all.
func TestDamagedPack(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, names []string){
		"a byte of the first":  func(t *testing.T, names []string) { flipAt(t, names[0], 0.5) },
		"a byte in the middle": func(t *testing.T, names []string) { flipAt(t, names[len(names)/2], 0.9) },
		"a byte of the last":   func(t *testing.T, names []string) { flipAt(t, names[len(names)-1], 0.99) },
		"a length":             func(t *testing.T, names []string) { flipAt(t, names[len(names)/2], 0) },
		"one in the middle":    func(t *testing.T, names []string) { remove(t, names[len(names)/2]) },
		"the last":             func(t *testing.T, names []string) { remove(t, names[len(names)-1]) },
		"the last, whole":      func(t *testing.T, names []string) { truncate(t, names[len(names)-1], 1) },
		"the end of the last":  func(t *testing.T, names []string) { truncate(t, names[len(names)-1], 100) },
		"the end of the first": func(t *testing.T, names []string) { truncate(t, names[0], 100) },
		"bytes too many": func(t *testing.T, names []string) {
			change(t, names[len(names)-1], func(b []byte) []byte { return append(b, 1, 2, 3) })
		},
	} {
		for state, passes := range map[string]int{"the tail has it too": 2, "the tail has let go": 3} {
			t.Run(name+", "+state, func(t *testing.T) {
				dir := t.TempDir()
				b, before := filled(t, dir)
				pack(t, b, passes)
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				harm(t, sortedPacks(t, dir))
				want := contents(t, dir)
				cfg := Config{Dir: dir, Now: time.Now, NoPassword: true}
				if name == "the last" && passes == 2 {
					b = open(t, cfg) // as if it had not been written yet
				} else {
					if b, err := Open(cfg); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "--kafka-accept-loss") {
						if err == nil {
							_ = b.Close()
						}
						t.Fatalf("Open: %v", err)
					}
					if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
						t.Fatalf("the refusal changed %s", diff)
					}
					cfg.AcceptLoss = true
					b = open(t, cfg)
				}
				left := readAll(t, b.Addr(), -1)
				switch lost := len(before) - len(left); {
				case (passes == 2 || name == "bytes too many") && lost > 0:
					t.Errorf("%d records are lost", lost)
				case passes == 3 && name != "bytes too many" && (lost == 0 || lost == len(before)):
					t.Errorf("%d records of %d left", len(left), len(before))
				}
				for _, r := range left {
					if diff := differ(before[r.Offset:r.Offset+1], []kept{r}); diff != "" {
						t.Error(diff)
					}
				}
				if _, end := bounds(t, b.Addr()); end[0] != int64(len(before)) {
					t.Errorf("next offset %d, want %d", end[0], len(before))
				}
				kept, err := filepath.Glob(filepath.Join(dir, "damaged", topic+"-0", "*"+packSuffix))
				if err != nil || len(kept) != 1 && cfg.AcceptLoss && !strings.HasPrefix(name, "the last") && name != "one in the middle" {
					t.Errorf("kept %v, %v", kept, err)
				}
			})
		}
	}
}

// TestFlippedByteOfPack flips bits all over the packs: every one is refused.
func TestFlippedByteOfPack(t *testing.T) {
	for state, passes := range map[string]int{"the tail has it too": 2, "the tail has let go": 3} {
		t.Run(state, func(t *testing.T) {
			dir := t.TempDir()
			b, _ := filled(t, dir)
			pack(t, b, passes)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			flips := 0
			for _, name := range packNames(t, dir) {
				raw, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				for at := range raw {
					if at >= batchHeader && at%37 != 0 {
						continue // every byte of the first head, and some of the rest
					}
					flips++
					flipped := slices.Clone(raw)
					flipped[at] ^= 1 << (at % 8)
					if err := os.WriteFile(name, flipped, 0o600); err != nil {
						t.Fatal(err)
					}
					if err := checkLog(dir, false, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrDamaged) {
						t.Errorf("byte %d of %s: %v", at, name, err)
					}
				}
				if err := os.WriteFile(name, raw, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := checkLog(dir, false, slog.New(slog.DiscardHandler)); err != nil || flips < 100 {
				t.Errorf("%d flips; without: %v", flips, err)
			}
		})
	}
}

func truncate(t *testing.T, name string, size int64) {
	t.Helper()
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
}

// flipAt changes a byte at a part of the file.
func flipAt(t *testing.T, name string, where float64) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[int(where*float64(len(raw)-1))] ^= 0x40
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A segment that does not read is not packed; it stays for the check at the next
// start, and what stands in it is served as before.
func TestDamagedSegmentIsNotPacked(t *testing.T) {
	dir := t.TempDir()
	b, _ := filled(t, dir)
	bases, err := segments(place{topic, 0}.dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	flipAt(t, filepath.Join(place{topic, 0}.dir(dir), strconv.FormatInt(bases[2], 10)+".dat"), 0.5)
	if err := b.pack(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("pack: %v", err)
	}
	if end := b.packs.mu.logs[place{topic, 0}].end(); end < bases[2] || end >= bases[3] {
		t.Errorf("packed to %d, the damaged segment is %d to %d", end, bases[2], bases[3])
	}
}
