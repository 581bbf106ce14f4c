package clickhouse

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// LibraryEnv is the environment variable that names the library file and so overrides the search for it.
const LibraryEnv = "BLUETICK_CHDB_LIB"

// Locate returns the path of libchdb: override if it is not empty, else the value of LibraryEnv, else the file that
// `make lib` installs, looked for from the working directory and from the executable's folder upwards.
// The error tells in one sentence what to do.
func Locate(override string) (string, error) {
	if override == "" {
		override = os.Getenv(LibraryEnv)
	}
	if override != "" {
		if !isFile(override) {
			return "", fmt.Errorf("the ClickHouse library %s is not there: correct %s or unset it and run `make lib`", override, LibraryEnv)
		}
		return override, nil
	}
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if exe, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(exe); err == nil {
			exe = resolved
		}
		starts = append(starts, filepath.Dir(exe))
	}
	if path, ok := search(starts, libraryFile(runtime.GOOS, runtime.GOARCH)); ok {
		return path, nil
	}
	return "", fmt.Errorf("the embedded ClickHouse engine is not installed for %s/%s: run `make lib` in the checkout, set %s to a libchdb, or point bluetick to a ClickHouse server",
		runtime.GOOS, runtime.GOARCH, LibraryEnv)
}

// libraryFile is where the npm package of a platform puts the library, relative to the checkout and without its
// ending.
func libraryFile(goos, goarch string) string {
	arch := goarch
	if goarch == "amd64" {
		arch = "x64"
	}
	name := "lib-" + goos + "-" + arch
	if goos == "linux" {
		name += "-gnu"
	}
	return filepath.Join("internal", "embedded", "clickhouse", "npm", "node_modules", "@chdb", name, "libchdb")
}

// search tries every start folder and its parents, and both endings, since packages differ.
func search(starts []string, stem string) (string, bool) {
	for _, dir := range starts {
		for {
			for _, ending := range []string{".so", ".dylib"} {
				if path := filepath.Join(dir, stem+ending); isFile(path) {
					return path, true
				}
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	return "", false
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
