package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// poison ends kfake without the guard: the unknown request 999.
const poison = "\x00\x00\x00\x08\x03\xe7\x00\x00\x00\x00\x00\x01"

func encoded(req kmsg.Request) string {
	return string(kmsg.NewRequestFormatter(kmsg.FormatterClientID("x")).AppendRequest(nil, req, 7))
}

func versioned(req kmsg.Request, v int16) kmsg.Request {
	req.SetVersion(v)
	return req
}

// TestBadFramesCostOneConnection sends what is not a valid request, with and
// without a log-in before it: the connection ends, the broker does not.
func TestBadFramesCostOneConnection(t *testing.T) {
	metadata := encoded(versioned(kmsg.NewPtrMetadataRequest(), 9))
	frames := map[string]string{
		"unknown key":           poison,
		"negative key":          "\x00\x00\x00\x08\xff\xff\x00\x00\x00\x00\x00\x01",
		"unknown version":       encoded(versioned(kmsg.NewPtrMetadataRequest(), 99)),
		"negative version":      "\x00\x00\x00\x0a\x00\x03\xff\xff\x00\x00\x00\x01\xff\xff",
		"nothing inside":        "\x00\x00\x00\x00",
		"half a header":         "\x00\x00\x00\x05\x00\x03\x00\x09\x00",
		"4 GB":                  "\xff\xff\xff\xff\x00\x03",
		"2 GB":                  "\x7f\xff\xff\xff\x00\x03",
		"one byte too long":     string(binary.BigEndian.AppendUint32(nil, maxFrame+1)) + "\x00\x03",
		"body cut short":        string(binary.BigEndian.AppendUint32(nil, uint32(len(metadata)-6))) + metadata[4:len(metadata)-2],
		"junk":                  strings.Repeat("\xa5\x3c\x00\x11", 64),
		"a browser":             "POST / HTTP/1.1\r\nHost: 127.0.0.1:9092\r\nContent-Length: 12\r\n\r\n" + poison,
		"TLS":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"client id of 32 KB":    "\x00\x00\x00\x0a\x00\x03\x00\x09\x00\x00\x00\x01\x7f\xff",
		"a million array items": "\x00\x00\x00\x0e\x00\x03\x00\x00\x00\x00\x00\x01\xff\xff\x00\x0f\x42\x40",
	}
	for _, password := range []string{"", "secret"} {
		b := open(t, Config{Dir: t.TempDir(), Password: password})
		for name, frame := range frames {
			t.Run(fmt.Sprintf("%s/password=%q", name, password), func(t *testing.T) {
				conn, err := net.Dial("tcp", b.Addr())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, frame); err != nil {
					t.Fatal(err)
				}
				if name == "nothing inside" || strings.HasPrefix(name, "half") || strings.HasPrefix(name, "TLS") {
					_ = conn.(*net.TCPConn).CloseWrite()
				}
				_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
				if got, err := io.ReadAll(conn); len(got) != 0 || err != nil && !strings.Contains(err.Error(), "reset") {
					t.Errorf("answered %x, %v; want the connection closed", got, err)
				}
			})
		}
		if _, err := b.adm.ListTopics(t.Context()); err != nil {
			t.Errorf("the broker after all that: %v", err)
		}
	}
}

// TestLogIn: whoever knows the password gets in, nobody else gets anything.
func TestLogIn(t *testing.T) {
	b := open(t, Config{Dir: t.TempDir(), Password: "secret"})
	for name, c := range map[string]struct {
		auth plain.Auth
		in   bool
	}{
		"right":          {plain.Auth{User: User, Pass: "secret"}, true},
		"wrong password": {plain.Auth{User: User, Pass: "Secret"}, false},
		"wrong user":     {plain.Auth{User: "admin", Pass: "secret"}, false},
		"no password":    {plain.Auth{User: User}, false},
	} {
		cl := client(t, b.Addr(), kgo.SASL(c.auth.AsMechanism()), kgo.RequestRetries(0))
		if err := cl.Ping(t.Context()); (err == nil) != c.in {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, req := range map[string]kmsg.Request{
		"read":                  versioned(kmsg.NewPtrFetchRequest(), 4),
		"write":                 versioned(kmsg.NewPtrProduceRequest(), 9),
		"delete":                versioned(kmsg.NewPtrDeleteTopicsRequest(), 1),
		"log-in without a name": versioned(&kmsg.SASLAuthenticateRequest{SASLAuthBytes: []byte("\x00bluetick\x00secret")}, 1),
	} {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, encoded(req)); err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(conn)
		if len(got) != 0 && name != "log-in without a name" {
			t.Errorf("%s without a log-in is answered: %x", name, got)
		}
		_ = conn.Close()
	}
	if _, err := b.adm.ListTopics(t.Context()); err != nil {
		t.Errorf("this process needs no log-in: %v", err)
	}
}

// TestNoPort opens a broker that only this process reaches.
func TestNoPort(t *testing.T) {
	b, err := Open(Config{Dir: t.TempDir(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if b.Addr() != "" || b.ln.tcp != nil {
		t.Errorf("it listens on %q", b.Addr())
	}
	if _, err := b.adm.CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(b.ClientOptions(), kgo.DefaultProduceTopic(topic), kgo.ConsumeTopics(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	big := strings.Repeat("x", 300_000)
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord(big), kgo.StringRecord("b")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 2; {
		fs := cl.PollFetches(t.Context())
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		n += fs.NumRecords()
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.ln.Dial(t.Context()); err == nil {
		t.Error("a closed broker takes connections")
	}
}

// TestConnectionLimit holds as many connections as there may be.
func TestConnectionLimit(t *testing.T) {
	b := open(t, Config{Dir: t.TempDir(), Password: "secret"})
	for range maxConns {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("one too many reads %d bytes, %v", n, err)
	}
	if _, err := b.adm.ListTopics(t.Context()); err != nil {
		t.Errorf("this process is not limited by them: %v", err)
	}
}

// FuzzGuard feeds bytes to the guard of a stranger and of a known client: what
// it lets pass is whole frames that parse, from a stranger nothing but
// ApiVersions.
func FuzzGuard(f *testing.F) {
	versions := map[int16]kmsg.ApiVersionsResponseApiKey{}
	for key := range int16(kmsg.MaxKey + 1) {
		if req := kmsg.RequestForKey(key); req != nil {
			versions[key] = kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: req.MaxVersion()}
			for v := range req.MaxVersion() + 1 {
				f.Add([]byte(encoded(versioned(kmsg.RequestForKey(key), v))), v%2 == 0)
			}
		}
	}
	f.Add([]byte(poison), true)
	f.Add([]byte("\xff\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, sent []byte, stranger bool) {
		g := &guard{versions: versions, log: slog.New(slog.DiscardHandler)}
		if stranger {
			g.password = "secret"
		}
		c := newGuarded(&bytesConn{in: bytes.NewReader(sent)}, g, func() {})
		defer c.Close()
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		for len(got) > 0 {
			size := int(binary.BigEndian.Uint32(got))
			if size > len(got)-4 {
				t.Fatalf("half a frame passed: %x", got)
			}
			frame, err := g.check(got[4 : 4+size])
			if err != nil || stranger && frame.key != apiVersions {
				t.Fatalf("passed: %x: %v", got[:4+size], err)
			}
			got = got[4+size:]
		}
	})
}

// bytesConn is a connection on which somebody has sent in.
type bytesConn struct {
	net.Conn
	in *bytes.Reader
}

func (c *bytesConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *bytesConn) Write(p []byte) (int, error) { return len(p), nil }
func (c *bytesConn) Close() error                { return nil }
func (c *bytesConn) RemoteAddr() net.Addr        { return advertised("test:1") }

// FuzzBehindGuard logs in and sends whole requests to kfake itself: whatever they
// contain, the broker goes on.
func FuzzBehindGuard(f *testing.F) {
	b := open(f, Config{Dir: f.TempDir()})
	versions := b.ln.guard.versions
	for key, v := range versions {
		f.Add(key, v.MaxVersion, []byte{})
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		req := kmsg.RequestForKey(key)
		if req == nil {
			return
		}
		req.SetVersion(version)
		sent := binary.BigEndian.AppendUint16(make([]byte, 4, 64), uint16(key))
		sent = binary.BigEndian.AppendUint16(sent, uint16(version))
		sent = append(sent, 0, 0, 0, 1, 0xff, 0xff)
		if req.IsFlexible() {
			sent = append(sent, 0)
		}
		sent = append(sent, body...)
		binary.BigEndian.PutUint32(sent, uint32(len(sent)-4))
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(sent); err != nil {
			return // closed already
		}
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = conn.Read(make([]byte, 4096)) // an answer, or the end, or neither: a fetch may wait
	})
}
