package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bluetick.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// settings is a small configuration of a process.
type settings struct {
	Door struct {
		Listen  string        `yaml:"listen"`
		Timeout time.Duration `yaml:"timeout"`
		Hidden  int           `yaml:"-"`
	} `yaml:"door"`
}

func defaults() settings {
	var s settings
	s.Door.Listen, s.Door.Timeout, s.Door.Hidden = "127.0.0.1:1", time.Second, 7
	return s
}

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		listen  string
		mistake string
	}{
		"no key":              {"", "127.0.0.1:1", ""},
		"a comment":           {"# door: {listen: x}\n", "127.0.0.1:1", ""},
		"one key":             {"door: {listen: '127.0.0.1:2'}", "127.0.0.1:2", ""},
		"unknown section":     {"dor: {}", "", "dor"},
		"unknown key":         {"door: {lisen: x}", "", "lisen"},
		"a key that is ours":  {"door: {hidden: 1}", "", "hidden"},
		"a number for a text": {"door: {timeout: soon}", "", "soon"},
	} {
		path, s := write(t, c.text), defaults()
		err := Load(path, &s)
		if c.mistake != "" {
			if err == nil || !strings.Contains(err.Error(), c.mistake) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || s.Door.Listen != c.listen || s.Door.Timeout != time.Second || s.Door.Hidden != 7 {
			t.Errorf("%s: %+v, %v", name, s.Door, err)
		}
	}
}

func TestLoadWithoutAFile(t *testing.T) {
	s := defaults()
	if err := Load("", &s); err != nil || s != defaults() {
		t.Errorf("%+v, %v", s, err)
	}
	if err := Load(filepath.Join(t.TempDir(), "none.yaml"), &s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestUnder(t *testing.T) {
	if err := Under("ingest", nil); err != nil {
		t.Errorf("no mistake: %v", err)
	}
	cause := errors.New("listen: no port")
	err := Under("ingest", errors.Join(cause, nil, errors.Join(errors.New("max_concurrent: 0"))))
	if want := "ingest.listen: no port\ningest.max_concurrent: 0"; err.Error() != want || !errors.Is(err, cause) {
		t.Errorf("got %q, want %q", err, want)
	}
	if err := Under("a", errors.Join()); err != nil {
		t.Errorf("an empty join: %v", err)
	}
}
