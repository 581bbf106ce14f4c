// Package browserguard keeps web pages away from servers that are meant for the
// people and programs of this machine: SQL, metrics and profiles.
//
// Such a server answers without a password, because only this machine reaches
// it. A browser on this machine reaches it too, and a page of anybody may send it
// there: by a script or an image whose address is ours, by fetch, by a form, or
// by a name of its own that it lets point to 127.0.0.1 (DNS rebinding), after
// which the browser takes us for a part of that page. What gives these away is in
// headers that a page cannot forge:
//
//	B1  Host is localhost, an address, or a name that was configured. A rebound
//	    name is none of these.
//	B2  Sec-Fetch-Site, if there is one, says that the page is our own or that the
//	    user typed the address.
//	B3  Origin, if there is one, is our own.
//	B4  No answer may be read as another type than it says, or embedded in a page
//	    of others. This holds also for browsers that send none of these headers.
//
// B2 and B3 are waived for the origins that were configured. Programs (curl,
// Prometheus, drivers) send neither header.
package browserguard

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config says what is let through besides the rules. The zero value is the
// strictest.
type Config struct {
	// Hosts are names, without port, by which the server may be called.
	Hosts []string `yaml:"hosts"`
	// Origins are pages that may ask, such as https://grafana.example.org. They
	// may read the answers.
	Origins []string `yaml:"origins"`
}

// Validate reports every mistake at once.
func (c Config) Validate() error {
	var errs []error
	for _, h := range c.Hosts {
		if h == "" || strings.ContainsAny(h, ":/*@ ") {
			errs = append(errs, fmt.Errorf("hosts: %q is not a host name (without scheme and port)", h))
		}
	}
	for _, o := range c.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || o != u.Scheme+"://"+u.Host {
			errs = append(errs, fmt.Errorf("origins: %q is not an origin: write scheme://host:port and nothing after it", o))
		}
	}
	return errors.Join(errs...)
}

// New puts the rules before next.
func New(cfg Config, next http.Handler) http.Handler {
	g := &guard{hosts: map[string]bool{}, origins: map[string]bool{}, next: next}
	for _, h := range cfg.Hosts {
		g.hosts[strings.ToLower(strings.TrimSuffix(h, "."))] = true
	}
	for _, o := range cfg.Origins {
		g.origins[strings.ToLower(o)] = true
	}
	return g
}

// guard is immutable.
type guard struct {
	hosts, origins map[string]bool
	next           http.Handler
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if why := g.refuse(r); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	if origin := r.Header.Get("Origin"); g.origins[strings.ToLower(origin)] {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, POST")
			h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	g.next.ServeHTTP(w, r)
}

// refuse says why a request is not let through, with the remedy; empty if it is.
func (g *guard) refuse(r *http.Request) string {
	if !g.ours(r.Host) {
		return fmt.Sprintf("the name %.100q is not one this server answers to, so that no web page can reach it under a name of its own: use localhost or the address, or list the name in http.hosts (--http-hosts)", hostname(r.Host))
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 1 && g.origins[strings.ToLower(origins[0])] {
		return ""
	}
	for _, origin := range origins {
		if !sameHost(origin, r.Host) {
			return fmt.Sprintf("pages of %.100q may not ask this server: list the origin in http.origins to allow them", origin)
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "none" && site != "same-origin" {
			return "a browser sent this for a page of another origin: type the address, or list the page's origin in http.origins and let it use fetch"
		}
	}
	return ""
}

// ours says whether host, with or without a port, can only mean this machine or
// was configured. No host at all is a program that speaks HTTP/1.0: a browser
// always sends one.
func (g *guard) ours(host string) bool {
	if host == "" {
		return true
	}
	name := strings.ToLower(strings.TrimSuffix(hostname(host), "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || g.hosts[name] {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// hostname is host without port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// sameHost says whether an Origin is that of the server itself. "null", which a
// sandboxed page or a local file has, is not.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && host != "" && strings.EqualFold(u.Host, host)
}

// The time-outs of the servers behind the guard. A slow or silent client costs
// one connection for no longer than this; answers may take as long as they need.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// Server returns a server for handler, with the rules and the time-outs.
func Server(cfg Config, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: New(cfg, handler), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
}
