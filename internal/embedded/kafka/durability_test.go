package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// acks collects what became of produced values.
type acks struct {
	mu     sync.Mutex
	acked  map[string]bool
	failed map[string]error
	signal chan struct{} // one token per acknowledgement, never blocks the client
}

func newAcks(window int) *acks {
	return &acks{acked: map[string]bool{}, failed: map[string]error{}, signal: make(chan struct{}, window)}
}

func (a *acks) promise(r *kgo.Record, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failed[string(r.Value)] = err
		return
	}
	a.acked[string(r.Value)] = true
	select {
	case a.signal <- struct{}{}:
	default:
	}
}

// TestKillKeepsAcknowledged kills the broker's process under load, five times
// on the same data: whatever was acknowledged is there, once (K1).
func TestKillKeepsAcknowledged(t *testing.T) {
	dir := t.TempDir()
	const rounds, perRound = 5, 3000
	all := newAcks(perRound)
	for round := range rounds {
		c := startChild(t, dir)
		if round == 0 {
			createTopic(t, c.addr, 3, nil)
		}
		cl := client(t, c.addr, kgo.ProducerLinger(0))
		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				v := fmt.Sprintf("%d/%d", round, i)
				cl.Produce(ctx, &kgo.Record{Key: []byte(v), Value: []byte(v)}, all.promise)
			}
		})
		for range perRound {
			<-all.signal
		}
		c.kill() // in the middle: the load goes on until after it
		stop()
		load.Wait()
		cl.Close()
	}

	b := open(t, Config{Dir: dir})
	got := values(t, b.Addr())
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.acked) < rounds*perRound {
		t.Fatalf("only %d acknowledged", len(all.acked))
	}
	for v := range all.acked {
		if got[v] != 1 {
			t.Errorf("acknowledged record %s is there %d times", v, got[v])
		}
	}
	t.Logf("%d acknowledged, %d there", len(all.acked), len(got))
}

// TestFullDisk takes away the disk under load, gives it back, and does so again
// before the process is killed: refused at once while it is full, nothing
// acknowledged is lost, and the same client goes on when there is room (K4).
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir)
	createTopic(t, c.addr, 1, map[string]*string{"segment.bytes": kadm.StringPtr("100000000")}) // the limit is one of a file
	cl := client(t, c.addr, kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(64))
	a := newAcks(1)
	pad := strings.Repeat("x", 10_000)
	n := 0
	for round := range 3 {
		limit := (round + 1) * 2_000_123 // no multiple of a batch: the write that fails is cut in the middle
		c.do(fmt.Sprint("limit ", limit))
		before := len(a.failed)
		fill := func(count int) {
			for range count {
				v := fmt.Sprintf("%d %s", n, pad)
				n++
				cl.Produce(t.Context(), kgo.StringRecord(v), a.promise)
			}
			began := time.Now()
			if err := cl.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("flush took %v: a full disk must be refused, not waited for", d)
			}
		}
		fill(400)
		if len(a.failed) == before {
			t.Fatalf("round %d: nothing failed under a limit of %d bytes", round, limit)
		}
		for v, err := range a.failed {
			if !errors.Is(err, kerr.UnknownServerError) {
				t.Errorf("record %.8s: %v", v, err)
			}
		}
		c.do("unlimit")
		failedFull := len(a.failed)
		fill(20)
		if len(a.failed) != failedFull {
			t.Errorf("round %d: %d records failed although there was room again", round, len(a.failed)-failedFull)
		}
		check(t, c.addr, a)
	}
	c.kill()
	b := open(t, Config{Dir: dir})
	check(t, b.Addr(), a)
	produce(t, b.Addr(), kgo.StringRecord("after"))
	t.Logf("%d acknowledged, %d refused", len(a.acked), len(a.failed))
}

// check compares what is readable with what was acknowledged. A record that the
// client reports as failed may be there: it fails all batches in flight behind
// the refused one, of which smaller ones may have found room. Its sender tries
// again, and duplicates are removed by event id.
func check(t *testing.T, addr string, a *acks) {
	t.Helper()
	got := values(t, addr)
	for v := range a.acked {
		if got[v] != 1 {
			t.Errorf("acknowledged record %.8s is there %d times", v, got[v])
		}
	}
}

// fakeDisk answers how much room is free.
type fakeDisk struct {
	bytes   atomic.Uint64
	unknown atomic.Bool
	asked   chan struct{} // capacity 1: somebody asked since the last look
}

func newFakeDisk(bytes uint64) *fakeDisk {
	d := &fakeDisk{asked: make(chan struct{}, 1)}
	d.bytes.Store(bytes)
	return d
}

func (d *fakeDisk) free(string) (uint64, error) {
	select {
	case d.asked <- struct{}{}:
	default:
	}
	if d.unknown.Load() {
		return 0, errors.New("no answer")
	}
	return d.bytes.Load(), nil
}

// TestDiskReserve has the broker refuse records while there is still room for
// everything else, without a trace in the partition or in the sequence numbers,
// and the client try until there is room.
func TestDiskReserve(t *testing.T) {
	disk := newFakeDisk(diskReserve)
	b := open(t, Config{Dir: t.TempDir(), free: disk.free})
	createTopic(t, b.Addr(), 1, nil)
	cl := client(t, b.Addr(), kgo.MetadataMinAge(100*time.Millisecond)) // asked for before each new try
	send := func(v string) error { return cl.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr() }

	if err := send("1"); err != nil {
		t.Errorf("just enough room: %v", err)
	}
	disk.bytes.Store(diskReserve - 1)
	<-disk.asked
	second := make(chan error, 1)
	cl.Produce(t.Context(), kgo.StringRecord("2"), func(_ *kgo.Record, err error) { second <- err })
	for range 3 { // sent, and sent again
		select {
		case <-disk.asked:
		case err := <-second:
			t.Fatalf("no room: answered with %v", err)
		}
	}
	if got, want := values(t, b.Addr()), map[string]int{"1": 1}; !maps.Equal(got, want) {
		t.Errorf("without room there are %v, want %v", got, want)
	}
	disk.unknown.Store(true)
	if err := <-second; err != nil {
		t.Errorf("room unknown: %v", err)
	}
	disk.unknown.Store(false)
	disk.bytes.Store(diskReserve)
	if err := send("3"); err != nil {
		t.Errorf("room again: %v", err)
	}
	if got, want := values(t, b.Addr()), map[string]int{"1": 1, "2": 1, "3": 1}; !maps.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
}

// TestRoom closes the door before the broker refuses anything.
func TestRoom(t *testing.T) {
	disk := newFakeDisk(doorReserve)
	b := open(t, Config{Dir: t.TempDir(), free: disk.free})
	if err := b.Room(); err != nil {
		t.Errorf("just enough room: %v", err)
	}
	disk.bytes.Store(doorReserve - 1)
	if err := b.Room(); !errors.Is(err, ErrNoRoom) {
		t.Errorf("no room: %v", err)
	}
	createTopic(t, b.Addr(), 1, nil)
	produce(t, b.Addr(), kgo.StringRecord("what was taken in goes on"))
	disk.unknown.Store(true)
	if err := b.Room(); err != nil {
		t.Errorf("room unknown: %v", err)
	}
}
