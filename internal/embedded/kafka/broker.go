package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bluetick/bluetick/internal/dataroot"
)

// DefaultAddr is where the broker listens unless told otherwise: Kafka's usual
// port, on loopback only, because the broker asks nobody for a password.
const DefaultAddr = "127.0.0.1:9092"

// never, in milliseconds (ten years), puts off kfake's own retention timer.
const never = "315360000000"

// Config says where the broker keeps its data and where clients find it.
type Config struct {
	// Dir holds the log; it is made if missing. The caller makes sure that no
	// other process uses it.
	Dir string
	// Addr is the host:port to listen on; empty means DefaultAddr, port 0 takes
	// any free port.
	Addr string
	// AdvertisedHost is the host name told to clients. Empty means the host of
	// Addr; it must be given when Addr listens on every interface.
	AdvertisedHost string
	// Sync makes the broker fsync each batch before it acknowledges it. Without
	// it acknowledged records survive the process but not a loss of power.
	Sync bool
	// Now is the clock that stamps the records; retention measures with it.
	Now func() time.Time
	// Log receives the broker's warnings; nil discards them.
	Log *slog.Logger

	free func(dir string) (uint64, error) // tests only; nil means dataroot.FreeBytes
}

// Broker is a running single-node Kafka. It is safe for concurrent use.
type Broker struct {
	cluster *kfake.Cluster     // immutable after Open
	addr    string             // immutable after Open
	now     func() time.Time   // immutable after Open
	log     *slog.Logger       // immutable after Open
	faults  *faultLog          // guards itself
	guard   *diskGuard         // its dir and free are immutable
	adm     *kadm.Client       // immutable after Open; closed by Close
	stop    context.CancelFunc // ends the sweeper
	sweeper sync.WaitGroup
	close   func() error // runs once
}

// Open starts the broker on the data in cfg.Dir and returns when it accepts
// connections. A port in use, a folder that cannot be written and a host that
// clients could not reach are reported with their remedy.
func Open(cfg Config) (*Broker, error) {
	if cfg.Now == nil {
		return nil, errors.New("open embedded kafka: Config.Now is nil: pass the clock that stamps the records")
	}
	if cfg.Dir == "" {
		return nil, errors.New("open embedded kafka: Config.Dir is empty: it never runs in memory, where its heap grows without bound")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open embedded kafka: make its data folder: %w", err)
	}
	ln, err := listen(cmp.Or(cfg.Addr, DefaultAddr), cfg.AdvertisedHost)
	if err != nil {
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("component", "embedded_kafka")
	faults := &faultLog{log: log}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.DataDir(cfg.Dir),
		kfake.ListenFn(ln.once),
		kfake.WithLogger(faults),
		kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": never}),
	}
	if cfg.Sync {
		opts = append(opts, kfake.SyncWrites())
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		_ = ln.Close() // already closed when kfake got as far as using it
		return nil, fmt.Errorf("open embedded kafka on %s: %w", cfg.Dir, err)
	}
	guard := &diskGuard{dir: cfg.Dir, free: cfg.free, log: log}
	if guard.free == nil {
		guard.free = dataroot.FreeBytes
	}
	cluster.ControlKey(kmsg.Produce.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp, handled := guard.check(req.(*kmsg.ProduceRequest))
		return resp, nil, handled
	})
	b := &Broker{cluster: cluster, addr: ln.Addr().String(), now: cfg.Now, log: log, faults: faults, guard: guard}
	if b.adm, err = localAdmin(ln.local()); err != nil {
		cluster.Close()
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.close = sync.OnceValue(b.shutdown)
	b.sweeper.Go(func() { b.sweepLoop(ctx) })
	log.Info("embedded kafka started", "addr", b.addr)
	return b, nil
}

// Addr returns the host:port clients connect to.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker and writes a snapshot that makes the next Open fast.
// It returns what could not be written; acknowledged records do not depend on
// it. Only the first call does anything, the others return its result.
func (b *Broker) Close() error { return b.close() }

func (b *Broker) shutdown() error {
	b.stop()
	b.sweeper.Wait()
	b.adm.Close()
	b.faults.collect()
	b.cluster.Close()
	if err := b.faults.collected(); err != nil {
		return fmt.Errorf("close embedded kafka: %w", err)
	}
	return nil
}
