//go:build linux || darwin

package app

import (
	"log/slog"
	"syscall"
)

// files is how many open files are enough: ClickHouse holds several for each
// part that it merges, Pebble a thousand, and every connection is one.
const files = 8192

// RaiseFiles lets the process have as many open files as the system grants
// without further rights, and says so where that is too few: what runs out of
// files fails in places that name another reason.
func RaiseFiles(log *slog.Logger) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		log.Warn("limit of open files is not known", "err", err)
		return
	}
	if limit.Cur < limit.Max {
		had := limit.Cur
		limit.Cur = limit.Max
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			limit.Cur = had // such as on macOS, whose kernel has a lower limit than it says
		}
	}
	if limit.Cur < files {
		log.Warn("few files may be open", "limit", limit.Cur, "enough", files,
			"remedy", "ulimit -n 65536 before the start, or LimitNOFILE=65536 in the unit of systemd")
	}
}
