//go:build darwin || freebsd || linux || netbsd

package clickhouse

import "github.com/ebitengine/purego"

// dlopen maps the library at path. It is never unmapped: the engine's threads outlive its last connection.
// A second call for the same path returns the same handle.
func dlopen(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func dlsym(handle uintptr, name string) (uintptr, error) {
	return purego.Dlsym(handle, name)
}
