package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/bluetick/bluetick/internal/dataroot"
)

// never, in milliseconds (ten years), puts off kfake's own retention timer.
const never = "315360000000"

// Config is where the broker keeps its data and where clients find it.
type Config struct {
	// Dir holds the log; it is made if missing. The caller makes sure that no
	// other process uses it.
	Dir string
	// Addr is the host:port on which other processes are served. Empty means that
	// only this process reaches the broker; port 0 takes any free port.
	Addr string
	// Password is what they log in with (SASL PLAIN, the user is User).
	Password string
	// NoPassword lets everybody in, for tests.
	NoPassword bool
	// AdvertisedHost is the host name told to clients. Empty means the host of
	// Addr; it must be given when Addr listens on every interface.
	AdvertisedHost string
	// AcceptLoss starts on a damaged log without what cannot be read, see check.go.
	AcceptLoss bool
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
	ln      *listener          // guards itself
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
	if cfg.Addr != "" && cfg.Password == "" && !cfg.NoPassword {
		return nil, errors.New("open embedded kafka: Config.Addr is given without a Config.Password: anyone on the machine could read and forge everything")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open embedded kafka: make its data folder: %w", err)
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("component", "embedded_kafka")
	if err := checkLog(cfg.Dir, cfg.AcceptLoss, log); err != nil {
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
	ln, err := newListener(cfg.Addr, cfg.AdvertisedHost)
	if err != nil {
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
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
	b := &Broker{cluster: cluster, ln: ln, now: cfg.Now, log: log, faults: faults, guard: guard}
	if b.adm, err = b.admit(cfg.Password); err != nil {
		cluster.Close()
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.close = sync.OnceValue(b.shutdown)
	b.sweeper.Go(func() { b.sweepLoop(ctx) })
	log.Info("embedded kafka started", "addr", b.Addr())
	return b, nil
}

// admit makes the broker's own client, asks kfake what it understands, and lets
// TCP clients in with that.
func (b *Broker) admit(password string) (*kadm.Client, error) {
	cl, err := kgo.NewClient(b.ClientOptions()...)
	if err != nil {
		return nil, fmt.Errorf("make the broker's own client: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), sweepTimeout)
	defer cancel()
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		cl.Close()
		return nil, fmt.Errorf("ask for the requests it understands: %w", err)
	}
	g := &guard{password: password, versions: map[int16]kmsg.ApiVersionsResponseApiKey{}, log: b.log}
	for _, k := range resp.ApiKeys {
		g.versions[k.ApiKey] = k
	}
	b.ln.serve(g)
	return kadm.NewClient(cl), nil
}

// Addr returns the host:port that other processes connect to, or "" when they
// cannot.
func (b *Broker) Addr() string {
	if b.ln.tcp == nil {
		return ""
	}
	return string(b.ln.name)
}

// ClientOptions connect a client of this process, without any port.
func (b *Broker) ClientOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(string(b.ln.name)),
		kgo.Dialer(func(ctx context.Context, _, _ string) (net.Conn, error) { return b.ln.Dial(ctx) }),
	}
}

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
	err := b.faults.collected()
	if err == nil {
		err = writeSums(b.guard.dir)
	}
	if err != nil {
		return fmt.Errorf("close embedded kafka: %w", err)
	}
	return nil
}
