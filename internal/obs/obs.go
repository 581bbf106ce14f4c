// Package obs is what an operator sees of a process: its log, its metrics, its
// health and its profiles.
package obs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bluetick/bluetick/internal/browserguard"
	"github.com/bluetick/bluetick/internal/terminal"
)

// NewLogger returns a log that writes to w in the level and format of c.
func NewLogger(w io.Writer, c LogConfig) (*slog.Logger, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	opts := &slog.HandlerOptions{Level: levels()[c.Level]}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(terminal.JSONWriter{W: w}, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}

// NewRegistry returns a registry with the Go runtime's and the process's own
// metrics.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Server answers /metrics, /healthz (the process lives), /readyz (it does its
// work) and /debug/pprof.
type Server struct {
	http     *http.Server
	listener net.Listener
	ready    atomic.Bool
	trouble  atomic.Pointer[string] // nil: none
	done     chan error             // capacity 1: what Serve returned
}

// Listen binds addr and serves until Stop, to the browsers that guard lets
// through and to programs.
func Listen(addr string, guard browserguard.Config, registry *prometheus.Registry, log *slog.Logger) (*Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics on %s: %w (another port: --metrics-listen, or metrics.listen in the file)", addr, err)
	}
	s := &Server{listener: listener, done: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError)}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		if why := s.trouble.Load(); why != nil {
			http.Error(w, "not ready: "+*why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	s.http = browserguard.Server(guard, mux, log)
	go func() { s.done <- s.http.Serve(listener) }()
	return s, nil
}

// Addr is the bound address.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// SetReady sets whether /readyz answers 200.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// SetTrouble makes /readyz answer 503 with the reason, until it is called with "".
func (s *Server) SetTrouble(why string) {
	if why == "" {
		s.trouble.Store(nil)
		return
	}
	s.trouble.Store(&why)
}

// Stop ends open requests within ctx and waits for the server.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
