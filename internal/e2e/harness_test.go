package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/dataroot"
	embedded "github.com/bluetick/bluetick/internal/embedded/clickhouse"
	"github.com/bluetick/bluetick/internal/simulate"
)

const (
	appSecret   = "an invented app secret"
	verifyToken = "an invented verify token"
	// patience bounds every wait; nothing passes or fails by being slow.
	patience = 2 * time.Minute
)

// binary builds bluetick once per test; the build cache makes that cheap.
func binary(t testing.TB) string {
	t.Helper()
	if _, err := embedded.Locate(""); err != nil {
		t.Skipf("the embedded ClickHouse is missing: %v", err)
	}
	path := filepath.Join(t.TempDir(), "bluetick")
	build := exec.Command("go", "build", "-o", path, "../../cmd/bluetick")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// server is a running `bluetick run` on free ports.
type server struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan error // what Wait returned; capacity 1
	run  dataroot.Run
}

func start(t testing.TB, bin, data string, extra ...string) *server {
	t.Helper()
	s := launch(t, bin, data, extra...)
	s.ready(data)
	return s
}

// ready waits until the process has announced where it listens.
func (s *server) ready(data string) {
	s.t.Helper()
	if err, ended := s.readyOrEnded(data); ended {
		s.t.Fatalf("bluetick ended while starting: %v\n%s", err, s.log)
	}
}

// readyOrEnded waits until the process is ready or has ended, and says with what.
func (s *server) readyOrEnded(data string) (err error, ended bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		// run.json of a killed process is stale: ours names our pid.
		run, err := dataroot.ReadRun(data)
		if err == nil && run.PID == s.cmd.Process.Pid {
			s.run = run
			return nil, false
		}
		select {
		case err := <-s.done:
			s.done <- err
			return err, true
		case <-ctx.Done():
			s.t.Fatalf("bluetick was not ready in time\n%s", s.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// launch starts the process and does not wait until it is ready.
func launch(t testing.TB, bin, data string, extra ...string) *server {
	t.Helper()
	return launchAs(t, []string{bin}, data, extra...)
}

// launchAs is launch by a command that runs the binary, its last word.
func launchAs(t testing.TB, command []string, data string, extra ...string) *server {
	t.Helper()
	return spawn(t, command[0], append(append(command[1:], []string{
		"run", "--data", data, "--meta-app-secret", appSecret, "--meta-verify-token", verifyToken,
		"--ingest-listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0",
		"--metrics-listen", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0",
	}...), extra...)...)
}

// spawn starts the binary with these arguments.
func spawn(t testing.TB, bin string, args ...string) *server {
	t.Helper()
	lib, err := embedded.Locate("")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, cmd: exec.Command(bin, args...), log: &bytes.Buffer{}, done: make(chan error, 1)}
	s.cmd.Env = append(os.Environ(), "BLUETICK_CHDB_LIB="+lib)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(s.kill)
	return s
}

// kill is kill -9; a second call does nothing.
func (s *server) kill() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.done
	s.done <- nil
}

// stop asks politely and checks that the process leaves without an error.
func (s *server) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.end(); err != nil {
		s.t.Fatalf("stop: %v\n%s", err, s.log)
	}
}

// end waits for the process.
func (s *server) end() error {
	s.t.Helper()
	select {
	case err := <-s.done:
		s.done <- nil
		return err
	case <-time.After(patience):
		s.t.Fatalf("bluetick did not end\n%s", s.log)
		return nil
	}
}

// post sends a signed webhook and returns the status.
func (s *server) post(body []byte) int {
	s.t.Helper()
	return s.postSigned(body, simulate.Sign(appSecret, body))
}

func (s *server) postSigned(body []byte, signature string) int {
	s.t.Helper()
	status, err := s.send(body, signature)
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// send is a webhook that may find nobody who takes it.
func (s *server) send(body []byte, signature string) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.run.Ingest+"/v1/webhooks/meta/main", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Hub-Signature-256", signature)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// sql asks through the port as anybody may, with plain HTTP.
func (s *server) sql(query string) string {
	s.t.Helper()
	resp, err := http.Post("http://"+s.run.ClickHouse+"/?database=bluetick", "text/plain", strings.NewReader(query))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s", query, b)
	}
	return strings.TrimSpace(string(b))
}

// await asks until the answer is want.
func (s *server) await(query, want string) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := s.sql(query)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s:\n%s\nwant\n%s\n%s", query, got, want, s.log)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// command runs a short command of the binary and returns what it printed.
func command(t testing.TB, bin string, args ...string) (string, error) {
	t.Helper()
	lib, err := embedded.Locate("")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), "BLUETICK_CHDB_LIB="+lib)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(out)), err
}
