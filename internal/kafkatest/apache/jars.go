package apache

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// ErrMissing is wrapped by every error about what this machine lacks to run a
// Kafka from its jars.
var ErrMissing = errors.New("a real Kafka cannot be started here")

// jarsEnv names the folder of the jars and spares Maven.
const jarsEnv = "BLUETICK_KAFKA_JARS"

//go:embed pom.xml
var pom []byte

// Jars returns the folder with Kafka's jars. BLUETICK_KAFKA_JARS names it, else
// it is .cache/kafka-jars beside go.mod, which Maven fills when first asked for
// (43 MB). Processes may ask at the same time.
func Jars(ctx context.Context) (string, error) {
	if dir := os.Getenv(jarsEnv); dir != "" {
		if found, _ := filepath.Glob(filepath.Join(dir, "kafka_*.jar")); len(found) == 0 { // the pattern is sound
			return "", fmt.Errorf("%w: %s=%s has no kafka_*.jar", ErrMissing, jarsEnv, dir)
		}
		return dir, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".cache", "kafka-jars")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of the kafka jars: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("lock the folder of the kafka jars: %w", err)
	}
	defer unlock()
	return dir, fetch(ctx, dir)
}

// fetch has Maven fill dir with the jars of pom.xml, unless they are there.
func fetch(ctx context.Context, dir string) error {
	pomFile := filepath.Join(dir, "pom.xml") // written last: there and equal means complete
	if have, err := os.ReadFile(pomFile); err == nil && string(have) == string(pom) {
		return nil
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("%w: no mvn to fetch its jars (or set %s)", ErrMissing, jarsEnv)
	}
	next := filepath.Join(dir, "next.xml")
	if err := os.WriteFile(next, pom, 0o644); err != nil {
		return fmt.Errorf("fetch kafka jars: %w", err)
	}
	cmd := exec.CommandContext(ctx, mvn, "-B", "-q", "-f", next, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: mvn could not fetch its jars: %w\n%s", ErrMissing, err, out)
	}
	if err := os.Rename(next, pomFile); err != nil {
		return fmt.Errorf("fetch kafka jars: %w", err)
	}
	return nil
}

// moduleRoot returns the nearest folder upwards that has a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look for the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("%w: not inside the module, so %s must name its jars", ErrMissing, jarsEnv)
		}
		dir = up
	}
}

// lock waits for the exclusive use of a file.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close() // the lock error counts
		return nil, err
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}
