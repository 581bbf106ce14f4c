package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/dataroot"
	embedded "github.com/bluetick/bluetick/internal/embedded/clickhouse"
)

// connect opens ClickHouse for a command that asks it something: the server of
// the DSN; or the port of the process that runs on the data folder; or, when
// none runs, the engine itself on that folder. close ends whatever was opened.
func connect(ctx context.Context, cfg *Config, log *slog.Logger) (conn driver.Conn, closeAll func() error, err error) {
	if !cfg.ClickHouse.Embedded() {
		opts, err := cfg.ClickHouse.options()
		if err != nil {
			return nil, nil, err
		}
		return open(ctx, opts, func() error { return nil })
	}
	root, err := dataroot.Open(cfg.Data)
	if errors.Is(err, dataroot.ErrBusy) {
		return connectRunning(ctx, cfg, err)
	}
	if err != nil {
		return nil, nil, err
	}
	engine, err := openEngine(ctx, cfg, root, log)
	if err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	opts := engine.ClientOptions(cfg.ClickHouse.Database)
	return open(ctx, opts, func() error { return errors.Join(engine.Close(), root.Close()) })
}

// Ask opens ClickHouse as connect does, for one question. An error names its
// remedy, if one is known.
func Ask(ctx context.Context, cfg *Config, question func(driver.Conn) error) error {
	log, err := cfg.Logger()
	if err != nil {
		return err
	}
	conn, closeAll, err := connect(ctx, cfg, log)
	if err != nil {
		return err
	}
	return errors.Join(question(conn), closeAll())
}

// connectRunning goes through the port that run.json names.
func connectRunning(ctx context.Context, cfg *Config, busy error) (driver.Conn, func() error, error) {
	run, err := dataroot.ReadRun(cfg.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w (it has not said yet where it listens: try again in a moment)", busy)
	}
	if err != nil {
		return nil, nil, err
	}
	if run.ClickHouse == "" {
		return nil, nil, fmt.Errorf("process %d on the data folder %s works with a ClickHouse server: give its --clickhouse-dsn", run.PID, cfg.Data)
	}
	return open(ctx, &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{run.ClickHouse},
		Auth:     clickhouse.Auth{Database: run.Database, Username: run.AdminUser, Password: run.AdminPassword},
	}, func() error { return nil })
}

func open(ctx context.Context, opts *clickhouse.Options, below func() error) (driver.Conn, func() error, error) {
	conn, err := clickhouse.Open(opts)
	if err == nil {
		if err = conn.Ping(ctx); err != nil {
			err = errors.Join(err, conn.Close())
		}
	}
	if err != nil {
		err = fmt.Errorf("connect to ClickHouse at %s: %w", strings.Join(opts.Addr, ", "), err)
		return nil, nil, errors.Join(Remedy(err), below())
	}
	return conn, func() error { return errors.Join(conn.Close(), below()) }, nil
}

// openEngine starts the embedded ClickHouse of a data folder.
func openEngine(ctx context.Context, cfg *Config, root *dataroot.Root, log *slog.Logger) (*embedded.Engine, error) {
	library, err := embedded.Locate(cfg.ClickHouse.Library)
	if err != nil {
		return nil, err
	}
	password, err := root.Secret("clickhouse-admin")
	if err != nil {
		return nil, err
	}
	return embedded.Open(ctx, embedded.Config{
		Dir: root.ClickHouse(), Library: library, AdminPassword: password,
		Readers: cfg.ClickHouse.Readers, ReaderPassword: cfg.ClickHouse.ReaderPassword, Log: log.With("component", "clickhouse"),
	})
}
