package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// inside is the address that clients are told while there is no TCP port. It
// cannot be dialled: Broker.ClientOptions connects without it.
const inside = "embedded.invalid:1"

// maxConns bounds the TCP connections at once. A tool needs two or three.
const maxConns = 64

// listener hands kfake the connections of this process, which are pipes, and
// those of the TCP port, if there is one, each behind a guard.
type listener struct {
	name  advertised    // what clients are told; immutable
	tcp   net.Listener  // nil without a port; immutable
	guard *guard        // immutable after serve was called
	conns chan net.Conn // sent by Dial and the TCP goroutine, never closed; no room, so that none is left behind
	done  chan struct{} // closed by Close, once
	close func() error  // runs once
	open  atomic.Int32  // TCP connections
	tasks sync.WaitGroup
}

// newListener returns the listener of addr, or of this process alone when addr
// is empty. host is the name told to clients, empty for addr's own.
func newListener(addr, host string) (*listener, error) {
	l := &listener{name: inside, conns: make(chan net.Conn), done: make(chan struct{})}
	if addr != "" {
		var err error
		if l.tcp, l.name, err = bind(addr, host); err != nil {
			return nil, err
		}
	}
	l.close = sync.OnceValue(func() error {
		close(l.done)
		if l.tcp == nil {
			return nil
		}
		err := l.tcp.Close()
		l.tasks.Wait()
		return err
	})
	return l, nil
}

func bind(addr, host string) (net.Listener, advertised, error) {
	bindHost, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", fmt.Errorf("listen address %q is not host:port: %w", addr, err)
	}
	if host == "" {
		if everywhere(bindHost) {
			return nil, "", fmt.Errorf("listen address %q covers every interface: give the one address clients reach it by, or an advertised host", addr)
		}
		host = bindHost
	}
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, "", fmt.Errorf("kafka port %s is already in use: stop the program that holds it or choose another address (port 0 takes a free one): %w", port, err)
	case err != nil:
		return nil, "", fmt.Errorf("listen on %s: %w", addr, err)
	}
	_, port, _ = net.SplitHostPort(ln.Addr().String()) // a TCP address always splits
	return ln, advertised(net.JoinHostPort(host, port)), nil
}

func everywhere(host string) bool {
	if host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}

// once hands the listener to kfake, which asks for exactly one.
func (l *listener) once(string, string) (net.Listener, error) { return l, nil }

// serve lets TCP clients in; until then they wait.
func (l *listener) serve(g *guard) {
	if l.tcp == nil {
		return
	}
	l.guard = g
	l.tasks.Go(l.acceptTCP)
}

func (l *listener) acceptTCP() {
	for {
		conn, err := l.tcp.Accept()
		if err != nil {
			select {
			case <-l.done:
				return
			default:
			}
			// Too many open files and the like; it may work for the next client.
			l.guard.refused(slog.LevelError, "accept", err)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if l.open.Add(1) > maxConns {
			l.open.Add(-1)
			l.guard.refused(slog.LevelWarn, conn.RemoteAddr().String(), fmt.Errorf("more than %d connections at once", maxConns))
			_ = conn.Close() // it was never used
			continue
		}
		if !l.hand(context.Background(), newGuarded(conn, l.guard, func() { l.open.Add(-1) })) {
			return
		}
	}
}

// hand passes a connection to kfake and closes it when there is nobody to take it.
func (l *listener) hand(ctx context.Context, conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.done:
	case <-ctx.Done():
	}
	_ = conn.Close() // it was never used
	return false
}

// Dial connects this process to the broker.
func (l *listener) Dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	if l.hand(ctx, theirs) {
		return ours, nil
	}
	_ = ours.Close() // it was never used
	return nil, fmt.Errorf("embedded kafka: %w", errors.Join(syscall.ECONNREFUSED, ctx.Err()))
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error { return l.close() }

// Addr implements net.Listener with what clients are told.
func (l *listener) Addr() net.Addr { return l.name }

// advertised is a net.Addr whose host may be a name.
type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }
