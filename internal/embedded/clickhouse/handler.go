package clickhouse

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// displayName is the server's name as clients see it.
const displayName = "bluetick embedded"

// errReaderTime is the cause of the end of a reader's query that ran too long.
var errReaderTime = errors.New("the time limit of readers")

// Handler returns ClickHouse's HTTP interface to the engine. AdminUser writes, everybody else reads. It may be
// served by any http.Server; stop that server before Close, or its clients see errors.
func (e *Engine) Handler() http.Handler {
	return http.HandlerFunc(e.serve)
}

func (e *Engine) serve(w http.ResponseWriter, r *http.Request) {
	if err := e.begin(); err != nil {
		e.newOutput(w, nil).fail(raise(codeAborted, "ABORTED", "%s", err))
		return
	}
	defer e.end()
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "only GET and POST are available", http.StatusMethodNotAllowed)
	case r.URL.Path == "/ping", r.URL.Path == "/replicas_status",
		r.Method == http.MethodGet && strings.Trim(r.URL.Path, "/") == "" && r.URL.RawQuery == "":
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		_, _ = io.WriteString(w, "Ok.\n")
	case r.URL.Path == "/", r.URL.Path == "", r.URL.Path == "/query":
		e.serveQuery(w, r)
	default:
		http.Error(w, "There is no handle "+r.URL.Path+"\nUse / or /ping for health checks.", http.StatusNotFound)
	}
}

func (e *Engine) serveQuery(w http.ResponseWriter, r *http.Request) {
	q, exc := e.parseRequest(r)
	out := e.newOutput(w, q)
	if exc != nil {
		out.fail(exc)
		return
	}
	leave, exc := e.enter(w, r, q)
	if exc != nil {
		out.fail(exc)
		return
	}
	defer leave()
	ctx, cancel := e.lifetime(r.Context(), q)
	defer cancel()
	release, exc := e.slot(ctx, q)
	if exc != nil {
		out.fail(exc)
		return
	}
	defer release()
	defer unblock(ctx, w)()

	if err := e.run(ctx, r, q, out); err != nil {
		exc := e.explain(ctx, err)
		e.log.Debug("query failed", "query_id", q.id, "code", exc.code)
		out.fail(exc)
		return
	}
	out.finish()
}

// unblockGrace is the time a client has to take the error after its request's context has ended.
const unblockGrace = time.Second

// unblock keeps a client that neither sends, nor reads, nor leaves from holding its request past the end of ctx.
// The function it returns must be called when the request has ended.
func unblock(ctx context.Context, w http.ResponseWriter) func() {
	ended, done := make(chan struct{}), make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(done)
		grace := time.NewTimer(unblockGrace)
		defer grace.Stop()
		select {
		case <-ended:
		case <-grace.C:
			past := time.Unix(1, 0)
			// A ResponseWriter without deadlines has no socket that could block for long.
			_ = http.NewResponseController(w).SetReadDeadline(past)
			_ = http.NewResponseController(w).SetWriteDeadline(past)
		}
	})
	return func() {
		close(ended)
		if !unhook() {
			<-done
		}
	}
}

// lifetime is the context of one request: it ends with the client's, with the engine and, for readers, in time.
func (e *Engine) lifetime(parent context.Context, q *request) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	unhook := context.AfterFunc(e.stopped, func() { cancel(context.Cause(e.stopped)) })
	var timer *time.Timer
	if !q.admin {
		timer = time.AfterFunc(e.limits.readerTime, func() { cancel(errReaderTime) })
	}
	return ctx, func() {
		unhook()
		if timer != nil {
			timer.Stop()
		}
		cancel(nil)
	}
}

// explain returns why a request ended, which a killed query itself cannot know.
func (e *Engine) explain(ctx context.Context, err error) *exception {
	switch cause := context.Cause(ctx); {
	case cause == nil:
	case errors.Is(cause, errReaderTime):
		return raise(codeTimeout, "TIMEOUT_EXCEEDED", "Timeout exceeded: readers' queries may take %s", e.limits.readerTime)
	case errors.Is(cause, errClosed):
		return raise(codeAborted, "ABORTED", "%s", errClosed)
	default:
		return raise(codeQueryCancelled, "QUERY_WAS_CANCELLED", "Query was cancelled: %s", cause)
	}
	return asException(err)
}
