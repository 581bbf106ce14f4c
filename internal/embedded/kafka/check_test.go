package kafka

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// writeLog fills a partition with n records, a batch each, in segments of about
// a hundred, and ends in order.
func writeLog(t *testing.T, n int) (dir, part string) {
	t.Helper()
	dir = t.TempDir()
	b := open(t, Config{Dir: dir})
	size := "8000"
	createTopic(t, b.Addr(), 1, map[string]*string{"segment.bytes": &size})
	cl := client(t, b.Addr())
	for i := range n {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprintf("%04d %s", i, strings.Repeat("x", 60)))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	cl.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, "partitions", topic+"-0")
}

func segmentPath(part string, base int64) string {
	return filepath.Join(part, strconv.FormatInt(base, 10)+".dat")
}

// change edits the file of a segment, the last one for last.
func change(t *testing.T, path string, edit func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, edit(raw), 0o600); err != nil {
		t.Fatal(err)
	}
}

// flip turns a bit of the nth batch, at a byte counted from its beginning.
func flip(t *testing.T, n, at int) func([]byte) []byte {
	return func(raw []byte) []byte {
		pos := 0
		for range n {
			b, ok := batchAt(raw, pos)
			if !ok {
				t.Fatalf("no batch at %d", pos)
			}
			pos += b.size
		}
		raw[pos+at] ^= 0x10
		return raw
	}
}

// TestDamage changes a log that was closed in order: a start reports it and
// changes nothing; with --kafka-accept-loss what it names is lost, the files are
// kept, and no offset is given out twice.
func TestDamage(t *testing.T) {
	const n = 300
	for name, c := range map[string]struct {
		first bool // damage the first segment, else the last
		edit  func(*testing.T) func([]byte) []byte
		lost  int
	}{
		"records":          {true, func(t *testing.T) func([]byte) []byte { return flip(t, 5, 70) }, 1},
		"checksum":         {true, func(t *testing.T) func([]byte) []byte { return flip(t, 5, 18) }, 1},
		"offset":           {true, func(t *testing.T) func([]byte) []byte { return flip(t, 5, 6) }, 1},
		"length":           {true, func(t *testing.T) func([]byte) []byte { return flip(t, 5, 9) }, 1},
		"first batch":      {true, func(t *testing.T) func([]byte) []byte { return flip(t, 0, 70) }, 1},
		"middle of last":   {false, func(t *testing.T) func([]byte) []byte { return flip(t, 5, 70) }, 1},
		"last of a sealed": {true, func(*testing.T) func([]byte) []byte { return func(b []byte) []byte { b[len(b)-3] ^= 1; return b } }, 1},
		"last of the log":  {false, func(*testing.T) func([]byte) []byte { return func(b []byte) []byte { b[len(b)-3] ^= 1; return b } }, 1},
		"half missing":     {false, func(*testing.T) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-30] } }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir, part := writeLog(t, n)
			bases, err := segments(part)
			if err != nil || len(bases) < 3 {
				t.Fatalf("segments %v, %v", bases, err)
			}
			path := segmentPath(part, bases[len(bases)-1])
			if c.first {
				path = segmentPath(part, bases[0])
			}
			change(t, path, c.edit(t))
			before, _ := os.ReadFile(path)
			_, err = Open(Config{Dir: dir, Now: time.Now})
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "--kafka-accept-loss") {
				t.Fatalf("opened with %v", err)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the refusal changed the file")
			}
			b := open(t, Config{Dir: dir, AcceptLoss: true})
			if kept, err := os.ReadFile(filepath.Join(dir, "damaged", topic+"-0", filepath.Base(path))); err != nil || string(kept) != string(before) {
				t.Errorf("the copy differs: %v", err)
			}
			if _, end := bounds(t, b.Addr()); end[0] != n {
				t.Errorf("the log ends at %d, want %d: offsets would be given out twice", end[0], n)
			}
			got := offsets(t, b, n)
			if len(got) != n-c.lost {
				t.Errorf("%d records, want %d without %d", len(got), n, c.lost)
			}
			produce(t, b.Addr(), kgo.StringRecord("new"))
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = open(t, Config{Dir: dir})
			if again := offsets(t, b, n); !maps.Equal(again, got) {
				t.Errorf("%d records after another start, %d before", len(again), len(got))
			}
		})
	}
}

// offsets reads the records of partition 0 below end.
func offsets(t *testing.T, b *Broker, end int64) map[int64]string {
	t.Helper()
	cl := client(t, b.Addr(), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("the end")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := map[int64]string{}
	for {
		fs := cl.PollFetches(t.Context())
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		last := ""
		fs.EachRecord(func(r *kgo.Record) {
			if last = string(r.Value); r.Offset < end && last != "the end" {
				got[r.Offset] = last
			}
		})
		if last == "the end" {
			return got
		}
	}
}

// TestNoDamage changes what kfake repairs by itself: a start goes on with every
// record.
func TestNoDamage(t *testing.T) {
	const n = 300
	for name, edit := range map[string]func(t *testing.T, part string, first, last int64){
		"nothing": func(*testing.T, string, int64, int64) {},
		"torn tail after a kill": func(t *testing.T, part string, _, last int64) {
			change(t, segmentPath(part, last), func(b []byte) []byte { return append(b, b[:100]...) })
		},
		"junk after a kill": func(t *testing.T, part string, _, last int64) {
			change(t, segmentPath(part, last), func(b []byte) []byte { return append(b, strings.Repeat("\x02", 500)...) })
		},
		"bytes too many in a sealed segment": func(t *testing.T, part string, first, _ int64) {
			change(t, segmentPath(part, first), func(b []byte) []byte { return append(b, 1, 2, 3) })
		},
		"no snapshot": func(t *testing.T, part string, _, _ int64) {
			if err := os.Remove(filepath.Join(part, "snapshot.json")); err != nil {
				t.Fatal(err)
			}
		},
		"index flipped": func(t *testing.T, part string, first, _ int64) {
			change(t, strings.TrimSuffix(segmentPath(part, first), "dat")+"idx", func(b []byte) []byte { b[40] ^= 8; return b })
		},
		"index short": func(t *testing.T, part string, first, _ int64) {
			change(t, strings.TrimSuffix(segmentPath(part, first), "dat")+"idx", func(b []byte) []byte { return b[:30] })
		},
		"index gone": func(t *testing.T, part string, _, last int64) {
			if err := os.Remove(strings.TrimSuffix(segmentPath(part, last), "dat") + "idx"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, part := writeLog(t, n)
			bases, err := segments(part)
			if err != nil {
				t.Fatal(err)
			}
			edit(t, part, bases[0], bases[len(bases)-1])
			b := open(t, Config{Dir: dir})
			if got := offsets(t, b, n); len(got) != n {
				t.Errorf("%d of %d records", len(got), n)
			}
		})
	}
}

// TestMissingSegment takes a file out of the middle.
func TestMissingSegment(t *testing.T) {
	dir, part := writeLog(t, 300)
	bases, err := segments(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(segmentPath(part, bases[1])); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Now: time.Now}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("opened with %v", err)
	}
	b := open(t, Config{Dir: dir, AcceptLoss: true})
	if got, want := len(offsets(t, b, 300)), 300-int(bases[2]-bases[1]); got != want {
		t.Errorf("%d records, want %d", got, want)
	}
}

// TestRefusalChangesNothing: damage in one partition leaves the torn tail and the
// index of another as they were.
func TestRefusalChangesNothing(t *testing.T) {
	dir, part := writeLog(t, 300)
	bases, err := segments(part)
	if err != nil {
		t.Fatal(err)
	}
	change(t, segmentPath(part, bases[1]), flip(t, 3, 70))
	change(t, segmentPath(part, bases[len(bases)-1]), func(b []byte) []byte { return append(b, b[:100]...) })
	change(t, strings.TrimSuffix(segmentPath(part, bases[0]), "dat")+"idx", func(b []byte) []byte { return b[:30] })
	change(t, filepath.Join(dir, windowsFile), func([]byte) []byte { return []byte("{") })
	before := contents(t, dir)
	if _, err := Open(Config{Dir: dir, Now: time.Now}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("opened with %v", err)
	}
	if !maps.Equal(before, contents(t, dir)) {
		t.Error("the refusal changed the folder")
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all[path] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFlippedByteAnywhere flips one bit in every file of a closed log, at ten to
// sixty places each: the start is refused or every record is there at its offset.
// (A number of partitions that went up is refused by the states.) Files without
// records never stop it, except for the two that say where records are.
func TestFlippedByteAnywhere(t *testing.T) {
	const n, trimmed = 120, 10
	dir, _ := writeLog(t, n)
	b := open(t, Config{Dir: dir})
	del := kadm.Offsets{}
	del.AddOffset(topic, 0, trimmed, -1)
	if res, err := b.adm.DeleteRecords(t.Context(), del); err != nil || res.Error() != nil {
		t.Fatal(err, res.Error())
	}
	want := offsets(t, b, n)
	if len(want) != n-trimmed {
		t.Fatalf("%d records before", len(want))
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for path, raw := range contents(t, dir) {
		name, _ := filepath.Rel(dir, path)
		refused, tries, most := 0, 0, 10
		if filepath.Ext(name) == ".json" && len(raw) > 100 {
			most = 60 // every number in it is looked at
		}
		for at := 0; at < len(raw); at += max(1, len(raw)/most) {
			tries++
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			change(t, filepath.Join(copied, name), func(b []byte) []byte { b[at] ^= 4; return b })
			b, err := Open(Config{Dir: copied, Now: time.Now, Addr: "127.0.0.1:0", NoPassword: true})
			if err != nil {
				refused++
				if !errors.Is(err, ErrDamaged) && !strings.Contains(err.Error(), "meta.json version") {
					t.Errorf("%s, byte %d: %v", name, at, err)
				}
				continue
			}
			got := offsets(t, b, n)
			for offset, value := range want {
				if got[offset] != value {
					t.Fatalf("%s, byte %d: offset %d holds %q, want %q", name, at, offset, got[offset], value)
				}
			}
			if _, end := bounds(t, b.Addr()); end[0] != n+2 {
				t.Errorf("%s, byte %d: the log ends at %d, want %d", name, at, end[0], n+2)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
		t.Logf("%s: %d of %d refused", name, refused, tries)
		records := strings.HasSuffix(name, ".dat")
		if records && refused == 0 || !records && refused > 0 && name != "meta.json" && name != "topics.json" {
			t.Errorf("%s: %d of %d refused", name, refused, tries)
		}
	}
}
