package clickhouse

import (
	"slices"
	"strings"
	"sync"
)

// poolConns is how many connections of the pipeline stay open between requests: the sink has five writers. They are
// opened with the engine, because a connection costs memory, and the moment without any is when one is needed.
const poolConns = 8

// pool keeps connections for statements of the administrator that leave nothing behind: inserts and queries. The
// next user of one first undoes what the URL of the one before had set. The zero value is empty and ready.
type pool struct {
	mu struct {
		sync.Mutex
		idle   []*pooled
		closed bool
	}
}

// pooled is a connection with the names of the settings that its last request has set. It belongs to whoever took it.
type pooled struct {
	*conn
	set []string
}

// fill opens connections until there are n at rest.
func (p *pool) fill(n int, open func() (*conn, error)) error {
	for range n {
		c, err := open()
		if err != nil {
			return err
		}
		p.put(&pooled{conn: c})
	}
	return nil
}

// take gives a connection at rest, or a new one where there is none.
func (p *pool) take(open func() (*conn, error)) (*pooled, error) {
	p.mu.Lock()
	if n := len(p.mu.idle); n > 0 {
		c := p.mu.idle[n-1]
		p.mu.idle = p.mu.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	c, err := open()
	if err != nil {
		return nil, err
	}
	return &pooled{conn: c}, nil
}

// put takes a connection back, or closes it where there are enough.
func (p *pool) put(c *pooled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed || len(p.mu.idle) >= poolConns {
		c.close()
		return
	}
	p.mu.idle = append(p.mu.idle, c)
}

// closeAll is for the end, when no request runs.
func (p *pool) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.closed = true
	for _, c := range p.mu.idle {
		c.close()
	}
	p.mu.idle = nil
}

// renew makes a connection as good as new for a request: what the one before it had set, and this one does not set
// itself, is back at its default, and so is the database.
func (c *pooled) renew(q *request) error {
	names := make([]string, 0, len(q.settings))
	for _, s := range q.settings {
		names = append(names, s.name)
	}
	var reset []string
	for _, name := range c.set {
		if !slices.Contains(names, name) {
			reset = append(reset, name+" = DEFAULT")
		}
	}
	if len(reset) > 0 {
		if err := c.exec("SET " + strings.Join(reset, ", ")); err != nil {
			return err
		}
	}
	c.set = names
	if q.database == "" {
		return c.exec("USE default")
	}
	return nil
}
