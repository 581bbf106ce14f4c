package clickhouse

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// AdminUser is the user that may write through the handler, with Config.AdminPassword.
const AdminUser = "bluetick_admin"

// quietArg keeps the engine's own log off a terminal. Where standard input or
// error is a terminal the engine would write there, also one "current_thread
// contains invalid address" for each streamed insert, which does not concern the
// insert. Errors of statements reach the caller either way.
const quietArg = "--log-level=none"

// Config is where the engine keeps its data and what it may use.
type Config struct {
	// Dir is the folder of the data, created if absent. Only one process at a time may open it.
	Dir string
	// Library is the path of libchdb, as Locate finds it.
	Library string
	// AdminPassword is what AdminUser must present. Empty means a random one: then only ClientOptions can write.
	AdminPassword string
	// ReaderPassword is what every other user must present. Empty lets whoever reaches the handler read.
	ReaderPassword string
	// MaxMemoryBytes limits the engine as a whole; 0 means a quarter of the machine's memory, at most 2 GiB.
	MaxMemoryBytes int64
	// Readers bounds what everybody but the administrator may take together.
	Readers Readers
	// Log receives state changes. Nil means none.
	Log *slog.Logger
}

// limits bound what requests may take. They are fixed except in tests.
type limits struct {
	// adminQueries run at once: each holds an OS thread and some engine threads. Readers have a number of their
	// own, so that a crowded dashboard cannot keep the pipeline from writing.
	adminQueries int
	// readerChairs is how many readers may be inside, running or waiting; each holds a connection and the text of
	// a statement.
	readerChairs int
	// slotWait is how long a request waits for its turn before it is told that there are too many.
	slotWait time.Duration
	// readerTime ends a query that a reader forgot. The administrator's run as long as their client wants. A reader's
	// may use readerMemory.
	readerTime   time.Duration
	readerMemory int64
	// sqlBytes limits the text of a statement; a server's default (max_query_size) is 256 KiB.
	sqlBytes int
	// bodyBytes limits the data of one insert after decompression.
	bodyBytes int64
	// resultBytes limits a result that must be built before it is sent (JSON, Pretty, Parquet …).
	resultBytes int64
	// sessions that may be open at once; each keeps a connection.
	sessions int
}

func defaultLimits(memory int64, readers Readers) limits {
	return limits{
		adminQueries: 48, readerChairs: 64 + readers.Concurrency,
		slotWait:   10 * time.Second,
		readerTime: readers.Time, readerMemory: readers.share(),
		sqlBytes:  1 << 20,
		bodyBytes: 4 << 30,
		// The engine holds such a result twice, as columns and as text.
		resultBytes: memory / 4,
		sessions:    64,
	}
}

// Engine is an open ClickHouse engine. Its methods may be called from any goroutine.
type Engine struct {
	lib    *library     // immutable
	log    *slog.Logger // immutable
	cfg    Config       // immutable, with defaults filled in
	limits limits       // immutable after Open, except in tests
	dir    string       // immutable: absolute

	// keeper holds the engine open between requests and kills abandoned queries. Immutable until Close.
	keeper *conn

	version, timezone string // immutable

	// Counting semaphores: how many may run at once, and how many readers may be inside.
	adminSlots, readerSlots, readerChairs chan struct{}

	sessions sessions
	pool     pool

	// stopped is cancelled by Close and ends every running request.
	stopped context.Context
	stop    context.CancelCauseFunc

	mu struct {
		sync.Mutex
		closing bool
	}
	running sync.WaitGroup // requests between begin and end; grows only while !mu.closing
}

var errClosed = errors.New("the embedded ClickHouse engine is closed")

// Open starts the engine on cfg.Dir. It takes some tenths of a second, several seconds when the library is not in
// the page cache. The context bounds nothing but the wait: the engine runs until Close.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open embedded ClickHouse: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.AdminPassword == "" {
		cfg.AdminPassword = rand.Text()
	}
	if cfg.MaxMemoryBytes == 0 {
		cfg.MaxMemoryBytes = defaultMemoryBytes(memoryBytes())
	}
	var err error
	if cfg.Readers, err = cfg.Readers.withDefaults(cfg.MaxMemoryBytes); err != nil {
		return nil, fmt.Errorf("open embedded ClickHouse: clickhouse.readers: %w", err)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open embedded ClickHouse: %w", err)
	}
	lib, err := load(cfg.Library)
	if err != nil {
		return nil, fmt.Errorf("open embedded ClickHouse: %w", err)
	}
	e, err := start(lib, cfg, dir)
	if err != nil {
		return nil, fmt.Errorf("open embedded ClickHouse in %s: %w", dir, err)
	}
	e.log.Info("embedded clickhouse open", "dir", dir, "version", e.version, "memory_limit_bytes", cfg.MaxMemoryBytes,
		"readers_at_once", cfg.Readers.Concurrency, "readers_memory_bytes", cfg.Readers.MemoryBytes)
	return e, nil
}

func start(lib *library, cfg Config, dir string) (*Engine, error) {
	if holder, held := holderOf(dir); held {
		return nil, holder
	}
	config, err := writeConfig(dir, cfg.MaxMemoryBytes)
	if err != nil {
		return nil, err
	}
	keeper, err := connect(lib, "--path="+dir, "--config-file="+config, quietArg)
	if err != nil {
		if holder, held := holderOf(dir); held {
			return nil, holder
		}
		return nil, fmt.Errorf("%w: it writes the reason to standard error; a process can have one engine open at a time", err)
	}
	e := &Engine{lib: lib, log: cfg.Log, cfg: cfg, limits: defaultLimits(cfg.MaxMemoryBytes, cfg.Readers), dir: dir, keeper: keeper}
	e.adminSlots = make(chan struct{}, e.limits.adminQueries)
	e.readerSlots = make(chan struct{}, cfg.Readers.Concurrency)
	e.readerChairs = make(chan struct{}, e.limits.readerChairs)
	e.stopped, e.stop = context.WithCancelCause(context.Background())
	err = e.greet()
	if err == nil {
		err = e.pool.fill(poolConns, e.connect)
	}
	if err != nil {
		e.pool.closeAll()
		keeper.close()
		return nil, err
	}
	return e, nil
}

// greet learns what clients ask in their hello. It is also the proof that the engine answers.
func (e *Engine) greet() error {
	var err error
	if e.version, err = e.keeper.text("SELECT version()"); err != nil {
		return err
	}
	if e.timezone, err = e.keeper.text("SELECT timezone()"); err != nil {
		return err
	}
	e.version, e.timezone = trimLine(e.version), trimLine(e.timezone)
	return nil
}

func trimLine(s string) string {
	for len(s) > 0 && s[len(s)-1] == '\n' {
		s = s[:len(s)-1]
	}
	return s
}

// Version is the engine's version, such as 26.7.2.1.
func (e *Engine) Version() string { return e.version }

// begin counts a request in. It fails once Close has begun.
func (e *Engine) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.closing {
		return errClosed
	}
	e.running.Add(1)
	return nil
}

func (e *Engine) end() { e.running.Done() }

// Close ends every running request, waits for them and closes the engine. Afterwards the folder is free and
// another engine may be opened in this process. Handlers and clients answer with an error from then on.
// A second call does nothing.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.mu.closing {
		e.mu.Unlock()
		return nil
	}
	e.mu.closing = true
	e.mu.Unlock()

	e.stop(errClosed)
	e.running.Wait()
	e.sessions.closeAll()
	e.pool.closeAll()
	e.keeper.close()
	e.log.Info("embedded clickhouse closed", "dir", e.dir)
	return nil
}

// connect opens a session of the running engine. Its path is that of the keeper.
func (e *Engine) connect() (*conn, error) {
	return connect(e.lib, "--path="+e.dir, quietArg)
}
