package apache

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"text/template"
	"time"
)

const (
	// clusterID is any 16 bytes as base64url, which must not begin with a dash.
	clusterID = "Ymx1ZXRpY2stdGVzdHM2Ng"
	// readyTimeout bounds a start; 2 s is usual, a restart after a kill waits for
	// broker.session.timeout.ms on top, a loaded machine multiplies both.
	readyTimeout = 60 * time.Second
	// stopTimeout is how long a node may take to end when asked to.
	stopTimeout = 30 * time.Second
	// attempts at finding two ports that are still free when Kafka binds them.
	attempts = 3
	// tailLines of Kafka's log are shown when it does not start.
	tailLines = 20
)

//go:embed server.properties.tmpl
var serverProperties string

//go:embed log4j2.properties
var logProperties []byte

// errPortTaken: somebody took a port between its choice and its use.
var errPortTaken = errors.New("port taken")

// Config is where a node keeps its things.
type Config struct {
	// Jars is the folder of Kafka's jars, see Jars.
	Jars string
	// Dir holds the node's data and configuration. It must be empty.
	Dir string
	// Port to listen on; 0 takes a free one.
	Port int
	// HeapMB is the size of the Java heap; 0 means 512.
	HeapMB int
	// Users, if any, must log in by SASL PLAIN with the password given here, and may
	// do what ACLs allow; "admin", which must be one of them, may do everything.
	Users map[string]string
}

// Broker is a Kafka node. Its methods are for one goroutine at a time.
type Broker struct {
	java  string
	flags []string // of the JVM, class path included
	props string   // path of server.properties
	port  int
	run   *process // nil when down
}

// Start formats a new node and returns when it serves. The error wraps ErrMissing
// when there is no java.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	for i := 1; ; i++ {
		b, err := start(ctx, cfg, filepath.Join(cfg.Dir, fmt.Sprint("node", i)))
		if err == nil || i == attempts || cfg.Port != 0 || !errors.Is(err, errPortTaken) {
			return b, err
		}
	}
}

func start(ctx context.Context, cfg Config, dir string) (*Broker, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	java, err := exec.LookPath(java)
	if err != nil {
		return nil, fmt.Errorf("%w: no java", ErrMissing)
	}
	port, controller, err := ports(cfg.Port)
	if err != nil {
		return nil, fmt.Errorf("choose ports for kafka: %w", err)
	}
	b := &Broker{java: java, props: filepath.Join(dir, "server.properties"), port: port}
	logConf := filepath.Join(dir, "log4j2.properties")
	heap := cfg.HeapMB
	if heap == 0 {
		heap = 512
	}
	// Serial collector and first compiler only: a test's Kafka lives for seconds.
	b.flags = []string{
		fmt.Sprintf("-Xmx%dm", heap), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError",
		"-Dlog4j2.configurationFile=" + logConf, "-cp", filepath.Join(cfg.Jars, "*"),
	}
	if err := configure(cfg.Users, dir, logConf, b.props, port, controller); err != nil {
		return nil, fmt.Errorf("configure kafka: %w", err)
	}
	format := exec.CommandContext(ctx, java, append(b.flags, "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", b.props)...)
	if out, err := format.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format kafka's data folder: %w\n%s", err, out)
	}
	if err := b.Restart(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// ports returns the wanted or a free port, and another free one.
func ports(wanted int) (int, int, error) {
	var free [2]int
	for i := range free {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer ln.Close() // both are held until both are known
		free[i] = ln.Addr().(*net.TCPAddr).Port
	}
	if wanted != 0 {
		free[0] = wanted
	}
	return free[0], free[1], nil
}

func configure(users map[string]string, dir, logConf, props string, port, controller int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(logConf, logProperties, 0o644); err != nil {
		return err
	}
	tmpl, err := template.New("server.properties").Parse(serverProperties)
	if err != nil {
		return err
	}
	f, err := os.Create(props)
	if err != nil {
		return err
	}
	err = tmpl.Execute(f, map[string]any{"Port": port, "ControllerPort": controller, "Data": filepath.Join(dir, "data"), "Users": users})
	return errors.Join(err, f.Close())
}

// Addr returns the host:port of the node; it stays the same over restarts.
func (b *Broker) Addr() string { return fmt.Sprintf("127.0.0.1:%d", b.port) }

// Restart starts the node on its data after Kill or Stop and returns when it
// serves; on a running node it does nothing.
func (b *Broker) Restart(ctx context.Context) error {
	if b.run != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	p, err := launch(b.java, append(b.flags, "kafka.Kafka", b.props))
	if err != nil {
		return fmt.Errorf("start kafka: %w", err)
	}
	select {
	case <-p.ready:
		b.run = p
		return nil
	case <-p.done:
	case <-ctx.Done():
		p.signal(syscall.SIGKILL)
		<-p.done
	}
	if p.portTaken {
		return fmt.Errorf("start kafka on %s: %w", b.Addr(), errPortTaken)
	}
	return fmt.Errorf("start kafka: %w\n%s", errors.Join(context.Cause(ctx), p.err), strings.Join(p.tail, "\n"))
}

// Kill ends the node with SIGKILL, as a crash of the machine's process does, and
// waits until it is gone.
func (b *Broker) Kill() { b.end(syscall.SIGKILL) }

// Stop asks the node to end, waits, and kills it when it takes too long.
func (b *Broker) Stop() { b.end(syscall.SIGTERM) }

func (b *Broker) end(sig syscall.Signal) {
	if b.run == nil {
		return
	}
	b.run.signal(sig)
	select {
	case <-b.run.done:
	case <-time.After(stopTimeout):
		b.run.signal(syscall.SIGKILL)
		<-b.run.done
	}
	b.run = nil
}

// process is a JVM and the goroutine that reads its output.
type process struct {
	proc  *os.Process   // immutable after launch
	ready chan struct{} // closed when Kafka reports that it serves
	done  chan struct{} // closed when the process is reaped; the fields below are then final

	tail      []string
	portTaken bool
	err       error
}

// launch starts a JVM. The goroutine that starts it keeps its thread for as long
// as the JVM lives: the kernel ends the child when its parent *thread* ends.
func launch(java string, args []string) (*process, error) {
	p := &process{ready: make(chan struct{}), done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		defer close(p.done)
		p.err = p.watch(exec.Command(java, args...), started)
	}()
	return p, <-started
}

// watch starts cmd, sends the outcome to started, and reads until cmd has ended.
func (p *process) watch(cmd *exec.Cmd, started chan<- error) error {
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		started <- err
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		started <- err
		return err
	}
	p.proc = cmd.Process
	started <- nil
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		p.tail = append(p.tail, line)
		if len(p.tail) > tailLines {
			p.tail = p.tail[1:]
		}
		p.portTaken = p.portTaken || strings.Contains(line, "Address already in use")
		if strings.HasSuffix(line, "Kafka Server started") {
			close(p.ready)
		}
	}
	_, _ = io.Copy(io.Discard, out) // a line too long for the scanner must not block the JVM
	return cmd.Wait()
}

// signal sends sig to the process; one that has ended already is left alone.
func (p *process) signal(sig syscall.Signal) { _ = p.proc.Signal(sig) }
