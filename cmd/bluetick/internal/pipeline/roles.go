package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/bluetick/bluetick/internal/obs"
	"github.com/bluetick/bluetick/internal/topics"
)

// Role is the part of the line that a process does.
type Role struct {
	needs func(*Config) error
	steps func(*Process) []step
}

// step starts a part and returns when it is ready.
type step func(context.Context) error

// Line is everything in one process. It starts from the end of the line to its
// beginning, so that everything produced has a reader, and stops the other way
// round.
func Line() Role {
	return Role{nil, func(p *Process) []step {
		return []step{p.openKafka, p.openClickHouse, p.startSink, p.startAlert, p.startRollup, p.startMessage, p.startIngest}
	}}
}

// Ingest is the door alone.
func Ingest() Role {
	return Role{needsKafkaAndPepper, func(p *Process) []step { return []step{p.openKafka, p.startIngest} }}
}

// Aggregate is the message and roll-up folds.
func Aggregate() Role {
	return Role{needsKafka, func(p *Process) []step { return []step{p.openKafka, p.startRollup, p.startMessage} }}
}

// Sink is the way into ClickHouse alone.
func Sink() Role {
	return Role{needsServers, func(p *Process) []step { return []step{p.openKafka, p.openClickHouse, p.startSink} }}
}

// Alert is the alert fold alone.
func Alert() Role {
	return Role{needsKafka, func(p *Process) []step { return []step{p.openKafka, p.startAlert} }}
}

// Run does the work of the role until ctx ends or a part fails, and then stops in
// order. cfg has been through Finish.
func (r Role) Run(ctx context.Context, cfg Config) error {
	if r.needs != nil {
		if err := r.needs(&cfg); err != nil {
			return err
		}
	}
	log, err := cfg.Logger()
	if err != nil {
		return err
	}
	p, err := New(cfg, log, WallTimes())
	if err != nil {
		return err
	}
	if err := p.Start(ctx, r); err != nil {
		return p.Fail(err)
	}
	if err := p.Announce(); err != nil {
		return p.Fail(err)
	}
	return p.Wait(ctx)
}

// Start starts the parts of the role, one after the other.
func (p *Process) Start(ctx context.Context, r Role) error {
	for _, start := range r.steps(p) {
		if err := start(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.New("stopped while starting")
		}
	}
	return nil
}

func needsKafka(cfg *Config) error {
	if cfg.Kafka.Embedded() {
		return errors.New("one role alone needs Kafka servers: give --kafka-brokers (or kafka.brokers in the file); everything in one process is `bluetick run`")
	}
	return nil
}

func needsServers(cfg *Config) error {
	var err error
	if cfg.ClickHouse.Embedded() {
		err = errors.New("the sink alone needs a ClickHouse server: give --clickhouse-dsn (or clickhouse.dsn in the file)")
	}
	return errors.Join(needsKafka(cfg), err)
}

// needsKafkaAndPepper: several ingesters must give a contact the same pseudonym,
// so the pepper cannot be each one's own.
func needsKafkaAndPepper(cfg *Config) error {
	var err error
	if cfg.Pepper == "" {
		err = errors.New("ingest alone needs a pepper, the same for every ingester: give --pepper env:NAME or --pepper file:PATH, BLUETICK_PEPPER or pepper in the file of --config (make one: openssl rand -hex 32; that of a data folder is in its pepper.secret)")
	}
	return errors.Join(needsKafka(cfg), err)
}

// firstEpoch is the one of servers that no data folder belongs to.
const firstEpoch = 1

// Topics creates the topics that are missing and checks all.
func Topics(ctx context.Context, cfg *Config) (topics.Report, error) {
	if err := needsKafka(cfg); err != nil {
		return topics.Report{}, err
	}
	log, err := cfg.Logger()
	if err != nil {
		return topics.Report{}, err
	}
	opts, err := reach(&cfg.Kafka)
	if err != nil {
		return topics.Report{}, err
	}
	admin, err := kafkaAdmin(opts)
	if err != nil {
		return topics.Report{}, err
	}
	defer admin.Close()
	return ensureTopics(ctx, cfg, firstEpoch, log, admin, "at "+strings.Join(cfg.Kafka.Brokers, ", "))
}

// Migrate brings the database of the given server to the schema of this build
// and returns the migrations it applied.
func Migrate(ctx context.Context, cfg *Config) ([]string, error) {
	if cfg.ClickHouse.Embedded() {
		return nil, errors.New("the embedded ClickHouse is migrated at every start; for a server give --clickhouse-dsn")
	}
	opts, err := cfg.ClickHouse.options()
	if err != nil {
		return nil, err
	}
	log, err := cfg.Logger()
	if err != nil {
		return nil, err
	}
	return migrate(ctx, cfg, firstEpoch, log, opts, Wall())
}

// Logger writes to standard error, since standard output is for answers, and
// begins with what is to be said of the configuration.
func (c *Config) Logger() (*slog.Logger, error) {
	log, err := obs.NewLogger(os.Stderr, c.Log)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	for _, w := range c.Warnings {
		log.Warn("a setting should be otherwise", "setting", w)
	}
	return log, nil
}
