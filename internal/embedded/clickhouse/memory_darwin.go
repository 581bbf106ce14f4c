package clickhouse

import "golang.org/x/sys/unix"

// memoryBytes is the machine's memory.
func memoryBytes() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return assumedMemoryBytes
	}
	return int64(n)
}
