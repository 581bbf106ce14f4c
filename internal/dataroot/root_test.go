package dataroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOneHolder(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir)
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("second holder: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	again.Close()
}

func TestRoom(t *testing.T) {
	r, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Room(1); err != nil {
		t.Errorf("a byte: %v", err)
	}
	if err := r.Room(1 << 62); err == nil || !strings.Contains(err.Error(), "free some room") {
		t.Errorf("more than any disk has: %v", err)
	}
	if _, err := FreeBytes(r.Dir() + "/missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

func TestSecretStays(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Secret("pepper")
	if err != nil || len(a) != 64 {
		t.Fatalf("%q, %v", a, err)
	}
	b, err := r.Secret("pepper")
	if err != nil || a != b {
		t.Errorf("second reading %q, %v", b, err)
	}
	if other, _ := r.Secret("admin"); other == a {
		t.Error("two names, one secret")
	}
	info, err := os.Stat(dir + "/pepper.secret")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(dir+"/pepper.secret", []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Secret("pepper"); err == nil {
		t.Error("a damaged secret was replaced silently")
	}
	r.Close()
}

func TestAnnounce(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRun(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	want := Run{PID: 5, Ingest: "127.0.0.1:8080", AdminPassword: "x"}
	if err := r.Announce(want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadRun(dir); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	r.Close()
	if _, err := ReadRun(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

// TestStaleRun: the run.json of a killed process does not outlive the start of
// the next one.
func TestStaleRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(runPath(dir), []byte(`{"pid":1,"clickhouse":"127.0.0.1:1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := ReadRun(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old one is still there: %v", err)
	}
}

func TestEpoch(t *testing.T) {
	r, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if e, err := r.Epoch(); err != nil || e != (Epoch{Current: 1}) {
		t.Errorf("a new folder: %+v, %v", e, err)
	}
	want := Epoch{Current: 2, Rebuild: 3, FirstMinute: 1_790_000_040}
	if err := r.SetEpoch(want); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Epoch(); err != nil || e != want {
		t.Errorf("got %+v, %v", e, err)
	}
	for _, bad := range []string{"", "{}", "2"} {
		if err := os.WriteFile(filepath.Join(r.Dir(), "epoch.json"), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if e, err := r.Epoch(); err == nil {
			t.Errorf("%q is %+v", bad, e)
		}
	}
}
