package kafka

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// listener is a TCP listener that names another host than the one it is bound
// to: kfake tells clients whatever Addr says.
type listener struct {
	net.Listener
	host string // what clients are told; immutable
}

// listen binds addr. host is the name told to clients, empty for addr's own.
func listen(addr, host string) (*listener, error) {
	bindHost, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %q is not host:port: %w", addr, err)
	}
	if host == "" {
		if everywhere(bindHost) {
			return nil, fmt.Errorf("listen address %q covers every interface: also give the host name clients reach it by (advertised host)", addr)
		}
		host = bindHost
	}
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("kafka port %s is already in use: stop the program that holds it or choose another address (port 0 takes a free one): %w", port, err)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return &listener{Listener: ln, host: host}, nil
}

func everywhere(host string) bool {
	if host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}

// once hands the bound listener to kfake, which asks for exactly one and would
// bind loopback by itself.
func (l *listener) once(string, string) (net.Listener, error) { return l, nil }

// Addr returns the advertised host with the bound port.
func (l *listener) Addr() net.Addr {
	_, port, _ := net.SplitHostPort(l.Listener.Addr().String()) // a TCP address always splits
	return advertised(net.JoinHostPort(l.host, port))
}

// local returns an address that reaches the listener from this machine,
// whatever name clients elsewhere are told.
func (l *listener) local() string {
	host, port, _ := net.SplitHostPort(l.Listener.Addr().String()) // a TCP address always splits
	if everywhere(host) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// advertised is a net.Addr whose host may be a name.
type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }
