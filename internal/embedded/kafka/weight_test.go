package kafka

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// webhooks are those of 61 days at ten a second, each a batch of its own.
	webhooks = 61 * 24 * 3600 * 10
	// mayWeigh is what their log may cost in memory.
	mayWeigh = 300 << 20
)

// produceBatches writes n batches of one record each, as single webhooks make them.
func produceBatches(t testing.TB, addr string, n int) {
	t.Helper()
	cl := client(t, addr, kgo.ProducerBatchMaxBytes(600), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(1<<16), kgo.ProducerLinger(0))
	value := bytes.Repeat([]byte("0123456789"), 40)
	failed := make(chan error, 1)
	for range n {
		cl.Produce(t.Context(), &kgo.Record{Key: value[:16], Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	cl.Close()
}

func heap() int64 {
	var m runtime.MemStats
	for range 3 { // what a finalizer holds goes with the next collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestHeapOfALongLog measures what a log costs in memory once most of it is packed.
// The log of 61 days at ten webhooks a second stays under 300 MB (K5), and the heap
// does not grow by more than Weight says and a little: in kfake alone, twice the step
// is 9 MB.
func TestHeapOfALongLog(t *testing.T) {
	if testing.Short() {
		t.Skip("beside the race detector's own memory this says nothing, and it is slow there")
	}
	const step, slack = 60_000, 3 << 20
	b := open(t, Config{Dir: t.TempDir()})
	createTopic(t, b.Addr(), 1, nil)
	var heaps [3]int64
	var weights [3]Weight // after one, two, three steps
	for i := range heaps {
		produceBatches(t, b.Addr(), step)
		pack(t, b, 3)
		heaps[i], weights[i] = heap(), b.Weight()
		t.Logf("after %d batches: heap %d kB, %+v", (i+1)*step, heaps[i]>>10, weights[i])
	}
	tail, packed := weights[2].TailBatches, weights[2].PackedBatches-weights[0].PackedBatches
	if tail > 20_000 || packed == 0 {
		t.Errorf("%d batches are in the tail and %d were packed", tail, packed)
	}
	total := heaps[0] + packed*packEntry*webhooks/(2*step)
	t.Logf("%d MB for %d batches", total>>20, webhooks)
	if total > mayWeigh {
		t.Errorf("%d MB for %d batches, want at most %d", total>>20, webhooks, mayWeigh>>20)
	}
	if grown, said := heaps[2]-heaps[0], weights[2].Bytes-weights[0].Bytes; grown > said+slack {
		t.Errorf("the heap has grown by %d kB, by Weight %d", grown>>10, said>>10)
	}
}

// TestFolderNamedLikeAPattern: the name of the data folder is a name, whatever is in it.
func TestFolderNamedLikeAPattern(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data [a-b] *")
	b, _ := filled(t, dir)
	pack(t, b, 3)
	if w := b.Weight(); w.TailBatches == 0 || w.PackedBatches == 0 {
		t.Errorf("%+v, want batches in the tail and in packs", w)
	}
	b.packs.mu.Lock()
	clear(b.packs.mu.logs)
	b.packs.mu.Unlock()
	pack(t, b, 1)
	if w := b.Weight(); w.PackedBatches == 0 {
		t.Errorf("%+v after reading the packs again", w)
	}
}

// TestHeavyLogIsTold: long before memory runs out there is a warning with the remedy,
// and another only when as much has come on top.
func TestHeavyLogIsTold(t *testing.T) {
	var log bytes.Buffer
	b := &Broker{packs: &packs{dir: t.TempDir()}, log: slog.New(slog.NewTextHandler(&log, nil))}
	heavy := func(batches int) {
		b.packs.mu.logs = map[place]*packedLog{{"events", 0}: {files: []packFile{{batches: make([]packBatch, batches)}}}}
		b.weigh()
	}
	const enough = warnWeight/packEntry + 1
	for i, c := range []struct{ batches, warnings int }{{1000, 0}, {enough, 1}, {enough + 1000, 1}, {2 * enough, 2}, {1000, 2}, {enough, 3}} {
		heavy(c.batches)
		if got := strings.Count(log.String(), "level=WARN"); got != c.warnings {
			t.Errorf("step %d: %d warnings with %d batches, want %d", i, got, c.batches, c.warnings)
		}
	}
	if !strings.Contains(log.String(), "real Kafka") {
		t.Errorf("no remedy in %q", log.String())
	}
}

// BenchmarkPack packs segments of single webhooks.
func BenchmarkPack(b *testing.B) {
	const batches = 20_000
	for b.Loop() {
		b.StopTimer()
		k := open(b, Config{Dir: b.TempDir()})
		createTopic(b, k.Addr(), 1, nil)
		produceBatches(b, k.Addr(), batches)
		b.StartTimer()
		began := time.Now()
		if err := k.pack(context.Background()); err != nil {
			b.Fatal(err)
		}
		packed := k.Weight().PackedBatches
		if packed == 0 {
			b.Fatal("nothing was packed")
		}
		b.ReportMetric(batches/time.Since(began).Seconds(), "batches/s")
	}
}
