package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// disk is a file system of its own that a test can fill and enlarge.
type disk struct {
	t   testing.TB
	dir string
}

// newDisk mounts a file system of the given size, e.g. "160m".
func newDisk(t testing.TB, size string) disk {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a disk that can be filled is missing: only root on linux may mount a tmpfs")
	}
	d := disk{t, filepath.Join(t.TempDir(), "disk")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "bluetick-test", d.dir).CombinedOutput(); err != nil {
		t.Skipf("a disk that can be filled is missing: mount a tmpfs: %v: %s", err, out)
	}
	t.Cleanup(func() {
		// Lazily: a process that a failed test left dying may still hold it.
		if out, err := exec.Command("umount", "-l", d.dir).CombinedOutput(); err != nil {
			t.Errorf("unmount: %v: %s", err, out)
		}
	})
	return d
}

// resize gives the disk another size.
func (d disk) resize(size string) {
	d.t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,size="+size, d.dir).CombinedOutput(); err != nil {
		d.t.Fatalf("resize the disk to %s: %v: %s", size, err, out)
	}
}

// ballast is the file that fills the disk.
func (d disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill takes the disk's last byte.
func (d disk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	zeros := make([]byte, 64<<10)
	for len(zeros) > 0 {
		if _, err := f.Write(zeros); err != nil {
			zeros = zeros[:len(zeros)/2]
		}
	}
}

// sender posts the messages of traffic_test.go one body after the other and
// knows how many were acknowledged.
type sender struct {
	acked int // messages 0..acked have had their 200
	at    int64
}

const perBody = 200

// post posts the next body and moves on if it is taken.
func (p *sender) post(s *server) int {
	s.t.Helper()
	status := s.post(body(p.acked, p.acked+perBody, p.at))
	if status == http.StatusOK {
		p.acked += perBody
	}
	return status
}

// untilRefused posts until a body is refused, which must be by 503.
func (p *sender) untilRefused(s *server) {
	s.t.Helper()
	const bodies = 5000 // several times what the disks of these tests hold
	for range bodies {
		switch status := p.post(s); status {
		case http.StatusOK:
		case http.StatusServiceUnavailable:
			return
		default:
			s.t.Fatalf("status %d\n%s", status, s.log)
		}
	}
	s.t.Fatalf("nothing was refused in %d bodies\n%s", bodies, s.log)
}

// more posts a few bodies, which must be taken.
func (p *sender) more(s *server) {
	s.t.Helper()
	for range 5 {
		if status := p.post(s); status != http.StatusOK {
			s.t.Fatalf("there is room, and the status is %d\n%s", status, s.log)
		}
	}
}

// again posts once more what was acknowledged last.
func (p *sender) again(s *server) {
	s.t.Helper()
	p.acked -= min(p.acked, 5*perBody)
	p.more(s)
}

// counted waits until what was acknowledged is counted. What was refused may be
// counted too: a body can be written in part.
func (p *sender) counted(s *server) {
	s.t.Helper()
	s.await(fmt.Sprintf("SELECT sum(sent) >= %d FROM v_campaigns", p.acked), "1")
}

// TestFullDisk fills the disk below the running process. First the door closes
// while the rest of the line finishes what was acknowledged; when there is room
// again, the same process goes on. Then the disk is full to the last byte and
// the process is killed. It does not start and tells why; once there is room,
// everything acknowledged is counted once.
func TestFullDisk(t *testing.T) {
	bin, d := binary(t), newDisk(t, "80m")
	data := filepath.Join(d.dir, "data")
	p := &sender{at: time.Now().Add(-2 * time.Hour).Unix()}

	s := start(t, bin, data)
	p.untilRefused(s)
	p.counted(s)
	if log := s.log.String(); !strings.Contains(log, "the disk is nearly full: free some room") {
		t.Errorf("the log does not say what to do:\n%s", log)
	}
	d.resize("200m")
	p.more(s)
	s.await(countsQuery, counts(p.acked))

	p.more(s) // on its way through every stage
	d.fill()
	if status := p.post(s); status != http.StatusServiceUnavailable {
		t.Errorf("status %d without a byte left", status)
	}
	s.kill()
	d.fill() // whatever the end of the process has freed
	s = launch(t, bin, data)
	if exit, ok := errors.AsType[*exec.ExitError](s.end()); !ok || exit.ExitCode() != 1 || !strings.Contains(s.log.String(), "free some room") {
		t.Errorf("start without a byte left: %v\n%s", exit, s.log)
	}

	if err := os.Remove(d.ballast()); err != nil {
		t.Fatal(err)
	}
	s = start(t, bin, data)
	p.again(s)
	p.more(s)
	s.await(countsQuery, counts(p.acked))
	if out, err := command(t, bin, "audit", "--data", data); err != nil || !strings.Contains(out, "audit: 0 differences") {
		t.Errorf("audit: %s, %v", out, err)
	}
	s.stop()
	t.Logf("%d messages", p.acked)
}
