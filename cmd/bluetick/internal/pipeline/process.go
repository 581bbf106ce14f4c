package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/app"
	"github.com/bluetick/bluetick/internal/browserguard"
	"github.com/bluetick/bluetick/internal/clock"
	"github.com/bluetick/bluetick/internal/dataroot"
	embeddedch "github.com/bluetick/bluetick/internal/embedded/clickhouse"
	embeddedkafka "github.com/bluetick/bluetick/internal/embedded/kafka"
	"github.com/bluetick/bluetick/internal/obs"
	"github.com/bluetick/bluetick/internal/task"
	sinkch "github.com/bluetick/bluetick/sink/clickhouse"
)

const (
	// stopLimit bounds a whole graceful stop: drain, flush, checkpoint, close.
	stopLimit = 40 * time.Second
	// startRoom is what must be free to start: the parts write new files when they
	// open, and a state that runs out of room in the middle ends in a crash.
	startRoom = 8 << 20
	// deadLettersDays is how long ClickHouse keeps the row of a dead letter: as long
	// as Kafka keeps the item.
	deadLettersDays = 30
	// blockCacheBytes is Pebble's, shared by the states of all partitions.
	blockCacheBytes = 128 << 20
)

// Wall is the real clock: timers, time-outs, signatures.
func Wall() time.Time { return time.Now() }

// Times is the clock of a process: the wall's, or the demo's.
type Times struct {
	Now      func() time.Time
	Settling func() time.Duration
	Speed    func() float64 // how fast it runs at present
	Virtual  bool           // the demo's: nothing it stores needs to survive a loss of power
}

// WallTimes is the clock of every command but the demo.
func WallTimes() Times {
	return Times{Now: Wall, Settling: func() time.Duration { return clock.Settling(1) }, Speed: func() float64 { return 1 }}
}

// Process is what every role shares: its folder, its servers, its log.
type Process struct {
	cfg      Config
	log      *slog.Logger
	times    Times
	life     *app.Lifecycle
	board    task.Board
	registry *prometheus.Registry
	root     *dataroot.Root
	obs      *obs.Server
	cache    *pebble.Cache
	reach    []kgo.Opt    // with which every client reaches Kafka; set by openKafka
	room     func() error // of the embedded broker's disk; nil with given servers
	admin    *kadm.Client
	// partitions are those of each topic; set by openKafka
	partitions map[string]int32
	run        dataroot.Run // what run.json will contain
	epoch      dataroot.Epoch
	// rebuilding: an epoch is folded that does not count yet. Nobody is told of what
	// is found, and a log may begin where it begins.
	rebuilding bool
	counting   uint32 // the epoch that counts meanwhile

	clickhouse *clickhouse.Options // nil unless openClickHouse was called
}

// New locks the data folder and serves metrics and health. cfg has been through
// Finish.
func New(cfg Config, log *slog.Logger, t Times) (*Process, error) {
	app.RaiseFiles(log)
	p := &Process{cfg: cfg, log: log, times: t, life: app.New(log), registry: obs.NewRegistry(), cache: pebble.NewCache(blockCacheBytes)}
	p.life.OnStop("state cache", func(context.Context) error { p.cache.Unref(); return nil })
	root, err := dataroot.Open(cfg.Data)
	if err != nil {
		return nil, p.Fail(err)
	}
	p.root = root
	p.life.OnStop("data folder", func(context.Context) error { return root.Close() })
	if p.epoch, err = root.Epoch(); err != nil {
		return nil, p.Fail(err)
	}
	if err := root.Room(startRoom); err != nil {
		return nil, p.Fail(err)
	}
	if p.obs, err = obs.Listen(cfg.Metrics.Listen, cfg.HTTP, p.registry, log); err != nil {
		return nil, p.Fail(err)
	}
	p.life.OnStop("metrics server", p.obs.Stop)
	p.run = dataroot.Run{PID: os.Getpid(), Metrics: p.obs.Addr(), Database: cfg.ClickHouse.Database}
	return p, nil
}

// Fail stops what was started and returns err with whatever went wrong then.
func (p *Process) Fail(err error) error {
	if errors.Is(err, syscall.EMFILE) {
		err = fmt.Errorf("%w (ulimit -n 65536 before the start, or LimitNOFILE=65536 in the unit of systemd)", err)
	}
	return errors.Join(err, p.Stop())
}

// Stop stops everything in reverse order, within stopLimit.
func (p *Process) Stop() error { return p.life.Stop(stopLimit) }

// Part runs a part of the caller's own beside the stages; see app.Lifecycle.Go.
func (p *Process) Part(name string, run func(context.Context) error) { p.life.Go(name, run) }

// OnStop registers how to stop what the caller has opened on this process.
func (p *Process) OnStop(name string, stop func(context.Context) error) { p.life.OnStop(name, stop) }

// Failed tells of the first part that failed.
func (p *Process) Failed() <-chan error { return p.life.Failed() }

// Places is where everything listens, as in run.json.
func (p *Process) Places() dataroot.Run { return p.run }

// Dir is the absolute path of the data folder.
func (p *Process) Dir() string { return p.root.Dir() }

// ClickHouse opens a connection that closes with the process.
func (p *Process) ClickHouse(ctx context.Context, name string) (driver.Conn, error) {
	conn, err := sinkch.Connect(ctx, p.clickhouse)
	if err != nil {
		return nil, err
	}
	p.life.OnStop("clickhouse connection of the "+name, func(context.Context) error { return conn.Close() })
	return conn, nil
}

// Status is how far every partition of a stage of folds has come.
func (p *Process) Status(stage string) []task.Status { return p.board.Of(stage) }

// Ends asks Kafka for the end of every partition of a topic.
func (p *Process) Ends(ctx context.Context, topic string) (map[int32]int64, error) {
	listed, err := p.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("read the end of the topic: %w", err)
	}
	ends := map[int32]int64{}
	for partition, end := range listed[topic] {
		ends[partition] = end.Offset
	}
	return ends, nil
}

// openKafka starts the embedded broker, or takes the given ones, and makes sure
// that the topics exist and their settings fit.
func (p *Process) openKafka(ctx context.Context) error {
	at := "in this process"
	if p.cfg.Kafka.Embedded() {
		if err := p.openBroker(); err != nil {
			return err
		}
	} else {
		opts, err := reach(&p.cfg.Kafka)
		if err != nil {
			return err
		}
		brokers := p.cfg.Kafka.Brokers
		p.reach, p.run.Kafka, at = opts, brokers[0], "at "+strings.Join(brokers, ", ")
	}
	var err error
	if p.admin, err = kafkaAdmin(p.reach); err != nil {
		return err
	}
	p.life.OnStop("kafka admin client", func(context.Context) error { p.admin.Close(); return nil })
	report, err := ensureTopics(ctx, &p.cfg, p.epoch.Current, p.log, p.admin, at)
	if err != nil {
		return err
	}
	p.partitions = map[string]int32{}
	for _, t := range report.Topics {
		p.partitions[t.Name] = int32(t.Partitions)
		if t.Created {
			p.log.Info("topic created", "topic", t.Name, "partitions", t.Partitions)
		}
	}
	return nil
}

// openBroker starts the embedded broker. Without kafka.listen only this process
// reaches it.
func (p *Process) openBroker() error {
	password, err := p.root.Secret("kafka")
	if err != nil {
		return err
	}
	broker, err := embeddedkafka.Open(embeddedkafka.Config{
		Dir: p.root.Kafka(), Addr: p.cfg.Kafka.Listen, Password: password, Now: p.times.Now, Log: p.log,
		Sync: !p.times.Virtual, AcceptLoss: p.cfg.Kafka.AcceptLoss,
	})
	if err != nil {
		return err
	}
	p.life.OnStop("embedded kafka", func(context.Context) error { return broker.Close() })
	p.reach, p.room = broker.ClientOptions(), broker.Room
	p.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "bluetick", Subsystem: "embedded_kafka", Name: "memory_bytes", Help: "What the embedded log costs in memory: its batches, packed and not.",
	}, func() float64 { return float64(broker.Weight().Bytes) }))
	if p.run.Kafka = broker.Addr(); p.run.Kafka != "" {
		p.run.KafkaUser, p.run.KafkaPassword = embeddedkafka.User, password
	}
	return nil
}

// openClickHouse starts the embedded engine with its port, or takes the server,
// and migrates the database.
func (p *Process) openClickHouse(ctx context.Context) error {
	if p.cfg.ClickHouse.Embedded() {
		engine, err := openEngine(ctx, &p.cfg, p.root, p.log)
		if err != nil {
			return err
		}
		p.life.OnStop("embedded clickhouse", func(context.Context) error { return engine.Close() })
		if err := p.serveClickHouse(engine); err != nil {
			return err
		}
		p.clickhouse = engine.ClientOptions(p.cfg.ClickHouse.Database)
	} else {
		opts, err := p.cfg.ClickHouse.options()
		if err != nil {
			return err
		}
		p.clickhouse = opts
		p.run.Database = opts.Auth.Database
	}
	applied, err := migrate(ctx, &p.cfg, p.migrateAs(), p.log, p.clickhouse, p.times.Now())
	if err != nil {
		return err
	}
	if len(applied) > 0 {
		p.log.Info("clickhouse migrated", "applied", len(applied))
	}
	return p.lookAround(ctx)
}

// migrateAs is the epoch that counts in a new database.
func (p *Process) migrateAs() uint32 {
	if p.rebuilding {
		return p.counting
	}
	return p.epoch.Current
}

// Epoch is the one that the process folds.
func (p *Process) Epoch() uint32 { return p.epoch.Current }

// serveClickHouse opens the embedded engine's port to curl and BI tools.
func (p *Process) serveClickHouse(engine *embeddedch.Engine) error {
	listener, err := net.Listen("tcp", p.cfg.ClickHouse.Listen)
	if err != nil {
		return fmt.Errorf("listen for SQL on %s: %w (another port: --clickhouse-listen)", p.cfg.ClickHouse.Listen, err)
	}
	password, err := p.root.Secret("clickhouse-admin")
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	p.run.ClickHouse, p.run.AdminUser, p.run.AdminPassword = listener.Addr().String(), embeddedch.AdminUser, password
	server := browserguard.Server(p.cfg.HTTP, engine.Handler(), p.log)
	p.life.Go("sql port", func(ctx context.Context) error {
		var closing sync.WaitGroup
		stop := context.AfterFunc(ctx, func() {
			// Other people's queries do not hold up a stop.
			closing.Go(func() { _ = server.Close() })
		})
		defer stop()
		err := server.Serve(listener)
		closing.Wait()
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	return nil
}

// Announce publishes where everything listens, and that work is being done.
func (p *Process) Announce() error {
	if err := p.root.Announce(p.run); err != nil {
		return err
	}
	p.obs.SetReady(true)
	var places []any // a role has not all of them
	for _, at := range []struct{ name, addr string }{
		{"webhooks", p.run.Ingest}, {"sql", p.run.ClickHouse}, {"metrics", p.run.Metrics}, {"kafka", p.run.Kafka},
	} {
		if at.addr != "" {
			places = append(places, at.name, at.addr)
		}
	}
	p.log.Info("ready", places...)
	return nil
}

// Wait blocks until ctx ends or a part fails, then stops everything.
func (p *Process) Wait(ctx context.Context) error {
	err := p.life.Wait(ctx)
	p.obs.SetReady(false)
	if err == nil {
		p.log.Info("stopping")
	}
	return errors.Join(err, p.life.Stop(stopLimit))
}
