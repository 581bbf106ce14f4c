//go:build linux

package app

import (
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestRaiseFiles runs itself under limits of the shell.
func TestRaiseFiles(t *testing.T) {
	if os.Getenv("BLUETICK_TEST_FILES") != "" {
		// The Go runtime raises the limit by itself at its start; undo that.
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		limit.Cur = 64
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		RaiseFiles(slog.New(slog.NewTextHandler(os.Stdout, nil)))
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur != limit.Max {
			t.Errorf("%d of %d, %v", limit.Cur, limit.Max, err)
		}
		return
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < files {
		t.Skipf("the machine itself grants only %d files: %v", limit.Max, err)
	}
	for name, c := range map[string]struct {
		ulimit string
		loud   bool
	}{
		"low for now":  {"ulimit -S -n 128", false},
		"low for good": {"ulimit -n 128", true},
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", c.ulimit+`; exec "$0" -test.run='^TestRaiseFiles$'`, os.Args[0])
		cmd.Env = append(os.Environ(), "BLUETICK_TEST_FILES=1")
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "few files may be open") != c.loud {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
