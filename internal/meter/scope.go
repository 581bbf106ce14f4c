// Package meter ties the life of metrics to the life of what they measure: a
// stage or a partition registers them when it opens and removes them when it
// closes, so that it can be opened again in the same process.
package meter

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Scope holds what one owner has registered. A nil Scope registers nowhere and
// is what a fold gets in most tests. A Scope may be used from any goroutine.
type Scope struct {
	to prometheus.Registerer // immutable after NewScope
	mu struct {
		sync.Mutex
		held []*shared
		errs []error
	}
}

// NewScope returns a Scope that registers with r; nil for a nil r.
func NewScope(r prometheus.Registerer) *Scope {
	if r == nil {
		return nil
	}
	return &Scope{to: r}
}

// shared is a registered collector with the number of Scopes that use it: two
// partitions of a stage may count into one series, which stays until the last of
// them has closed. The count is kept in the registry, where every Scope finds it.
type shared struct {
	prometheus.Collector
	mu struct {
		sync.Mutex
		users int // 0 once it has left the registry
	}
}

// Register adds c to the scope and returns what to use in its place: c, or the
// collector that another scope has registered for the same series. What cannot
// be registered is returned as it is, and Err returns why.
func Register[C prometheus.Collector](s *Scope, c C) C {
	if s == nil {
		return c
	}
	used, err := register(s, c)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.errs = append(s.mu.errs, fmt.Errorf("register metrics: %w", err))
		return c
	}
	return used
}

// Err is what could not be registered since the scope was made or closed.
func (s *Scope) Err() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.mu.errs...)
}

func register[C prometheus.Collector](s *Scope, c C) (C, error) {
	for {
		own := &shared{Collector: c}
		own.mu.users = 1
		err := s.to.Register(own)
		if err == nil {
			s.hold(own)
			return c, nil
		}
		var there prometheus.AlreadyRegisteredError
		if !errors.As(err, &there) {
			return c, err
		}
		old, ok := there.ExistingCollector.(*shared)
		if !ok {
			return c, fmt.Errorf("%w: not by a scope, so nobody would take it away", err)
		}
		have, ok := old.Collector.(C)
		if !ok {
			return c, fmt.Errorf("%w: as %T, not %T", err, old.Collector, c)
		}
		if old.join() {
			s.hold(old)
			return have, nil
		}
		// It left the registry between the two calls: this one can register now.
	}
}

func (s *Scope) hold(c *shared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.held = append(s.mu.held, c)
}

// join adds a user; false if the last one has already left.
func (c *shared) join() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.users == 0 {
		return false
	}
	c.mu.users++
	return true
}

// leave removes a user, and with the last one the series.
func (c *shared) leave(r prometheus.Registerer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.users--; c.mu.users == 0 {
		r.Unregister(c)
	}
}

// Close removes what was registered, except what another scope still uses.
// The scope can be used again.
func (s *Scope) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.held {
		c.leave(s.to)
	}
	s.mu.held, s.mu.errs = nil, nil
}
