package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/ebitengine/purego"

	embedded "github.com/bluetick/bluetick/internal/embedded/clickhouse"
)

// A ClickHouse server with its native protocol and its HTTP port, for tests on
// machines without Docker: libchdb contains clickhouse-local, which can listen
// like a server. It runs in a process of its own, this test binary started once
// more, because a bad login on the native port ends the whole process.

const (
	serveEnv   = "BLUETICK_TEST_SERVE_CLICKHOUSE" // the arguments, one a line
	chUser     = "pipeline"
	chPassword = "an invented, p@ssword" // needs escaping in a URL
)

func TestMain(m *testing.M) {
	if args := os.Getenv(serveEnv); args != "" {
		go func() { // the parent holds our standard input: its end is ours
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		os.Exit(serveClickHouse(os.Getenv(embedded.LibraryEnv), strings.Split(args, "\n")))
	}
	os.Exit(m.Run())
}

// serveClickHouse is the command line of clickhouse-local; it returns when the
// statement in it ends.
func serveClickHouse(library string, args []string) int {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var signalHandlers func(enabled int32)
	purego.RegisterLibFunc(&signalHandlers, handle, "chdb_set_signal_handlers_enabled")
	var cmdline func(argc int32, argv **byte) int32
	purego.RegisterLibFunc(&cmdline, handle, "chdb_query_cmdline")
	signalHandlers(0)
	var pins runtime.Pinner
	defer pins.Unpin()
	argv := make([]*byte, 0, len(args)+1)
	for _, a := range args {
		b := append([]byte(a), 0)
		pins.Pin(unsafe.SliceData(b))
		argv = append(argv, unsafe.SliceData(b))
	}
	argv = append(argv, nil)
	pins.Pin(unsafe.SliceData(argv))
	return int(cmdline(int32(len(args)), unsafe.SliceData(argv)))
}

// chServer is a ClickHouse server.
type chServer struct {
	t            testing.TB
	native, http string // host:port, the same after a restart
	library      string
	dir          string // also the working directory, where it would read a config.xml
	args         []string

	kept chan struct{} // closed when keep has ended
	mu   struct {
		sync.Mutex
		up  bool // it should be running
		cmd *exec.Cmd
	}
}

// dsn leads to a database over the native protocol.
func (c *chServer) dsn(database string) string {
	return (&url.URL{Scheme: "clickhouse", User: url.UserPassword(chUser, chPassword), Host: c.native, Path: database}).String()
}

// httpDSN leads to a database over HTTP.
func (c *chServer) httpDSN(database string) string {
	return (&url.URL{Scheme: "http", User: url.UserPassword(chUser, chPassword), Host: c.http, Path: database}).String()
}

const chConfig = `<clickhouse>
  <user_directories><users_xml><path>%s</path></users_xml></user_directories>
</clickhouse>
`

const chUsers = `<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default>
    <password/><networks><ip>::1</ip></networks><profile>default</profile><quota>default</quota>
  </default><%[1]s>
    <password>%[2]s</password><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota>
  </%[1]s></users>
</clickhouse>
`

// startClickHouse runs a server until the test ends.
func startClickHouse(t testing.TB) *chServer {
	t.Helper()
	library, err := embedded.Locate("")
	if err != nil {
		t.Skipf("no ClickHouse server can be started here: %v", err)
	}
	s := &chServer{t: t, native: freeAddr(t), http: freeAddr(t), library: library, dir: t.TempDir()}
	conf := t.TempDir()
	config, users := filepath.Join(conf, "server.xml"), filepath.Join(conf, "users.xml")
	for name, text := range map[string]string{config: fmt.Sprintf(chConfig, users), users: fmt.Sprintf(chUsers, chUser, chPassword)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := func(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }
	s.args = []string{
		"clickhouse", "--config-file=" + config, "--path=" + s.dir, "--listen_host=127.0.0.1",
		"--tcp_port=" + port(s.native), "--http_port=" + port(s.http),
		// The last statement only holds the process.
		"--query=SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT count() FROM (SELECT sleepEachRow(1) FROM system.numbers) SETTINGS max_block_size=1",
		"--", "--max_server_memory_usage=1500000000", "--background_pool_size=2",
	}
	t.Cleanup(s.kill)
	s.restart()
	return s
}

// kill is kill -9; a second call does nothing.
func (c *chServer) kill() {
	c.mu.Lock()
	if !c.mu.up {
		c.mu.Unlock()
		return
	}
	c.mu.up = false
	_ = c.mu.cmd.Process.Kill() // it may have ended by itself
	c.mu.Unlock()
	<-c.kept
}

// restart starts the server on its data and returns when it answers.
func (c *chServer) restart() {
	c.t.Helper()
	c.mu.Lock()
	c.mu.up = true
	c.mu.Unlock()
	wait, err := c.launch()
	if err != nil {
		c.t.Fatal(err)
	}
	c.kept = make(chan struct{})
	go c.keep(wait)
	deadline := time.Now().Add(patience)
	for {
		resp, err := http.Get("http://" + c.http + "/ping")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatal("the ClickHouse server was not ready in time")
		}
		<-time.After(20 * time.Millisecond)
	}
}

// keep starts the server anew when it ends by itself, as a service manager
// does: unlike a real server this one does not survive a client that is killed
// in the middle of its login.
func (c *chServer) keep(wait func() error) {
	defer close(c.kept)
	for {
		ended := wait()
		<-time.After(100 * time.Millisecond) // it may end at once, until the test does
		next, err := c.launch()
		if err != nil {
			c.t.Error(err)
		}
		if next == nil {
			return
		}
		c.t.Logf("the ClickHouse server ended by itself: %v", ended)
		wait = next
	}
}

// launch starts the process if it should run; wait returns when it has ended.
func (c *chServer) launch() (wait func() error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.up {
		return nil, nil
	}
	cmd := exec.Command(os.Args[0])
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), serveEnv+"="+strings.Join(c.args, "\n"), embedded.LibraryEnv+"="+c.library)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	stdin, err := cmd.StdinPipe() // never written to: it ends with this process
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.mu.cmd = cmd
	return func() error {
		defer stdin.Close()
		return fmt.Errorf("%w\n%s", cmd.Wait(), &log)
	}, nil
}

// freeAddr is a loopback address that nobody listens on at present.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// connect opens a client as any user of the server would.
func connect(t testing.TB, dsn string) driver.Conn {
	t.Helper()
	opts, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
