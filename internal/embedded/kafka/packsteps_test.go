package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// small is a topic whose segments end after some batches.
var small = map[string]*string{"segment.bytes": kadm.StringPtr("2000")}

// filled starts a broker with a log of several segments and returns what is in it.
func filled(t testing.TB, dir string) (*Broker, []kept) {
	t.Helper()
	return filledBroker(t, Config{Dir: dir})
}

func filledBroker(t testing.TB, cfg Config) (*Broker, []kept) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	b := open(t, cfg)
	b.packer.fileBytes = 700 // several packs from a segment
	createTopic(t, b.Addr(), 1, small)
	fill(t, rand.New(rand.NewPCG(seed, 2)), producers(t, b.Addr()), 60)
	return b, readAll(t, b.Addr(), -1)
}

// TestKilledWhilePacking kills the broker at each step of packing, and takes away
// what a loss of power may: every record is there afterwards, packing goes on, and
// the next offset is the next one (P3).
func TestKilledWhilePacking(t *testing.T) {
	for name, at := range map[string]func(t *testing.T, b *Broker, dir string){
		"before":              func(*testing.T, *Broker, string) {},
		"a pack half written": halfWritten,
		"one pack of a segment": func(t *testing.T, b *Broker, dir string) {
			pack(t, b, 1)
			names := sortedPacks(t, dir)
			for _, name := range names[1:] {
				remove(t, name)
			}
		},
		"packed":         func(t *testing.T, b *Broker, _ string) { pack(t, b, 1) },
		"tail let go of": func(t *testing.T, b *Broker, _ string) { pack(t, b, 2) },
		"tail let go in part": func(t *testing.T, b *Broker, dir string) {
			pack(t, b, 1)
			bases, err := segments(place{topic, 0}.dir(dir))
			if err != nil {
				t.Fatal(err)
			}
			for _, base := range bases[:len(bases)/2] {
				remove(t, filepath.Join(place{topic, 0}.dir(dir), strconv.FormatInt(base, 10)+".dat"))
			}
		},
		"an index lost": func(t *testing.T, b *Broker, dir string) {
			pack(t, b, 2)
			found, _ := filepath.Glob(filepath.Join(dir, "partitions", "*", "*.idx"))
			for _, name := range found {
				remove(t, name)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b, before := filled(t, dir)
			work := killed(t, dir)
			if name != "before" {
				// The step is done on the running broker, and on the copy what only a crash leaves.
				_ = b.Close()
				b = open(t, Config{Dir: work})
				b.packer.fileBytes = 700
				at(t, b, work)
			}
			after := open(t, Config{Dir: killed(t, work)})
			if diff := differ(before, readAll(t, after.Addr(), -1)); diff != "" {
				t.Fatal(diff)
			}
			produce(t, after.Addr(), kgo.StringRecord("next"))
			pack(t, after, 2)
			all := readAll(t, after.Addr(), -1)
			if diff := differ(before, all[:len(before)]); diff != "" {
				t.Fatal(diff)
			}
			if last := all[len(all)-1]; last.Offset != before[len(before)-1].Offset+1 || string(last.Value) != "next" {
				t.Errorf("the next record is %v", last)
			}
		})
	}
}

func halfWritten(t *testing.T, b *Broker, dir string) {
	pack(t, b, 1)
	for _, name := range packNames(t, dir) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name+".tmp", raw[:len(raw)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		remove(t, name)
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// sortedPacks are the packs by their first offset.
func sortedPacks(t *testing.T, dir string) []string {
	t.Helper()
	names := packNames(t, dir)
	first := func(name string) int64 {
		n, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), packSuffix), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	slices.SortFunc(names, func(a, b string) int { return int(first(a) - first(b)) })
	return names
}

// A loss of power may take the whole tail, which is not synced in this setting.
// Offsets that the packs hold are not given out again (K2).
func TestTailLost(t *testing.T) {
	dir := t.TempDir()
	b, before := filled(t, dir)
	pack(t, b, 2)
	lost := killed(t, dir)
	packedTo := b.packs.mu.logs[place{topic, 0}].end()
	found, err := filepath.Glob(filepath.Join(lost, "partitions", "*", "*.dat"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		remove(t, name)
	}
	after := open(t, Config{Dir: lost})
	if _, end := bounds(t, after.Addr()); end[0] != packedTo {
		t.Errorf("next offset %d, want %d", end[0], packedTo)
	}
	produce(t, after.Addr(), kgo.StringRecord("next"))
	all := readAll(t, after.Addr(), -1)
	if diff := differ(before[:packedTo], all[:len(all)-1]); diff != "" {
		t.Error(diff)
	}
}

// TestReadWhilePacking reads from the start while records come and are packed and
// the tail lets go of them: the reader gets each once, in order.
func TestReadWhilePacking(t *testing.T) {
	dir := t.TempDir()
	b, _ := filled(t, dir)
	const more = 3_000
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	_, end := bounds(t, b.Addr())
	cl := client(t, b.Addr(), kgo.ProducerLinger(0))
	go func() {
		for i := range more {
			if err := cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprintf("%d %s", i, strings.Repeat("x", i%300)))).FirstErr(); err != nil {
				done <- err
				return
			}
			if i%50 == 0 {
				if err := b.pack(ctx); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	reader := client(t, b.Addr(), kgo.FetchMaxPartitionBytes(3_000), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	reading := true
	for next := int64(0); reading; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset != next {
				t.Fatalf("offset %d, want %d", r.Offset, next)
			}
			next++
		})
		reading = next < end[0]+more
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(packNames(t, dir)) == 0 {
		t.Error("nothing was packed")
	}
}

// TestDeletePacked deletes up to offsets before, in and behind the packs, as
// retention and any client may (P5).
func TestDeletePacked(t *testing.T) {
	for name, tc := range map[string]struct {
		to   func(packed, end int64) int64
		code error
	}{
		"in the packs":     {to: func(packed, _ int64) int64 { return packed / 2 }},
		"all of the packs": {to: func(packed, _ int64) int64 { return packed }},
		"in the tail":      {to: func(packed, end int64) int64 { return (packed + end) / 2 }},
		"everything":       {to: func(_, end int64) int64 { return end }},
		"too far":          {to: func(_, end int64) int64 { return end + 1 }, code: kerr.OffsetOutOfRange},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b, before := filled(t, dir)
			pack(t, b, 1) // the tail has not let go yet
			packed, end := b.packs.mu.logs[place{topic, 0}].end(), int64(len(before))
			to := tc.to(packed, end)
			var del kadm.Offsets
			del.Add(kadm.Offset{Topic: topic, Partition: 0, At: to})
			res, err := kadm.NewClient(client(t, b.Addr())).DeleteRecords(t.Context(), del)
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Error(); !errors.Is(err, tc.code) {
				t.Fatalf("error %v, want %v", err, tc.code)
			}
			if tc.code != nil {
				to = 0
			}
			for range 2 {
				if start, _ := bounds(t, b.Addr()); start[0] != to {
					t.Errorf("the log starts at %d, want %d", start[0], to)
				}
				if diff := differ(before[to:], readAll(t, b.Addr(), to)); diff != "" {
					t.Error(diff)
				}
				pack(t, b, 2)
			}
			after := open(t, Config{Dir: killed(t, dir)})
			if _, next := bounds(t, after.Addr()); to < end && next[0] != end {
				t.Errorf("next offset %d, want %d", next[0], end)
			}
		})
	}
}

// Retention deletes whole packs, and no record that is young enough, even behind
// an old one (K3).
func TestRetentionOfPacks(t *testing.T) {
	now := time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	b := open(t, Config{Dir: dir, Now: func() time.Time { return now }})
	b.packer.fileBytes = 1
	createTopic(t, b.Addr(), 1, map[string]*string{"segment.bytes": kadm.StringPtr("1"), "retention.ms": kadm.StringPtr("172800000")})
	for _, days := range []int{5, 4, 1, 9, 0} {
		produce(t, b.Addr(), &kgo.Record{Value: fmt.Append(nil, days), Timestamp: now.AddDate(0, 0, -days)})
	}
	pack(t, b, 2)
	for range 2 {
		if err := b.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range readAll(t, b.Addr(), -1) {
			got = append(got, string(r.Value))
		}
		if want := []string{"1", "9", "0"}; !slices.Equal(got, want) {
			t.Errorf("left %v, want %v", got, want)
		}
		if names := packNames(t, dir); len(names) != 2 {
			t.Errorf("packs %v, want two", names)
		}
		b = open(t, Config{Dir: killed(t, dir), Now: func() time.Time { return now }})
	}
}

// Which records of a transaction count is known to kfake alone: such a segment is
// not packed, and an aborted record stays unseen.
func TestTransactionsAreNotPacked(t *testing.T) {
	dir := t.TempDir()
	b, before := filled(t, dir)
	cl := client(t, b.Addr(), kgo.TransactionalID("x"))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("aborted")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		fill(t, rand.New(rand.NewPCG(1, 1)), producers(t, b.Addr()), 20)
		if err := b.pack(t.Context()); !errors.Is(err, errTransaction) {
			t.Errorf("pack: %v", err)
		}
	}
	all := readAll(t, b.Addr(), 0, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if diff := differ(before, all[:len(before)]); diff != "" {
		t.Error(diff)
	}
	if slices.ContainsFunc(all, func(r kept) bool { return string(r.Value) == "aborted" }) {
		t.Error("an aborted record is seen")
	}
}

// A topic that is deleted and made again has nothing of the old one.
func TestTopicMadeAgain(t *testing.T) {
	dir := t.TempDir()
	b, _ := filled(t, dir)
	pack(t, b, 1)
	adm := kadm.NewClient(client(t, b.Addr()))
	if res, err := adm.DeleteTopics(t.Context(), topic); err != nil || res.Error() != nil {
		t.Fatal(err, res.Error())
	}
	createTopic(t, b.Addr(), 1, small)
	produce(t, b.Addr(), kgo.StringRecord("new"))
	pack(t, b, 2)
	if all := readAll(t, b.Addr(), -1); len(all) != 1 || all[0].Offset != 0 || string(all[0].Value) != "new" {
		t.Errorf("the new topic holds %v", all)
	}
}

// Packing waits while there is no room, and the broker serves on.
func TestPackingNeedsRoom(t *testing.T) {
	dir := t.TempDir()
	b, before := filled(t, dir)
	b.guard.free = func(string) (uint64, error) { return doorReserve, nil }
	if err := b.pack(t.Context()); !errors.Is(err, ErrNoRoom) {
		t.Errorf("pack: %v", err)
	}
	if names := packNames(t, dir); len(names) != 0 {
		t.Errorf("packs %v without room", names)
	}
	if diff := differ(before, readAll(t, b.Addr(), -1)); diff != "" {
		t.Error(diff)
	}
	b.guard.free = func(string) (uint64, error) { return 1 << 40, nil }
	pack(t, b, 1)
	if len(packNames(t, dir)) == 0 {
		t.Error("nothing was packed although there is room")
	}
}
