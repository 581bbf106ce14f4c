package apache

import "syscall"

// dieWithParent has the kernel kill the child when the thread that started it
// ends, so that a test binary stopped by its timeout leaves no JVM behind.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
