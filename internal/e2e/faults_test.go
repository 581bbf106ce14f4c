package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/simulate"
)

// faulted is a data folder that one fault after the other befalls.
type faulted struct {
	bin, data string
	p         *sender
}

// TestFaults is the table of faults in docs/testing.md that a machine or its owner
// brings about. After each one what was acknowledged is counted, once, and where the
// product refuses to go on, its error names the remedy, which is followed to the letter.
func TestFaults(t *testing.T) {
	f := &faulted{bin: binary(t), data: filepath.Join(t.TempDir(), "data"), p: &sender{at: time.Now().Add(-2 * time.Hour).Unix()}}
	for _, c := range []struct {
		name  string
		fault func(*testing.T, *faulted)
	}{
		{"asked to stop while it works", askedToStop},
		{"interrupted from a terminal", interrupted},
		{"asked twice to stop", askedTwice},
		{"its terminal is closed", hungUp},
		{"stopped for a moment, and continued", suspended},
		{"started again on a machine that is up for 40 days", longUp},
		{"few open files", fewFiles},
		{"a folder that is read-only", readOnly},
		{"a flipped byte in the state of messages", func(t *testing.T, f *faulted) { flippedState(t, f, "bluetick.events") }},
		{"a flipped byte in the state of the roll-up", func(t *testing.T, f *faulted) { flippedState(t, f, "bluetick.panes") }},
		{"a flipped byte in the state of alerts", func(t *testing.T, f *faulted) { flippedState(t, f, "bluetick.rates") }},
		{"a flipped byte in a part of ClickHouse", flippedPart},
		{"a flipped byte in what describes a part of ClickHouse", leftOutPart},
		{"a flipped byte in the log", flippedLog}, // the last: the log is not whole afterwards
	} {
		t.Run(c.name, func(t *testing.T) {
			c.fault(t, f)
			f.exact(t)
		})
	}
}

// exact starts, sends what was acknowledged last once more and a little more, and
// wants every message counted once.
func (f *faulted) exact(t *testing.T) {
	t.Helper()
	s := start(t, f.bin, f.data)
	f.p.again(s)
	f.p.more(s)
	s.await(countsQuery, counts(f.p.acked))
	s.stop()
	if out, err := command(t, f.bin, "audit", "--data", f.data); err != nil || !strings.Contains(out, "audit: 0 differences") {
		t.Errorf("audit: %s, %v", out, err)
	}
}

// refused starts and wants the process to end with exit code 1 and these texts.
func (f *faulted) refused(t *testing.T, says ...string) {
	t.Helper()
	s := launch(t, f.bin, f.data)
	err := s.end()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Fatalf("it ended with %v, want exit code 1\n%s", err, s.log)
	}
	for _, text := range says {
		if !strings.Contains(s.log.String(), text) {
			t.Errorf("it does not say %q:\n%s", text, s.log)
		}
	}
}

func askedToStop(t *testing.T, f *faulted) {
	f.stoppedBy(t, syscall.SIGTERM)
}

func interrupted(t *testing.T, f *faulted) {
	f.stoppedBy(t, os.Interrupt)
}

func hungUp(t *testing.T, f *faulted) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("a terminal that can be closed is missing: this run ignores SIGHUP, and so does what it starts")
	}
	f.stoppedBy(t, syscall.SIGHUP)
}

// stoppedBy sends the signal while rows are on their way through every stage.
func (f *faulted) stoppedBy(t *testing.T, sig os.Signal) {
	t.Helper()
	s := start(t, f.bin, f.data)
	f.p.more(s)
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if err := s.end(); err != nil {
		t.Errorf("it ended with %v\n%s", err, s.log)
	}
}

// askedTwice ends the process at once, or it has ended before.
func askedTwice(t *testing.T, f *faulted) {
	s := start(t, f.bin, f.data)
	f.p.more(s)
	for range 2 {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	_ = s.end()
}

func suspended(t *testing.T, f *faulted) {
	s := start(t, f.bin, f.data)
	f.p.more(s)
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.run.Metrics+"/healthz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Error("it answers although it is stopped")
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	f.p.more(s)
	s.await(countsQuery, counts(f.p.acked))
	s.stop()
}

// longUp starts with another boot-time clock than before, as after a move to another
// machine: that is no leap of the clock.
func longUp(t *testing.T, f *faulted) {
	wrap := []string{"unshare", "--time", "--boottime", "3456000", "--monotonic", "3456000"}
	if out, err := exec.Command(wrap[0], append(wrap[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("a clock of its own is missing: unshare --time: %v: %s", err, out)
	}
	s := launchAs(t, append(wrap, f.bin), f.data)
	s.ready(f.data)
	f.p.more(s)
	s.await(countsQuery, counts(f.p.acked))
	s.stop()
	if strings.Contains(s.log.String(), "clock_") {
		t.Errorf("it doubts its clock:\n%s", s.log)
	}
}

// fewFiles leaves so few that some part finds none: that part tries again, and the log
// says what to do. With fewer than a start needs it ends, and says the same.
func fewFiles(t *testing.T, f *faulted) {
	s := launchAs(t, []string{"sh", "-c", `ulimit -n 192; exec "$@"`, "sh", f.bin}, f.data)
	if err, ended := s.readyOrEnded(f.data); ended {
		if !strings.Contains(s.log.String(), "ulimit -n 65536") {
			t.Errorf("it ended with %v and does not say what to do:\n%s", err, s.log)
		}
		return
	}
	for range 5 {
		b := body(f.p.acked, f.p.acked+perBody, f.p.at)
		switch status, err := s.send(b, simulate.Sign(appSecret, b)); {
		case err != nil: // it had no file for the connection
		case status == http.StatusOK:
			f.p.acked += perBody
		case status != http.StatusServiceUnavailable:
			t.Errorf("status %d", status)
		}
	}
	if !strings.Contains(s.log.String(), "ulimit -n 65536") {
		t.Errorf("it does not say what to do:\n%s", s.log)
	}
	s.kill()
}

func readOnly(t *testing.T, f *faulted) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a read-only folder is missing: only root on linux may mount one, and root may write everywhere else")
	}
	if out, err := exec.Command("mount", "--bind", f.data, f.data).CombinedOutput(); err != nil {
		t.Skipf("a read-only folder is missing: mount: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", f.data).CombinedOutput(); err != nil {
			t.Fatalf("unmount: %v: %s", err, out)
		}
	}()
	if out, err := exec.Command("mount", "-o", "remount,ro,bind", f.data).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	f.refused(t, "read-only file system", f.data)
}

// flippedState damages the state of one partition. The remedy is to move it away: the
// log begins at offset 0.
func flippedState(t *testing.T, f *faulted, topic string) {
	dir := filepath.Join(f.data, "state", "1", topic, "2")
	flip(t, largest(t, filepath.Join(dir, "*.sst")), 20) // in the block of the next offset
	f.refused(t, dir, "the state is damaged: put its folder back from a backup, or move it away (docs/runbook.md)")
	if err := os.Rename(dir, filepath.Join(t.TempDir(), "moved")); err != nil {
		t.Fatal(err)
	}
}

// flippedPart damages a part of panes. The line goes on; the audit cannot compare. The
// remedy is to have ClickHouse filled again from the log.
func flippedPart(t *testing.T, f *faulted) {
	flip(t, filepath.Join(f.part(t), "data.bin"), 20)
	s := start(t, f.bin, f.data)
	f.p.more(s)
	s.stop()
	out, err := command(t, f.bin, "audit", "--data", f.data)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 2 || !strings.Contains(err.Error(), `docs/runbook.md, "A part of ClickHouse is damaged"`) {
		t.Errorf("audit over a damaged part: %s, %v, want exit code 2", out, err)
	}
	f.fillAgain(t)
}

// leftOutPart damages a part so that ClickHouse does not even open it, and goes on
// without its rows. That is told at every start and by the audit, with the same remedy.
func leftOutPart(t *testing.T, f *faulted) {
	flip(t, filepath.Join(f.part(t), "checksums.txt"), 100)
	s := start(t, f.bin, f.data)
	s.stop()
	if !strings.Contains(s.log.String(), "clickhouse has left out a damaged part") {
		t.Errorf("it does not say so:\n%s", s.log)
	}
	out, err := command(t, f.bin, "audit", "--data", f.data)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 1 || !strings.Contains(err.Error(), `docs/runbook.md, "A part of ClickHouse is damaged"`) {
		t.Errorf("audit without a part: %s, %v, want exit code 1", out, err)
	}
	f.fillAgain(t)
}

// part is the folder of the largest part of panes.
func (f *faulted) part(t *testing.T) string {
	t.Helper()
	query := "SELECT path FROM system.parts WHERE database = 'bluetick' AND table = 'panes' AND active ORDER BY bytes_on_disk DESC LIMIT 1"
	out, err := command(t, f.bin, "sql", "--data", f.data, "--format", "tsv", query)
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(out, "\n")
	return part
}

// fillAgain moves what ClickHouse has away: it is filled again from the log.
func (f *faulted) fillAgain(t *testing.T) {
	t.Helper()
	if err := os.Rename(filepath.Join(f.data, "clickhouse"), filepath.Join(t.TempDir(), "moved")); err != nil {
		t.Fatal(err)
	}
}

// flippedLog damages an acknowledged record. It is refused; the remedy without a backup
// is to start once without the records that do not read. All had been counted.
func flippedLog(t *testing.T, f *faulted) {
	flip(t, largest(t, filepath.Join(f.data, "kafka", "partitions", "bluetick.events-*", "*.dat")), 2000)
	f.refused(t, "the log of the embedded kafka is damaged: nothing was changed", "--kafka-accept-loss", "offsets")
	s := start(t, f.bin, f.data, "--kafka-accept-loss")
	s.await(countsQuery, counts(f.p.acked))
	s.stop()
}

// largest is the largest file of a pattern.
func largest(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var size int64 = -1
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > size {
			name, size = n, info.Size()
		}
	}
	if name == "" {
		t.Fatalf("there is no %s", pattern)
	}
	return name
}

// flip changes one bit of a byte of the file.
func flip(t *testing.T, name string, at int) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0x40
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
