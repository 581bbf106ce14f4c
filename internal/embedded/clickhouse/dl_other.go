//go:build !(darwin || freebsd || linux || netbsd)

package clickhouse

import (
	"errors"
	"runtime"
)

var errPlatform = errors.New("the embedded ClickHouse engine exists for Linux and macOS only, not for " + runtime.GOOS)

func dlopen(string) (uintptr, error) { return 0, errPlatform }

func dlsym(uintptr, string) (uintptr, error) { return 0, errPlatform }
