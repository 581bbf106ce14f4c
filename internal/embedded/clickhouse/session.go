package clickhouse

import (
	"sync"
	"time"
)

// sessions keeps the connections of requests that name a session. Only the administrator has sessions.
// The zero value is ready.
type sessions struct {
	mu struct {
		sync.Mutex
		byID map[string]*session
	}
}

// session is a kept connection. busy and expiry are guarded by sessions.mu, conn is used by whoever made it busy.
type session struct {
	conn   *conn
	busy   bool
	expiry *time.Timer
}

// take gives the session of q, opened if need be, to one request; a second request at the same time is refused,
// as a server does.
func (s *sessions) take(q *request, limit int, open func() (*conn, error)) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, ok := s.mu.byID[q.sessionID]
	switch {
	case ok && held.busy:
		return nil, raise(codeSessionLocked, "SESSION_IS_LOCKED", "Session %s is locked by a concurrent client", q.sessionID)
	case ok:
		held.expiry.Stop()
		held.busy = true
		return held, nil
	case q.sessionCheck:
		return nil, raise(codeNoSession, "SESSION_NOT_FOUND", "Session %s not found", q.sessionID)
	case len(s.mu.byID) >= limit:
		return nil, raise(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many sessions: %d are open", limit)
	}
	c, err := open()
	if err != nil {
		return nil, err
	}
	if s.mu.byID == nil {
		s.mu.byID = map[string]*session{}
	}
	held = &session{conn: c, busy: true}
	s.mu.byID[q.sessionID] = held
	return held, nil
}

// release lets the session rest until its next request or its timeout.
func (s *sessions) release(q *request, held *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held.busy = false
	held.expiry = time.AfterFunc(q.sessionTimeout, func() { s.expire(q.sessionID, held) })
}

// expire closes a session that is still at rest. It holds the mutex, so that closeAll comes before or after it.
func (s *sessions) expire(id string, held *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held.busy || s.mu.byID[id] != held {
		return
	}
	delete(s.mu.byID, id)
	held.conn.close()
}

// closeAll is for the end, when no request runs.
func (s *sessions) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, held := range s.mu.byID {
		held.expiry.Stop()
		held.conn.close()
	}
	s.mu.byID = nil
}
