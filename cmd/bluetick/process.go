package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/app"
	"github.com/bluetick/bluetick/internal/config"
	"github.com/bluetick/bluetick/internal/dataroot"
	embeddedch "github.com/bluetick/bluetick/internal/embedded/clickhouse"
	embeddedkafka "github.com/bluetick/bluetick/internal/embedded/kafka"
	"github.com/bluetick/bluetick/internal/obs"
)

const (
	// epoch is the one this build derives: it changes with the logic of a fold.
	epoch = 1
	// stopLimit bounds a whole graceful stop: drain, flush, checkpoint, close.
	stopLimit = 40 * time.Second
	// startRoom is what must be free to start: the parts open by writing new files,
	// and a state that finds no room for them in the middle ends in a crash.
	startRoom = 8 << 20
	// deadLettersDays is how long ClickHouse tells of a dead letter: as long as
	// Kafka keeps the item.
	deadLettersDays = 30
	// blockCacheBytes is Pebble's, shared by the states of all partitions.
	blockCacheBytes = 128 << 20
)

// times is the clock of a process: the wall's, or the demo's.
type times struct {
	now      func() time.Time
	settling func() time.Duration
	speed    func() float64 // how fast it runs at present
	virtual  bool           // the demo's: nothing it stores needs to survive a loss of power
}

// process is what every role shares: its folder, its servers, its log.
type process struct {
	cfg      config.Config
	log      *slog.Logger
	times    times
	life     *app.Lifecycle
	registry *prometheus.Registry
	root     *dataroot.Root
	obs      *obs.Server
	cache    *pebble.Cache
	brokers  []string
	dial     []kgo.Opt    // leads into the embedded broker; none with given servers
	room     func() error // of the embedded broker's disk; nil with given servers
	admin    *kadm.Client
	run      dataroot.Run // what run.json will say

	clickhouse *clickhouse.Options // nil unless openClickHouse was called
}

// newProcess locks the data folder and answers for metrics and health.
func newProcess(cfg config.Config, log *slog.Logger, t times) (*process, error) {
	p := &process{cfg: cfg, log: log, times: t, life: app.New(log), registry: obs.NewRegistry(), cache: pebble.NewCache(blockCacheBytes)}
	p.life.OnStop("state cache", func(context.Context) error { p.cache.Unref(); return nil })
	root, err := dataroot.Open(cfg.Data)
	if err != nil {
		return nil, p.fail(err)
	}
	p.root = root
	p.life.OnStop("data folder", func(context.Context) error { return root.Close() })
	if err := root.Room(startRoom); err != nil {
		return nil, p.fail(err)
	}
	if p.obs, err = obs.Listen(cfg.Metrics.Listen, p.registry, log); err != nil {
		return nil, p.fail(err)
	}
	p.life.OnStop("metrics server", p.obs.Stop)
	p.run = dataroot.Run{PID: os.Getpid(), Metrics: p.obs.Addr(), Database: cfg.ClickHouse.Database}
	return p, nil
}

// fail stops what was started and returns err with whatever went wrong then.
func (p *process) fail(err error) error { return errors.Join(err, p.life.Stop(stopLimit)) }

// openKafka starts the embedded broker, or takes the given ones, and makes sure
// that the topics are there and fit.
func (p *process) openKafka(ctx context.Context) error {
	p.brokers = p.cfg.Kafka.Brokers
	if p.cfg.EmbeddedKafka() {
		if err := p.openBroker(); err != nil {
			return err
		}
	} else {
		p.run.Kafka = p.brokers[0]
	}
	var err error
	if p.admin, err = kafkaAdmin(p.brokers, p.dial...); err != nil {
		return err
	}
	p.life.OnStop("kafka admin client", func(context.Context) error { p.admin.Close(); return nil })
	report, err := ensureTopics(ctx, &p.cfg, p.log, p.admin, p.brokers)
	if err != nil {
		return err
	}
	for _, t := range report.Topics {
		if t.Created {
			p.log.Info("topic created", "topic", t.Name, "partitions", t.Partitions)
		}
	}
	return nil
}

// openBroker starts the embedded broker. Without kafka.listen only this process
// reaches it.
func (p *process) openBroker() error {
	password, err := p.root.Secret("kafka")
	if err != nil {
		return err
	}
	broker, err := embeddedkafka.Open(embeddedkafka.Config{
		Dir: p.root.Kafka(), Addr: p.cfg.Kafka.Listen, Password: password, Now: p.times.now, Log: p.log,
		Sync: !p.times.virtual, AcceptLoss: p.cfg.Kafka.AcceptLoss,
	})
	if err != nil {
		return err
	}
	p.life.OnStop("embedded kafka", func(context.Context) error { return broker.Close() })
	p.brokers, p.dial, p.room = []string{"embedded"}, broker.ClientOptions(), broker.Room
	if p.run.Kafka = broker.Addr(); p.run.Kafka != "" {
		p.run.KafkaUser, p.run.KafkaPassword = embeddedkafka.User, password
	}
	return nil
}

// kafka are the options of a Kafka client: where it is and how to get there.
func (p *process) kafka(more ...kgo.Opt) []kgo.Opt {
	return slices.Concat([]kgo.Opt{kgo.SeedBrokers(p.brokers...)}, p.dial, more)
}

// openClickHouse starts the embedded engine with its port, or takes the server,
// and migrates the database.
func (p *process) openClickHouse(ctx context.Context) error {
	if p.cfg.EmbeddedClickHouse() {
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
		opts, err := serverOptions(&p.cfg)
		if err != nil {
			return err
		}
		p.clickhouse = opts
		p.run.Database = opts.Auth.Database
	}
	applied, err := migrate(ctx, &p.cfg, p.log, p.clickhouse, p.times.now())
	if err != nil {
		return err
	}
	if len(applied) > 0 {
		p.log.Info("clickhouse migrated", "applied", len(applied))
	}
	return nil
}

// serveClickHouse opens the embedded engine's port to curl and BI tools.
func (p *process) serveClickHouse(engine *embeddedch.Engine) error {
	listener, err := net.Listen("tcp", p.cfg.ClickHouse.Listen)
	if err != nil {
		return fmt.Errorf("listen for SQL on %s: %w (another port: --clickhouse-listen)", p.cfg.ClickHouse.Listen, err)
	}
	password, err := p.root.Secret("clickhouse-admin")
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	p.run.ClickHouse, p.run.AdminUser, p.run.AdminPassword = listener.Addr().String(), embeddedch.AdminUser, password
	server := &http.Server{Handler: engine.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
	p.life.Go("sql port", func(ctx context.Context) error {
		var closing sync.WaitGroup
		stop := context.AfterFunc(ctx, func() {
			// Queries of other people do not hold up a stop.
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

// serverOptions are those of the configured ClickHouse server. The driver takes
// any scheme for the native protocol; a misspelt one must not wait for an answer.
func serverOptions(cfg *config.Config) (*clickhouse.Options, error) {
	scheme, _, _ := strings.Cut(cfg.ClickHouse.DSN, "://")
	switch scheme {
	case "clickhouse", "tcp", "http", "https":
	default:
		return nil, errors.New("clickhouse.dsn: want clickhouse://user:password@host:9000/database, or http:// with the port 8123")
	}
	opts, err := clickhouse.ParseDSN(cfg.ClickHouse.DSN)
	if _, unreadable := errors.AsType[*url.Error](err); unreadable {
		// The error spells out the DSN, with the password whose characters it
		// stumbled over.
		return nil, errors.New("clickhouse.dsn: it is no URL, for an invalid port or an invalid character: write special characters of user and password as %XX (/ is %2F, # is %23, % is %25)")
	}
	if err != nil {
		return nil, fmt.Errorf("clickhouse.dsn: %w (for TLS add ?secure=true)", err)
	}
	if opts.Auth.Database == "" || opts.Auth.Database == "default" {
		opts.Auth.Database = cfg.ClickHouse.Database
	}
	return opts, nil
}

// announce says where everything listens and that work is being done.
func (p *process) announce() error {
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

// wait blocks until ctx ends or a part fails, then stops everything.
func (p *process) wait(ctx context.Context) error {
	err := p.life.Wait(ctx)
	p.obs.SetReady(false)
	if err == nil {
		p.log.Info("stopping")
	}
	return errors.Join(err, p.life.Stop(stopLimit))
}
