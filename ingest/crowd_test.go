package ingest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pipes is a listener in memory, so that a test may use a clock of its own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// crowded is a door in memory. Call it, and all else, in a bubble of synctest.
type crowded struct {
	*door
	pipes *pipes
}

func crowd(t *testing.T, c Config, p Producer) *crowded {
	t.Helper()
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	d := &door{log: &syncBuffer{}, registry: prometheus.NewRegistry(), client: &http.Client{Transport: &http.Transport{DialContext: l.dial}}}
	s, err := New(c, Deps{Log: slog.New(slog.NewTextHandler(d.log, nil)), Now: time.Now, Producer: p, Providers: testProviders(), Registerer: d.registry})
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
	s.serve(l)
	t.Cleanup(func() {
		d.client.CloseIdleConnections()
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
		if held := s.room.mu.held; held != 0 {
			t.Errorf("%d bytes are held for ever", held)
		}
	})
	return &crowded{d, l}
}

// client is one that does not behave. What it is answered comes on answer: the
// status line, or why there is none.
type client struct {
	conn   net.Conn
	answer chan string
}

// send writes the header of a post, which ends with the lines given, and then
// body. The connection stays open until the door closes it.
func (c *crowded) send(t *testing.T, lines, body string) *client {
	t.Helper()
	conn, err := c.pipes.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	bad := &client{conn: conn, answer: make(chan string, 1)}
	go func() {
		defer conn.Close()
		r := bufio.NewReader(conn)
		line, err := r.ReadString('\n')
		if err != nil {
			bad.answer <- err.Error()
			return
		}
		bad.answer <- strings.TrimSpace(line)
		_, _ = io.Copy(io.Discard, r) // until it is closed
	}()
	bad.write(t, "POST /v1/webhooks/meta/main HTTP/1.1\r\nHost: x\r\n"+lines+"\r\n"+body)
	return bad
}

func (b *client) write(t *testing.T, s string) {
	t.Helper()
	if _, err := io.WriteString(b.conn, s); err != nil {
		t.Errorf("write: %v", err)
	}
}

// forged is a signature of the right form that nobody's secret made.
const forged = "X-Hub-Signature-256: sha256=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\r\n"

func length(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }

// answers are those that the clients got so far, each once, sorted.
func answers(clients []*client) []string {
	var got []string
	for _, c := range clients {
		answer := "none"
		select {
		case answer = <-c.answer:
			c.answer <- answer
		default:
		}
		got = append(got, answer)
	}
	slices.Sort(got)
	return slices.Compact(got)
}

// TestSlowCrowd: as many clients as there are slots, that send slowly or not at
// all. A real webhook is answered at once, and they are told to go: without a
// signature at once, with a forged one when they are slower than the least rate.
func TestSlowCrowd(t *testing.T) {
	const (
		none         = "none"
		unauthorized = "HTTP/1.1 401 Unauthorized"
		timeout      = "HTTP/1.1 408 Request Timeout"
		unavailable  = "HTTP/1.1 503 Service Unavailable"
	)
	all := Default().MaxConcurrent
	large := forged + length(4<<20)
	for _, c := range []struct {
		name, lines, body string
		trickle           string // what each sends every second
		first, end        string // the answers at once, and after some seconds
		after             time.Duration
	}{
		{"unsigned", length(1000), "{", "", unauthorized, unauthorized, 0},
		{"unsigned, without a length", "Transfer-Encoding: chunked\r\n", "1\r\n{\r\n", "", unauthorized, unauthorized, 0},
		{"malformed signature", "X-Hub-Signature-256: sha256=00\r\n" + length(1000), "{", "", unauthorized, unauthorized, 0},
		{"forged, silent", forged + length(1000), "", "", none, timeout, bodyGrace},
		{"forged, a byte a second", forged + length(1000), "{", " ", none, timeout, bodyGrace},
		{"forged, no length, slow", forged + "Transfer-Encoding: chunked\r\n", "1\r\n{\r\n", "1\r\n \r\n", none, timeout, bodyGrace},
		{"forged, as slow as allowed", large, strings.Repeat(" ", 64<<10), strings.Repeat(" ", 64<<10), none, timeout + "," + unavailable, Default().ReadTimeout},
		{"forged, all memory", large, strings.Repeat(" ", 1<<20), "", unavailable + "," + none, timeout + "," + unavailable, Default().ReadTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := crowd(t, testConfig(), accepting{})
				var clients []*client
				for range all {
					clients = append(clients, d.send(t, c.lines, c.body))
				}
				synctest.Wait()
				if got := answers(clients); strings.Join(got, ",") != c.first {
					t.Errorf("answered at once: %v, want %v", got, c.first)
				}
				if got := d.post(t, statuses(3)); got.status != 200 {
					t.Errorf("a real webhook beside them: %d %q", got.status, got.text)
				}
				for range c.after / time.Second {
					<-time.After(time.Second)
					for _, bad := range clients {
						if c.trickle != "" && len(bad.answer) == 0 {
							_, _ = io.WriteString(bad.conn, c.trickle) // it may just have been cut off
						}
					}
					synctest.Wait()
					if got := d.post(t, statuses(3)); got.status != 200 {
						t.Errorf("a real webhook beside them: %d %q", got.status, got.text)
					}
				}
				if got := answers(clients); strings.Join(got, ",") != c.end {
					t.Errorf("answered after %s: %v, want %v", c.after, got, c.end)
				}
			})
		})
	}
}

// TestSlowButSteady: a large authentic body that comes over a slow line is taken,
// as long as it comes.
func TestSlowButSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := crowd(t, testConfig(), accepting{})
		body := append(statuses(1), bytes.Repeat([]byte(" "), 900<<10)...)
		slow := d.send(t, "X-Hub-Signature-256: "+signature(testSecret, body).Get("X-Hub-Signature-256")+"\r\n"+length(len(body)), "")
		for part := 0; part < len(body); part += 80 << 10 {
			slow.write(t, string(body[part:min(part+80<<10, len(body))]))
			<-time.After(time.Second)
		}
		if got := <-slow.answer; got != "HTTP/1.1 200 OK" {
			t.Errorf("got %s", got)
		}
		slow.conn.Close()
	})
}

// TestRoomForWholeBodies: what is there as a whole is not asked to go, and who
// finds no room then gets 503.
func TestRoomForWholeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.MaxBytesInFlight = 10 << 20 // of which a third body would need the 2 MiB it grows from
		p := newFakeProducer()
		d := crowd(t, c, p)
		large := append(statuses(1), bytes.Repeat([]byte(" "), 3<<20)...)
		answered := make(chan response, 3)
		for range 2 {
			go func() { answered <- d.post(t, large) }()
			<-p.calls
		}
		synctest.Wait()
		held := d.room.mu.held
		if held < 2*int64(len(large)) || held > c.MaxBytesInFlight {
			t.Errorf("%d bytes are held by two bodies of %d, most %d", held, len(large), c.MaxBytesInFlight)
		}
		if got := d.post(t, large); got.status != 503 || got.text != "overloaded\n" || got.header.Get("Retry-After") != "1" {
			t.Errorf("a third: %d %q", got.status, got.text)
		}
		for range 3 {
			p.answer <- nil
		}
		for range 2 {
			if got := <-answered; got.status != 200 {
				t.Errorf("got %d", got.status)
			}
		}
		if got := d.post(t, large); got.status != 200 {
			t.Errorf("after them: %d", got.status)
		}
		<-p.calls
	})
}
