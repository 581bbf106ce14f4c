package kafka

import (
	"cmp"
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
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/bluetick/bluetick/internal/dataroot"
)

// never, in milliseconds (ten years), puts off kfake's own retention timer.
const never = "315360000000"

// segmentBytes is where kfake ends a segment of a topic that does not say so
// itself. It is small because kfake keeps every batch of the last segment in
// memory: a thousand batches of 500 bytes each are 40 kB of it, and 4 MiB some
// 650 kB a partition.
const segmentBytes = "4194304"

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

	free     func(dir string) (uint64, error) // tests only; nil means dataroot.FreeBytes
	mostWait time.Duration                    // tests only; 0 means the constant of that name
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
	packs   *packs             // guards itself
	packer  *packer            // owned by the sweeper
	warned  int64              // bytes last warned of; owned by the sweeper
	tail    *kgo.Client        // asks kfake about the tail; immutable after Open, closed by Close
	stop    context.CancelFunc // ends the sweeper
	sweeper sync.WaitGroup
	asking  sync.WaitGroup // answers that are being put together from packs
	close   func() error   // runs once
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
	packed, err := openPacks(cfg.Dir, cmp.Or(cfg.mostWait, mostWait), log)
	if err != nil {
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
	packer, err := newPacker()
	if err != nil {
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
	ln, err := newListener(cfg.Addr, cfg.AdvertisedHost)
	if err != nil {
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
	faults := &faultLog{log: log}
	cluster, err := kfake.NewCluster(options(cfg, ln, faults)...)
	if err != nil {
		_ = ln.Close() // already closed when kfake got as far as using it
		return nil, fmt.Errorf("open embedded kafka on %s: %w", cfg.Dir, err)
	}
	guard := &diskGuard{dir: cfg.Dir, free: cfg.free, log: log}
	if guard.free == nil {
		guard.free = dataroot.FreeBytes
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Broker{
		cluster: cluster, ln: ln, now: cfg.Now, log: log, faults: faults, guard: guard, packs: packed, packer: packer, stop: stop,
	}
	if err := b.admit(ctx, cfg.Password); err != nil {
		stop()
		cluster.Close()
		return nil, fmt.Errorf("open embedded kafka: %w", err)
	}
	b.close = sync.OnceValue(b.shutdown)
	b.sweeper.Go(func() { b.sweepLoop(ctx) })
	log.Info("embedded kafka started", "addr", b.Addr())
	return b, nil
}

// options are those of kfake.
func options(cfg Config, ln *listener, faults *faultLog) []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.DataDir(cfg.Dir),
		kfake.ListenFn(ln.once),
		kfake.WithLogger(faults),
		// Answers of a connection stay in order, as kfake reads its next request after
		// the answer. The other way lets two goroutines wait for one request, when it
		// comes in the moment in which the one before is struck off: a data race, and
		// a request that is woken twice would stop kfake.
		kfake.SleepOutOfOrder(),
		kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": never, "log.segment.bytes": segmentBytes}),
	}
	if cfg.Sync {
		opts = append(opts, kfake.SyncWrites())
	}
	return opts
}

// admit makes the broker's own clients, asks kfake what it understands, puts the
// disk guard and the packs in front of it, and lets TCP clients in.
func (b *Broker) admit(ctx context.Context, password string) (err error) {
	if b.tail, err = kgo.NewClient(append(b.ClientOptions(), kgo.MaxVersions(tailVersions()))...); err != nil {
		return fmt.Errorf("make the broker's own client: %w", err)
	}
	cl, err := kgo.NewClient(b.ClientOptions()...)
	if err != nil {
		b.tail.Close()
		return fmt.Errorf("make the broker's own client: %w", err)
	}
	b.adm = kadm.NewClient(cl)
	askCtx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(askCtx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		b.adm.Close()
		b.tail.Close()
		return fmt.Errorf("ask for the requests it understands: %w", err)
	}
	b.intercept(ctx)
	g := &guard{password: password, versions: map[int16]kmsg.ApiVersionsResponseApiKey{}, log: b.log}
	for _, k := range resp.ApiKeys {
		g.versions[k.ApiKey] = k
	}
	b.ln.serve(g)
	return nil
}

// tailVersions keeps to fetches that name topics instead of their ids.
func tailVersions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(kmsg.Fetch.Int16(), 12)
	return v
}

// intercept puts what this package adds in front of kfake. kfake asks one request
// at a time; whoever has to wait does so in packs.run, beside it. ctx ends with
// the broker.
func (b *Broker) intercept(ctx context.Context) {
	p := b.packs
	p.ask = func(req kmsg.Request) (kmsg.Response, error) {
		ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
		defer cancel()
		return b.tail.Broker(0).Request(ctx, req)
	}
	p.run = func(fn func() (kmsg.Response, error)) (kmsg.Response, error) {
		type result struct {
			resp kmsg.Response
			err  error
		}
		answer := make(chan result, 1)
		b.asking.Add(1)
		b.cluster.SleepControl(func() {
			defer b.asking.Done()
			resp, err := fn()
			answer <- result{resp, err}
		})
		select { // kfake's end wakes us before the answer is there
		case r := <-answer:
			return r.resp, r.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	control := func(key kmsg.Key, fn func(req kmsg.Request) (kmsg.Response, error, bool)) {
		b.cluster.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
			b.cluster.KeepControl()
			return fn(req)
		})
	}
	control(kmsg.Produce, func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp, handled := b.guard.check(req.(*kmsg.ProduceRequest))
		return resp, nil, handled
	})
	control(kmsg.Fetch, func(req kmsg.Request) (kmsg.Response, error, bool) { return p.fetch(req.(*kmsg.FetchRequest)) })
	control(kmsg.ListOffsets, func(req kmsg.Request) (kmsg.Response, error, bool) { return p.list(req.(*kmsg.ListOffsetsRequest)) })
	control(kmsg.DeleteRecords, func(req kmsg.Request) (kmsg.Response, error, bool) {
		return p.remove(req.(*kmsg.DeleteRecordsRequest))
	})
	control(kmsg.DeleteTopics, func(req kmsg.Request) (kmsg.Response, error, bool) {
		p.forget(req.(*kmsg.DeleteTopicsRequest))
		return nil, nil, false
	})
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
	b.tail.Close()
	b.asking.Wait()
	err := b.faults.collected()
	if err == nil {
		err = writeSums(b.guard.dir)
	}
	if err != nil {
		return fmt.Errorf("close embedded kafka: %w", err)
	}
	return nil
}
