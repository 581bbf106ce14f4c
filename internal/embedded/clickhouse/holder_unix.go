//go:build unix

package clickhouse

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// holderOf finds out who has the folder open. The engine itself gives no reason for refusing a connection, but the
// file status is locked by its holder and carries its process id.
func holderOf(dir string) (error, bool) {
	f, err := os.Open(filepath.Join(dir, "status"))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, false // free, and our lock of it ends with f
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if pid, ok := strings.CutPrefix(lines.Text(), "PID: "); ok {
			if pid == fmt.Sprint(os.Getpid()) {
				return errors.New("this process has it open already"), true
			}
			return fmt.Errorf("process %s has it open: stop it, or ask it through its HTTP port", pid), true
		}
	}
	return errors.New("another process has it open"), true
}
