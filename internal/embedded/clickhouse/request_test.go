package clickhouse

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestValues(t *testing.T) {
	got, exc := values("query=SELECT%201;&a=b+c&&flag&param_x=%27%26=")
	want := []param{{"query", "SELECT 1;"}, {"a", "b c"}, {"flag", ""}, {"param_x", "'&="}}
	if exc != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v", got, exc)
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "": false, "br": false, "gzip;q=0": false, "gzipx": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("%q: %t", header, got)
		}
	}
}

func TestAsException(t *testing.T) {
	for text, want := range map[string]struct{ code, status int }{
		"Code: 60. DB::Exception: Table x does not exist. (UNKNOWN_TABLE)":    {60, 404},
		"Code: 62. DB::Exception: Syntax error: 'Code: 60.'":                  {62, 400},
		"Code: 164. DB::Exception: Code: 164. DB::Exception: no. (READONLY)":  {164, 403},
		"Code: 241. DB::Exception: memory. (MEMORY_LIMIT_EXCEEDED)":           {241, 500},
		"nothing known, but it quotes Code: 60. of somebody":                  {1002, 500},
		"Code: 99999999999999999999. DB::Exception: a number that is not one": {1002, 500},
	} {
		exc := asException(errors.New(text))
		if exc.code != want.code || exc.status() != want.status || !strings.HasPrefix(exc.text, "Code: ") {
			t.Errorf("%s: %d %d %q", text, exc.code, exc.status(), exc.text)
		}
	}
}

func TestLocate(t *testing.T) {
	there := filepath.Join(t.TempDir(), "lib.so")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(LibraryEnv, there)
	if got, err := Locate(""); err != nil || got != there {
		t.Errorf("by environment: %q, %v", got, err)
	}
	if got, err := Locate(there + "x"); err == nil || !strings.Contains(err.Error(), "make lib") {
		t.Errorf("override that is not there: %q, %v", got, err)
	}
	t.Setenv(LibraryEnv, "")
	root := t.TempDir()
	below := filepath.Join(root, "a", "b")
	stem := libraryFile("linux", "amd64")
	for _, dir := range []string{below, filepath.Join(root, filepath.Dir(stem))} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := search([]string{below}, stem); ok {
		t.Errorf("found %q in an empty tree", got)
	}
	want := filepath.Join(root, stem+".so")
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := search([]string{below}, stem); !ok || got != want {
		t.Errorf("from a folder below: %q", got)
	}
	for platform, want := range map[[2]string]string{
		{"linux", "amd64"}: "lib-linux-x64-gnu", {"linux", "arm64"}: "lib-linux-arm64-gnu",
		{"darwin", "arm64"}: "lib-darwin-arm64", {"darwin", "amd64"}: "lib-darwin-x64",
	} {
		if got := filepath.Base(filepath.Dir(libraryFile(platform[0], platform[1]))); got != want {
			t.Errorf("%v: %s", platform, got)
		}
	}
}

func TestDefaultMemory(t *testing.T) {
	const gib = 1 << 30
	for machine, want := range map[int64]int64{64 * gib: 2 * gib, 4 * gib: gib, gib / 2: minMemoryBytes} {
		if got := defaultMemoryBytes(machine); got != want {
			t.Errorf("%d: %d, want %d", machine, got, want)
		}
	}
}
