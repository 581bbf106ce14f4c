package kafka

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// User is who logs in on the TCP port.
const User = "bluetick"

const (
	maxStranger   = 8 << 10          // bytes of a frame before the log-in: names and a password
	maxFrame      = 16 << 20         // bytes of a frame after it: three times the largest record
	loginLimit    = 10 * time.Second // for the whole log-in
	frameLimit    = 30 * time.Second // for one frame, from its first byte, and one answer
	idleLimit     = 10 * time.Minute // between two frames
	mechanism     = "PLAIN"
	apiVersions   = int16(kmsg.ApiVersions)
	saslHandshake = int16(kmsg.SASLHandshake)
	saslLogin     = int16(kmsg.SASLAuthenticate)
)

// guard stands between the TCP port and kfake, which trusts its clients: a
// request of an unknown kind ends the process there, and a length is allocated
// unchecked. What passes is a request of a kind and version that kfake has
// announced, not too long, that parses and comes from somebody who has logged in.
type guard struct {
	password string // immutable; empty: no log-in is asked for
	versions map[int16]kmsg.ApiVersionsResponseApiKey
	log      *slog.Logger
	count    atomic.Uint64 // refusals
}

// refused logs the 1st, 2nd, 4th, 8th … refusal, so that a client that tries all
// day does not fill the log.
func (g *guard) refused(level slog.Level, who string, err error) {
	if n := g.count.Add(1); n&(n-1) == 0 {
		g.log.Log(context.Background(), level, "kafka port closed a connection", "client", who, "err", err, "refused_so_far", n)
	}
}

// frame is a checked request.
type frame struct {
	key, version int16
	corr         int32
	request      kmsg.Request
}

// check parses the body of a frame, which follows the four bytes of length.
func (g *guard) check(body []byte) (f frame, err error) {
	defer func() {
		if r := recover(); r != nil { // a decoder that trips over foreign bytes costs this connection only
			err = fmt.Errorf("the request does not parse: %v", r)
		}
	}()
	r := kbin.Reader{Src: body}
	f.key, f.version, f.corr = r.Int16(), r.Int16(), r.Int32()
	_ = r.NullableString()
	if !r.Ok() {
		return f, errors.New("the header does not parse")
	}
	known, ok := g.versions[f.key]
	if !ok {
		return f, fmt.Errorf("unknown request %d", f.key)
	}
	// A version of ApiVersions that is too new has an answer of its own, which
	// tells the client what to use.
	if f.version < known.MinVersion || f.version > known.MaxVersion && f.key != apiVersions {
		return f, fmt.Errorf("request %d has no version %d", f.key, f.version)
	}
	if f.request = kmsg.RequestForKey(f.key); f.request == nil {
		return f, fmt.Errorf("unknown request %d", f.key)
	}
	f.request.SetVersion(f.version)
	if f.request.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if !r.Ok() {
		return f, errors.New("the header does not parse")
	}
	if err := f.request.ReadFrom(r.Src); err != nil {
		return f, fmt.Errorf("request %d version %d does not parse: %w", f.key, f.version, err)
	}
	return f, nil
}

// guarded is a TCP connection from which kfake reads checked frames only. One
// goroutine reads, another may write.
type guarded struct {
	net.Conn
	guard   *guard
	limit   *time.Timer // closes the connection when it fires
	release func()      // runs once, at Close
	known   bool        // logged in; owned by the reader
	named   bool        // has named the mechanism; owned by the reader
	rest    []byte      // of the frame that kfake is reading; owned by the reader
}

func newGuarded(conn net.Conn, g *guard, release func()) *guarded {
	c := &guarded{Conn: conn, guard: g, release: sync.OnceFunc(release), known: g.password == ""}
	c.limit = time.AfterFunc(loginLimit, c.cut)
	return c
}

// cut ends the connection; whoever reads or writes it notices.
func (c *guarded) cut() { _ = c.Conn.Close() } // nobody is left to be told of an error

// Close implements net.Conn.
func (c *guarded) Close() error {
	c.limit.Stop()
	c.release()
	return c.Conn.Close()
}

// Read gives kfake whole frames, in as many pieces as it likes.
func (c *guarded) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if err := c.next(); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				c.guard.refused(slog.LevelWarn, c.RemoteAddr().String(), err)
			}
			return 0, io.EOF
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write implements net.Conn with a limit: a client that does not read is cut off.
func (c *guarded) Write(p []byte) (int, error) {
	defer time.AfterFunc(frameLimit, c.cut).Stop()
	return c.Conn.Write(p)
}

// next reads a frame: into rest if it is for kfake, else it answers it.
func (c *guarded) next() error {
	raw, err := c.readFrame()
	if err != nil {
		return err
	}
	f, err := c.guard.check(raw[4:])
	if err != nil {
		return err
	}
	switch req := f.request.(type) {
	case *kmsg.SASLHandshakeRequest:
		return c.handshake(f, req)
	case *kmsg.SASLAuthenticateRequest:
		return c.login(f, req)
	}
	if !c.known && f.key != apiVersions {
		return fmt.Errorf("request %d before the log-in (SASL %s, user %s, the password is in run.json)", f.key, mechanism, User)
	}
	c.rest = raw
	return nil
}

// readFrame reads a frame with its length. Memory grows with what has come, not
// with what was announced.
func (c *guarded) readFrame() ([]byte, error) {
	limit := uint32(maxStranger)
	if c.known {
		limit = maxFrame
		c.limit.Reset(idleLimit)
	}
	var head [4]byte
	if n, err := io.ReadFull(c.Conn, head[:]); err != nil {
		if n == 0 && c.known {
			return nil, io.EOF // gone, or idle for too long
		}
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > limit {
		return nil, fmt.Errorf("a request of %d bytes, at most %d are taken", size, limit)
	}
	if c.known {
		c.limit.Reset(frameLimit)
	}
	const step = 64 << 10
	raw := append(make([]byte, 0, 4+min(size, step)), head[:]...)
	for left := int(size); left > 0; {
		n := min(left, step)
		raw = append(raw, make([]byte, n)...)
		if _, err := io.ReadFull(c.Conn, raw[len(raw)-n:]); err != nil {
			return nil, fmt.Errorf("a request breaks off, %d bytes before its end: %w", left, err)
		}
		left -= n
	}
	if c.known {
		c.limit.Reset(idleLimit) // the answer may take its time
	}
	return raw, nil
}

func (c *guarded) handshake(f frame, req *kmsg.SASLHandshakeRequest) error {
	if f.version == 0 {
		return errors.New("SASL handshake of version 0, whose log-in has no frame: want version 1")
	}
	resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
	resp.SupportedMechanisms = []string{mechanism}
	c.named = req.Mechanism == mechanism
	if !c.named {
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
	}
	return c.answer(f, resp)
}

func (c *guarded) login(f frame, req *kmsg.SASLAuthenticateRequest) error {
	resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
	want := []byte("\x00" + User + "\x00" + c.guard.password)
	if c.guard.password == "" || c.named && subtle.ConstantTimeCompare(req.SASLAuthBytes, want) == 1 {
		c.known = true
		return c.answer(f, resp)
	}
	why := "wrong user or password: user " + User + ", the password is in run.json"
	resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, &why
	return errors.Join(errors.New("log-in with a wrong user or password"), c.answer(f, resp))
}

func (c *guarded) answer(f frame, resp kmsg.Response) error {
	b := binary.BigEndian.AppendUint32(make([]byte, 4, 64), uint32(f.corr))
	if resp.IsFlexible() {
		b = append(b, 0) // no tags
	}
	b = resp.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := c.Write(b)
	return err
}
