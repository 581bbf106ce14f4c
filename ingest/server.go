package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/internal/meter"
)

// Producer writes records. Produce returns nil only once every record is
// acknowledged by all in-sync replicas, and ends when ctx does.
type Producer interface {
	Produce(ctx context.Context, records []Record) error
}

// Deps are what the door needs of others.
type Deps struct {
	Log *slog.Logger
	// Now is the clock of received_at.
	Now      func() time.Time
	Producer Producer
	// Providers are those a source can name.
	Providers provider.Registry
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
	// Partitions is the number of partitions of events: each gets the door's
	// heartbeats. 0: there are none, and no minute ever completes; for tests.
	Partitions int32
	// Settling is how long a webhook may travel, by Now, and Speed how fast Now
	// runs, at present.
	Settling func() time.Duration
	Speed    func() float64
	// Past reads the events of the last day; nil: there are none to be asked.
	Past Past
	// Boot is the time since the machine started, see clock.Boot; nil: Now is a
	// virtual clock, which is not held against any other.
	Boot func() (time.Duration, bool)
	// Doubted is told when the door begins to doubt its clock and shuts, and, with "",
	// when it opens again; nil: nobody.
	Doubted func(ClockDoubt)
}

// Server answers webhooks. Its fields are immutable after New unless their comments
// say otherwise.
type Server struct {
	config  Config
	log     *slog.Logger
	now     func() time.Time
	out     Producer
	metrics *metrics
	scope   *meter.Scope       // of the metrics, until Stop
	sources map[string]*source // by Source.path
	values  *values            // of the accounts of all sources
	// room is taken by bodies from their first byte on.
	room *room
	// slots holds one token per body being worked on.
	slots chan struct{}
	// bodies are buffers for reading, *[firstRead]byte.
	bodies sync.Pool
	// refused is true while Kafka does not take our records, so that only changes
	// are logged.
	refused atomic.Bool
	hearts  *hearts
	clock   *doorClock
	past    Past
	// speechless is true while Kafka does not take heartbeats.
	speechless atomic.Bool
	hush       context.CancelFunc // ends heartbeats and recalling; set by serve

	http     *http.Server
	listener net.Listener // set by Start
	failed   chan error   // capacity 1: what ended serving, if it was not Stop
	served   chan struct{}
	silent   chan struct{} // closed when no heartbeat comes any more, and nothing is recalled
}

// source is a Source made ready.
type source struct {
	name     string
	provider string // its name
	endpoint provider.Endpoint
	input    provider.Input
	exceeded exceeded
	// misplaced is set once a list at an unknown place was warned of.
	misplaced atomic.Bool
}

// New checks c and registers the metrics, which stay until Stop. It opens nothing.
func New(c Config, deps Deps) (*Server, error) {
	if err := c.validateAll(deps.Providers); err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	scope := meter.NewScope(deps.Registerer)
	m, err := newMetrics(scope)
	if err != nil {
		scope.Close()
		return nil, fmt.Errorf("configure ingest: %w", err)
	}
	s := &Server{
		config: c, log: deps.Log.With("component", "ingest"), now: deps.Now, out: deps.Producer, metrics: m, scope: scope,
		sources: make(map[string]*source, len(c.Sources)), values: newValues(c.Values),
		slots: make(chan struct{}, c.MaxConcurrent), room: newRoom(c.MaxBytesInFlight, m.bytesInFlight),
		failed: make(chan error, 1), served: make(chan struct{}), silent: make(chan struct{}), hearts: newHearts(&deps), past: deps.Past,
	}
	s.clock = &doorClock{now: deps.Now, boot: deps.Boot, tell: deps.Doubted, log: s.log, shut: m.clockShut}
	if s.clock.tell == nil {
		s.clock.tell = func(ClockDoubt) {}
	}
	for i := range c.Sources {
		src, err := s.source(&c.Sources[i], deps.Providers)
		if err != nil {
			scope.Close()
			return nil, fmt.Errorf("configure ingest: %w", err)
		}
		s.sources[c.Sources[i].path()] = src
	}
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: c.HeaderTimeout,
		ReadTimeout:       c.ReadTimeout,
		IdleTimeout:       c.IdleTimeout,
		// Reading, then Kafka, then a small answer.
		WriteTimeout:   c.ReadTimeout + c.ProduceTimeout + 5*time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// source makes c ready for use; Validate has checked it.
func (s *Server) source(c *Source, known provider.Registry) (*source, error) {
	pattern, err := provider.CompileCampaignPattern(c.CampaignPattern)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", c.Name, err)
	}
	words, err := c.Words()
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", c.Name, err)
	}
	endpoint, err := known.Find(c.Provider).Open(c.settings())
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", c.Name, err)
	}
	src := &source{name: c.Name, provider: c.Provider, endpoint: endpoint}
	src.input = provider.Input{
		Source: c.Name, Account: c.Account, Accounts: c.Accounts, CampaignPattern: pattern,
		MaxEventAge: c.MaxEventAge, Pepper: []byte(s.config.Pepper), Words: words,
	}
	src.exceeded = func(account string, d dimension, limit int, first bool) {
		s.metrics.values.WithLabelValues(c.Name, d.String()).Inc()
		if first {
			s.log.Warn("too many different values of a dimension today, further ones of the account become (other)",
				"source", c.Name, "account", account, "dimension", d.String(), "limit", limit,
				"remedy", "does the sender put an id there? if not, raise ingest.values."+d.String())
		}
	}
	return src, nil
}

// Start listens and answers until Stop.
func (s *Server) Start() error {
	l, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w (another port: --ingest-listen, or ingest.listen in the file)", err)
	}
	s.serve(l)
	return nil
}

// serve answers on l until Stop.
func (s *Server) serve(l net.Listener) {
	s.listener = l
	s.log.Info("listening for webhooks", "addr", l.Addr().String(), "sources", len(s.sources))
	beating, hush := context.WithCancel(context.Background())
	s.hush = hush
	var inside sync.WaitGroup
	inside.Go(func() {
		if s.hearts.partitions > 0 {
			s.beat(beating)
		}
	})
	inside.Go(func() { s.recall(beating) })
	go func() {
		defer close(s.silent)
		inside.Wait()
	}()
	go func() {
		defer close(s.served)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve webhooks: %w", err)
		}
	}()
}

// Addr is the address bound by Start.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Failed receives the error that ended serving, unless Stop did.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop takes no more requests, lets those in flight end, and waits for them until
// ctx ends. Then their connections are cut, and their providers will send again.
// The Producer must outlive it. Without Start it only unregisters the metrics.
func (s *Server) Stop(ctx context.Context) error {
	defer s.scope.Close()
	if s.listener == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("drain webhooks: %w", err), s.http.Close())
	}
	<-s.served
	s.hush()
	<-s.silent
	s.lastBeat(context.WithoutCancel(ctx))
	return err
}
