package kafka

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childDir names the data folder in the environment of a child process that
// serves a broker: tests that kill a broker or take its disk away need one in a
// process of its own.
const childDir = "BLUETICK_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := serveChild(dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serveChild runs a broker and obeys one command a line: "limit N" makes every
// file of the process refuse to grow beyond N bytes, "unlimit" takes that back,
// "sweep" applies retention, "close" closes the broker. Each is answered by a
// line.
func serveChild(dir string, in io.Reader, out io.Writer) error {
	signal.Ignore(syscall.SIGXFSZ) // so that the limit shows as a write error, as a full disk does
	b, err := Open(Config{Dir: dir, Addr: "127.0.0.1:0", NoPassword: true, Now: time.Now})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, b.Addr())
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		word, arg, _ := strings.Cut(lines.Text(), " ")
		err := error(nil)
		switch word {
		case "limit":
			n, _ := strconv.ParseUint(arg, 10, 64)
			err = limitFiles(func(syscall.Rlimit) uint64 { return n })
		case "unlimit":
			err = limitFiles(func(l syscall.Rlimit) uint64 { return l.Max })
		case "sweep":
			err = b.sweep(context.Background())
		case "close":
			err = b.Close()
		}
		fmt.Fprintln(out, "done", err)
	}
	return lines.Err()
}

func limitFiles(soft func(syscall.Rlimit) uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = soft(l)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

// child is a broker in a process of its own.
type child struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

// startChild starts a broker process on dir and waits until it serves.
func startChild(t testing.TB, dir string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(exe, "-test.run=^$")}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	c.addr = c.line()
	return c
}

func (c *child) line() string {
	c.t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("broker process ended: %v", err)
	}
	return strings.TrimSpace(s)
}

// do sends a command and waits for its success.
func (c *child) do(command string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, command+"\n"); err != nil {
		c.t.Fatal(err)
	}
	if got := c.line(); got != "done <nil>" {
		c.t.Fatalf("%s: %s", command, got)
	}
}

// kill ends the process with SIGKILL and reaps it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // gone already when a test killed it
	_ = c.cmd.Wait()         // reports the kill
}
