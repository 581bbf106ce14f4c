// Package dataroot owns the folder that holds all of bluetick's local data: one
// lock for the whole of it, its layout, its secrets, and the file that tells
// other commands where a running process listens.
package dataroot

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Root is an open, locked data folder. One process holds it at a time: the
// embedded Kafka has no lock of its own, and a second ClickHouse engine on the
// same folder fails without giving a reason.
type Root struct {
	dir  string
	lock *os.File
}

// ErrBusy is the error of a folder that another process holds.
var ErrBusy = errors.New("data folder is in use")

// Open makes dir if needed and locks it until Close. A folder held by another
// process gives an error that wraps ErrBusy and names that process.
func Open(dir string) (*Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(abs, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid, _ := os.ReadFile(f.Name())
		f.Close()
		return nil, fmt.Errorf("%s: %w by process %s: stop that one, or give this one another --data", abs, ErrBusy, strings.TrimSpace(string(pid)))
	}
	// The run.json of a process that was killed would name places where nobody
	// listens any more, until this one announces its own.
	stale := os.Remove(runPath(abs))
	if errors.Is(stale, fs.ErrNotExist) {
		stale = nil
	}
	if err := errors.Join(stale, f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid()))); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return &Root{dir: abs, lock: f}, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// Dir is the absolute path of the folder.
func (r *Root) Dir() string { return r.dir }

// Kafka, ClickHouse and State are the folders of the parts.
func (r *Root) Kafka() string { return filepath.Join(r.dir, "kafka") }

// ClickHouse is the folder of the embedded engine.
func (r *Root) ClickHouse() string { return filepath.Join(r.dir, "clickhouse") }

// State is the folder of the folds' state.
func (r *Root) State() string { return filepath.Join(r.dir, "state") }

// Room returns nil if at least need bytes are free on the folder's disk, or if
// that cannot be found out.
func (r *Root) Room(need uint64) error {
	if free, err := FreeBytes(r.dir); err == nil && free < need {
		return fmt.Errorf("the disk of %s has %d bytes left and %d are needed: free some room", r.dir, free, need)
	}
	return nil
}

// FreeBytes returns what is left for this process on the disk of dir.
func FreeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("ask for the free room of %s: %w", dir, err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil //nolint:unconvert // the types differ between systems
}

// Close removes run.json and gives up the lock.
func (r *Root) Close() error {
	err := os.Remove(runPath(r.dir))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, r.lock.Close())
}

// Secret returns the secret of that name, made at random on first use and kept
// in the folder, readable by the owner alone.
func (r *Root) Secret(name string) (string, error) {
	path := filepath.Join(r.dir, name+".secret")
	b, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(b))) >= 32 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret %s: %w", name, err)
	}
	if err == nil {
		return "", fmt.Errorf("secret %s in %s is shorter than 32 characters: restore the file, or remove it and lose what it protects", name, path)
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make secret %s: %w", name, err)
	}
	secret := hex.EncodeToString(raw)
	return secret, writeWhole(path, []byte(secret+"\n"))
}

// Run is what run.json tells other commands about a running process.
type Run struct {
	PID           int    `json:"pid"`
	Ingest        string `json:"ingest,omitempty"`
	ClickHouse    string `json:"clickhouse,omitempty"`
	Metrics       string `json:"metrics,omitempty"`
	Kafka         string `json:"kafka,omitempty"`
	KafkaUser     string `json:"kafka_user,omitempty"`
	KafkaPassword string `json:"kafka_password,omitempty"`
	Database      string `json:"database,omitempty"`
	AdminUser     string `json:"admin_user,omitempty"`
	AdminPassword string `json:"admin_password,omitempty"`
}

// Announce writes run.json, readable by the owner alone.
func (r *Root) Announce(run Run) error {
	b, err := json.MarshalIndent(run, "", "  ")
	if err != nil {
		return fmt.Errorf("write run.json: %w", err)
	}
	return writeWhole(runPath(r.dir), append(b, '\n'))
}

// ReadRun tells where the process that holds dir listens. A folder without one
// gives an error that wraps fs.ErrNotExist; that of a killed process stays until
// the next Open.
func ReadRun(dir string) (Run, error) {
	b, err := os.ReadFile(runPath(dir))
	if err != nil {
		return Run{}, fmt.Errorf("read run.json: %w", err)
	}
	var run Run
	if err := json.Unmarshal(b, &run); err != nil {
		return Run{}, fmt.Errorf("read run.json: %w", err)
	}
	return run, nil
}

func runPath(dir string) string { return filepath.Join(dir, "run.json") }

// writeWhole replaces path so that a reader, a crash or a loss of power leaves
// the old text or the new one, never a part: with the pepper all contacts would
// be lost.
func writeWhole(path string, b []byte) error {
	tmp := path + ".new"
	err := writeSynced(tmp, b)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
