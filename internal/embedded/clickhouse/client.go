package clickhouse

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
)

// ClientOptions returns options with which clickhouse-go reaches the engine inside the process, without a socket,
// as AdminUser. database may be empty (default); it need not exist yet, but every statement fails until it does.
// The caller may change the options before it opens a client with them; it closes its clients before the engine.
func (e *Engine) ClientOptions(database string) *clickhousego.Options {
	return &clickhousego.Options{
		Protocol: clickhousego.HTTP,
		Addr:     []string{"embedded.invalid:80"}, // never dialled
		Auth:     clickhousego.Auth{Database: database, Username: AdminUser, Password: e.cfg.AdminPassword},
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) {
			return transport{e}, nil
		},
	}
}

// transport hands requests to the handler in a goroutine each. The engine waits for them in Close.
type transport struct{ engine *Engine }

// RoundTrip implements http.RoundTripper. It returns when the handler has decided on its headers or the request's
// context ends; the handler's query is then killed in the background.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.engine.begin(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as the interface demands of every return
		}
		return nil, err
	}
	ctx, cancel := context.WithCancel(r.Context())
	reader, writer := io.Pipe()
	p := &pipeResponse{body: writer, ready: make(chan struct{}), header: http.Header{}}
	server := r.Clone(ctx)
	if server.Body == nil {
		server.Body = http.NoBody
	}
	p.request = server.Body
	go func() {
		defer t.engine.end()
		defer cancel()
		// A client that gives up must not leave the handler waiting for it to send or to read.
		defer context.AfterFunc(ctx, func() {
			_ = server.Body.Close()
			_ = reader.CloseWithError(context.Cause(ctx))
		})()
		t.engine.serve(p, server)
		p.WriteHeader(http.StatusOK) // if the handler wrote nothing
		_ = server.Body.Close()
		_ = writer.Close()
	}()
	select {
	case <-p.ready:
	case <-ctx.Done():
		select {
		case <-p.ready: // the handler finished first
		default:
			return nil, context.Cause(ctx)
		}
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", p.status, http.StatusText(p.status)),
		StatusCode:    p.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        p.sent,
		ContentLength: contentLength(p.sent),
		Body:          &responseBody{PipeReader: reader, cancel: cancel},
		Request:       r,
	}, nil
}

func contentLength(h http.Header) int64 {
	n := int64(-1)
	if v := h.Get("Content-Length"); v != "" {
		if _, err := fmt.Sscan(v, &n); err != nil {
			return -1
		}
	}
	return n
}

// responseBody ends the request when its reader loses interest.
type responseBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *responseBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// pipeResponse is the handler's side of a response. header belongs to the handler, sent and status to the client
// once ready is closed.
type pipeResponse struct {
	request io.Closer // the request's body
	body    *io.PipeWriter
	header  http.Header

	once   sync.Once
	ready  chan struct{} // closed with the status
	status int
	sent   http.Header
}

func (p *pipeResponse) Header() http.Header { return p.header }

func (p *pipeResponse) WriteHeader(status int) {
	p.once.Do(func() {
		p.status, p.sent = status, p.header.Clone()
		close(p.ready)
	})
}

func (p *pipeResponse) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.body.Write(b)
}

// SetReadDeadline is for http.ResponseController: the handler only ever sets deadlines that have passed.
func (p *pipeResponse) SetReadDeadline(time.Time) error { return p.request.Close() }

// SetWriteDeadline is like SetReadDeadline.
func (p *pipeResponse) SetWriteDeadline(time.Time) error {
	return p.body.CloseWithError(context.DeadlineExceeded)
}
