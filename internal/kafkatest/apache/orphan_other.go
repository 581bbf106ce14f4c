//go:build !linux

package apache

import "syscall"

// dieWithParent has no counterpart here: a JVM outlives a killed test binary.
func dieWithParent() *syscall.SysProcAttr { return nil }
