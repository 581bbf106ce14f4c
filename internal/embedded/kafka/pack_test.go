package kafka

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kept is all of a record that must be the same after packing.
type kept struct {
	Offset  int64
	Millis  int64
	Stamp   int8 // who gave it its time
	Key     []byte
	Value   []byte
	Headers []kgo.RecordHeader
}

// readAll reads a log from an offset to its end, in the order it comes.
func readAll(t testing.TB, addr string, from int64, opts ...kgo.Opt) []kept {
	t.Helper()
	_, end := bounds(t, addr)
	if from < 0 {
		start, _ := bounds(t, addr)
		from = start[0]
	}
	if from >= end[0] {
		return nil
	}
	cl := client(t, addr, append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(from)}}))...)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []kept
	for next := from; next < end[0]; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("read from %d: %v", next, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			all = append(all, kept{r.Offset, r.Timestamp.UnixMilli(), r.Attrs.TimestampType(), r.Key, r.Value, r.Headers})
			next = r.Offset + 1
		})
	}
	return all
}

// differ compares two logs, each record by itself: a difference of the whole is
// as slow to find as it is long.
func differ(want, got []kept) string {
	for i := range min(len(want), len(got)) {
		if !reflect.DeepEqual(want[i], got[i]) {
			return fmt.Sprintf("record %d: %s", i, cmp.Diff(want[i], got[i]))
		}
	}
	if len(want) != len(got) {
		return fmt.Sprintf("%d records, want %d", len(got), len(want))
	}
	return ""
}

// someRecord makes one of the many forms that a record can have.
func someRecord(rnd *rand.Rand, base time.Time) *kgo.Record {
	text := func(limit int) []byte {
		switch n := rnd.IntN(limit); n {
		case 0:
			return nil
		case 1:
			return []byte{}
		default:
			return bytes.Repeat([]byte{byte(rnd.Uint32()), byte(rnd.Uint32())}, n/2+1)
		}
	}
	r := &kgo.Record{Key: text(20), Value: text(600), Timestamp: base.Add(time.Duration(rnd.IntN(2_000_000)-1_000_000) * time.Millisecond)}
	for range rnd.IntN(3) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: string(text(9)), Value: text(30)})
	}
	return r
}

// producers are clients of every compression, with and without idempotence.
func producers(t testing.TB, addr string) []*kgo.Client {
	return []*kgo.Client{
		client(t, addr, kgo.ProducerBatchCompression(kgo.SnappyCompression())),
		client(t, addr, kgo.ProducerBatchCompression(kgo.NoCompression())),
		client(t, addr, kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.DisableIdempotentWrite()),
		client(t, addr, kgo.ProducerBatchCompression(kgo.Lz4Compression())),
		client(t, addr, kgo.ProducerBatchCompression(kgo.ZstdCompression())),
	}
}

func fill(t testing.TB, rnd *rand.Rand, producers []*kgo.Client, batches int) {
	t.Helper()
	for range batches {
		var recs []*kgo.Record
		for range 1 + rnd.IntN(4)*rnd.IntN(4) {
			recs = append(recs, someRecord(rnd, time.UnixMilli(1_700_000_000_000)))
		}
		if err := producers[rnd.IntN(len(producers))].ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func pack(t testing.TB, b *Broker, passes int) {
	t.Helper()
	for range passes {
		if err := b.pack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func packNames(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "partitions", "*", "*"+packSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// killed copies a folder in use: what a process that is killed now leaves.
func killed(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestPackingChangesNoRecord produces, packs, reads, starts again and is killed
// in random order: at every offset stands the record that was acknowledged
// there, and a time finds the same record as before (P1, P2).
func TestPackingChangesNoRecord(t *testing.T) {
	for range 6 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			b := open(t, Config{Dir: dir})
			createTopic(t, b.Addr(), 1, map[string]*string{"segment.bytes": kadm.StringPtr(fmt.Sprint(1 + rnd.IntN(9_000)))})
			var before []kept
			for range 4 {
				clients := producers(t, b.Addr())
				fill(t, rnd, clients, 20)
				pack(t, b, rnd.IntN(2)) // the producers go on over it
				fill(t, rnd, clients, 20)
				for _, c := range clients {
					c.Close()
				}
				now := readAll(t, b.Addr(), -1)
				if diff := differ(before, now[:len(before):len(before)]); len(before) > 0 && diff != "" {
					t.Fatal(diff)
				}
				before = now
				times := timesOf(t, b.Addr(), now)
				b.packer.fileBytes = 1 + rnd.IntN(20_000)
				pack(t, b, 1+rnd.IntN(2))
				if diff := differ(before, readAll(t, b.Addr(), -1)); diff != "" {
					t.Fatal(diff)
				}
				if diff := cmp.Diff(times, timesOf(t, b.Addr(), now)); diff != "" {
					t.Errorf("offsets of times: %s", diff)
				}
				from := rnd.Int64N(int64(len(now)))
				if diff := differ(before[from:], readAll(t, b.Addr(), from, kgo.FetchMaxPartitionBytes(int32(1+rnd.IntN(5_000))))); diff != "" {
					t.Errorf("from %d: %s", from, diff)
				}
				if rnd.IntN(2) == 0 {
					dir = killed(t, dir)
				} else if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				b = open(t, Config{Dir: dir})
				if diff := differ(before, readAll(t, b.Addr(), -1)); diff != "" {
					t.Fatalf("after a start: %s", diff)
				}
			}
			if len(packNames(t, dir)) == 0 {
				t.Error("nothing was packed")
			}
		})
	}
}

// timesOf asks for the first record at or after some times.
func timesOf(t testing.TB, addr string, all []kept) map[int64]int64 {
	t.Helper()
	adm := kadm.NewClient(client(t, addr))
	got := map[int64]int64{}
	for i := 0; i < len(all); i += 1 + len(all)/17 {
		o, err := adm.ListOffsetsAfterMilli(t.Context(), all[i].Millis, topic)
		if err != nil {
			t.Fatal(err)
		}
		one, _ := o.Lookup(topic, 0)
		if one.Err != nil {
			t.Fatal(one.Err)
		}
		got[all[i].Millis] = one.Offset
	}
	return got
}
