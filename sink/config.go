package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/sink/clickhouse"
)

// Config is what may be chosen. Default has good values. The fields with a key
// are the section `sink` of the operator's file.
type Config struct {
	// Limits of a batch: 50,000 rows keep an insert well below a second and its
	// memory below 100 MB; 16 MiB the same for large records.
	Limits Limits `yaml:"-"`
	// Linger is how long the first record of a batch waits for others: it bounds
	// both the freshness of the tables and the number of inserts.
	Linger time.Duration `yaml:"-"`
	// Heartbeat is how often the position of an idle topic is written, so that
	// v_freshness can tell idle from stopped.
	Heartbeat time.Duration `yaml:"-"`
	// InsertTimeout bounds one attempt; what it cuts off is repeated.
	InsertTimeout time.Duration `yaml:"-"`
	// StopTimeout bounds the last insert after the context has ended.
	StopTimeout time.Duration `yaml:"-"`
	// AcceptGap goes on where retention has deleted records before they came to
	// ClickHouse; without it the sink stops and says so.
	AcceptGap bool `yaml:"accept_gap"`
}

// Default returns the usual configuration.
func Default() Config {
	return Config{
		Limits: Limits{Rows: 50_000, Bytes: 16 << 20},
		Linger: time.Second, Heartbeat: 5 * time.Second,
		InsertTimeout: time.Minute, StopTimeout: 10 * time.Second,
	}
}

// Validate reports every mistake at once.
func (c Config) Validate() error {
	var errs []error
	if c.Limits.Rows < 1 || c.Limits.Bytes < 1 {
		errs = append(errs, fmt.Errorf("sink limits: %d rows, %d bytes: want at least 1", c.Limits.Rows, c.Limits.Bytes))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"linger", c.Linger}, {"heartbeat", c.Heartbeat}, {"insert_timeout", c.InsertTimeout}, {"stop_timeout", c.StopTimeout}} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("sink %s: %v: want more than 0", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}

// Store is where rows go; *clickhouse.Client is one. Its errors are told apart
// by clickhouse.Classify.
type Store interface {
	Insert(ctx context.Context, rows clickhouse.Rows, token string) error
	Positions(ctx context.Context, stage string) (map[int32]clickhouse.Position, error)
}

// Deps is what the sink works with.
type Deps struct {
	// Kafka are the options of every client: where the brokers are, how to reach
	// them, the client's name and its log.
	Kafka []kgo.Opt
	Store Store
	// Epoch is the newest that any stage counts in.
	Epoch uint32
	// Now stamps positions and measures freshness; it may be virtual.
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}
