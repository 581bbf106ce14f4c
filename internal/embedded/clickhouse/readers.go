package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Readers bounds what everybody but the administrator may take, all together. The zero value of a field means its
// default. It is the section `clickhouse.readers` of the operator's file.
type Readers struct {
	// Concurrency is how many of their queries run at once; 0 means 4, fewer where memory is short. The rest wait.
	Concurrency int `yaml:"queries"`
	// MemoryBytes is for all their running queries together, in equal shares; 0 means half of the engine's limit.
	MemoryBytes int64 `yaml:"memory_bytes"`
	// Time ends a query that takes longer, its wait included; 0 means 5 minutes.
	Time time.Duration `yaml:"time"`
}

// Validate reports every mistake at once, by its key. Whether there is so much memory is known when the engine opens.
func (r Readers) Validate() error {
	var errs []error
	if r.Concurrency < 0 || r.Concurrency > mostReaders {
		errs = append(errs, fmt.Errorf("queries: %d, want 1 to %d, or 0 for the default", r.Concurrency, mostReaders))
	}
	if r.MemoryBytes < 0 {
		errs = append(errs, fmt.Errorf("memory_bytes: %d, want more than 0, or 0 for the default", r.MemoryBytes))
	}
	if r.Time < 0 {
		errs = append(errs, fmt.Errorf("time: %s, want more than 0, or 0 for the default", r.Time))
	}
	return errors.Join(errs...)
}

const (
	defaultReaders = 4
	// mostReaders: each holds an OS thread, and engine threads of its own.
	mostReaders       = 256
	defaultReaderTime = 5 * time.Minute
	// minShare is the least memory with which an aggregation over the tables works: it spills at half of it.
	minShare = 64 << 20
	// readerThreads is the most threads that a query of readers may ask for: each may hold 4 MiB that the engine
	// has not counted yet.
	readerThreads = 16
)

// withDefaults fills in what is zero, for an engine with so much memory, and refuses what would leave the pipeline
// too little: an insert and a merge must find room whatever readers do.
func (r Readers) withDefaults(engine int64) (Readers, error) {
	if err := r.Validate(); err != nil {
		return Readers{}, err
	}
	most, chosen := engine/4*3, r.MemoryBytes != 0 || r.Concurrency != 0
	if r.MemoryBytes == 0 {
		r.MemoryBytes = engine / 2
	}
	if r.Concurrency == 0 {
		r.Concurrency = int(max(1, min(defaultReaders, r.MemoryBytes/minShare)))
	}
	if r.Time == 0 {
		r.Time = defaultReaderTime
	}
	if r.MemoryBytes > most {
		return Readers{}, fmt.Errorf("memory_bytes: %d, want at most %d, three quarters of the engine's: inserts and merges need the rest", r.MemoryBytes, most)
	}
	if chosen && r.share() < minShare {
		return Readers{}, fmt.Errorf("memory_bytes: %d for %d queries leave %d each, want at least %d: lower queries or raise memory_bytes", r.MemoryBytes, r.Concurrency, r.share(), minShare)
	}
	return r, nil
}

// share is what one query of a reader may use. Shares and not a common pot: the engine knows one user, the sink's
// and theirs, so it cannot count readers apart.
func (r Readers) share() int64 { return r.MemoryBytes / int64(r.Concurrency) }

// retryAfter tells a client that found no place when to ask again.
const retryAfter = "5"

// errSlowBody is the cause of the end of a request whose statement did not arrive.
var errSlowBody = errors.New("the statement did not arrive in time")

// enter lets a reader into the waiting room, which is bounded, and takes the whole statement off the line: who
// sends slowly holds a chair in the waiting room for some seconds, never a place among the running queries.
// Administrators pass.
func (e *Engine) enter(w http.ResponseWriter, r *http.Request, q *request) (leave func(), exc *exception) {
	if q.admin {
		return func() {}, nil
	}
	select {
	case e.readerChairs <- struct{}{}:
		leave = func() { <-e.readerChairs }
	default:
		return nil, raise(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many readers are waiting already. Maximum: %d", cap(e.readerChairs))
	}
	if r.Body == nil {
		return leave, nil
	}
	text, err := readInTime(w, r.Body, int64(e.limits.sqlBytes)+1, e.limits.slotWait)
	switch {
	case errors.Is(err, errSlowBody):
		exc = raise(codeTimeout, "TIMEOUT_EXCEEDED", "Timeout exceeded: the statement did not arrive within %s", e.limits.slotWait)
	case err != nil:
		exc = raise(codeQueryCancelled, "QUERY_WAS_CANCELLED", "Query was cancelled: %s", err)
	case len(text) > e.limits.sqlBytes:
		exc = e.tooLong()
	}
	if exc != nil {
		leave()
		return nil, exc
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	return leave, nil
}

// readInTime reads up to limit bytes. The wait for them ends by moving the connection's deadline into the past,
// after which the connection is of no more use.
func readInTime(w http.ResponseWriter, body io.Reader, limit int64, wait time.Duration) ([]byte, error) {
	timer := time.AfterFunc(wait, func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
	b, err := io.ReadAll(io.LimitReader(body, limit))
	if !timer.Stop() {
		return nil, errSlowBody
	}
	return b, err
}

// slot waits for the request's turn.
func (e *Engine) slot(ctx context.Context, q *request) (release func(), exc *exception) {
	slots := e.readerSlots
	if q.admin {
		slots = e.adminSlots
	}
	wait := time.NewTimer(e.limits.slotWait)
	defer wait.Stop()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, e.explain(ctx, context.Cause(ctx))
	case <-wait.C:
		return nil, raise(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries. Maximum: %d", cap(slots))
	}
}

// atMostThreads is a reader's max_threads within bounds. What is no number is for the engine to refuse.
func atMostThreads(value string) string {
	if n, err := strconv.ParseUint(value, 10, 64); err == nil && (n == 0 || n > readerThreads) {
		return strconv.Itoa(readerThreads)
	}
	return value
}
