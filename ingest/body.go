package ingest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// firstRead is how much room a body gets before it has sent a byte, and how
// large the buffers are that are used again.
const firstRead = 16 << 10

// read is the body, or why it is not taken. Only a declared length that is too
// large is believed; memory is taken as the bytes come. done gives the buffer
// back: the body is valid until then.
func (s *Server) read(w http.ResponseWriter, r *http.Request, g *guest) (body []byte, done func(), reason Reason) {
	done = func() {}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, done, EncodingUnknown
	}
	if r.ContentLength > s.config.MaxBodyBytes {
		return nil, done, BodyTooLarge
	}
	if !g.take(firstRead) {
		return nil, done, Overloaded
	}
	first, ok := s.bodies.Get().(*[firstRead]byte)
	if !ok {
		first = new([firstRead]byte)
	}
	done = func() { s.bodies.Put(first) }
	body = first[:0]
	// One more than there can be, so that the end is found without growing.
	most := s.config.MaxBodyBytes + 1
	if r.ContentLength >= 0 {
		most = r.ContentLength + 1
	}
	in := http.MaxBytesReader(w, r.Body, s.config.MaxBodyBytes)
	for {
		if len(body) == cap(body) {
			if body, ok = g.grow(body, most); !ok {
				return nil, done, Overloaded
			}
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		g.got.Add(int64(n))
		switch {
		case err == io.EOF && g.stay():
			return body, done, Accepted
		case err == io.EOF || err != nil && g.sentAway():
			return nil, done, Overloaded
		case err != nil:
			return nil, done, unread(err)
		}
	}
}

// unread is why a body that is not there as a whole is refused.
func unread(err error) Reason {
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &tooLarge):
		return BodyTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		return BodyTimeout
	default:
		return BodyUnreadable
	}
}

// grow returns body with twice the room, but no more than most; false if there
// is none.
func (g *guest) grow(body []byte, most int64) ([]byte, bool) {
	was := int64(cap(body))
	room := max(min(2*was, most), was+1)
	if !g.take(room) {
		return nil, false
	}
	larger := make([]byte, len(body), room)
	copy(larger, body)
	if was > firstRead { // the first buffer stays until the body is done with
		g.give(was)
	}
	return larger, true
}

// cutter ends the reading of a request's body at once: its Read returns a timeout.
func cutter(w http.ResponseWriter) func() {
	c := http.NewResponseController(w)
	// Where there is no deadline to set, as in a test without a connection, there is
	// nobody to wait for.
	return func() { _ = c.SetReadDeadline(time.Unix(1, 0)) }
}
