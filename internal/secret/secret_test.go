package secret

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sources are a world of one variable and some files.
func sources() Sources {
	return Sources{
		Env: func(name string) string { return map[string]string{"APP": "s3cret"}[name] },
		File: func(path string) ([]byte, fs.FileMode, error) {
			switch path {
			case "/mine":
				return []byte("s3cret\n"), 0o600, nil
			case "/theirs":
				return []byte("s3cret"), 0o644, nil
			case "/group":
				return []byte("s3cret"), 0o640, nil
			case "/windows":
				return []byte("s3cret\r\n"), 0o400, nil
			case "/blanks":
				return []byte(" s3cret \n"), 0o400, nil
			case "/empty":
				return []byte("\n"), 0o600, nil
			}
			return nil, 0, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
	}
}

func TestResolve(t *testing.T) {
	for name, c := range map[string]struct {
		value, text, warning, mistake string
	}{
		"the secret itself":        {value: "s3cret", text: "s3cret"},
		"none":                     {},
		"a variable":               {value: "env:APP", text: "s3cret"},
		"no such variable":         {value: "env:NOPE", mistake: "sources main: secrets: environment variable NOPE is empty or not set"},
		"a variable without name":  {value: "env:", mistake: "sources main: secrets: environment variable  is empty or not set"},
		"a file":                   {value: "file:/mine", text: "s3cret"},
		"with a return":            {value: "file:/windows", text: "s3cret"},
		"blanks belong to it":      {value: "file:/blanks", text: " s3cret "},
		"for a group":              {value: "file:/group", text: "s3cret"},
		"for all to read":          {value: "file:/theirs", text: "s3cret", warning: "sources main: secrets: others may read file /theirs: chmod 600 /theirs"},
		"an empty file":            {value: "file:/empty", mistake: "sources main: secrets: file /empty is empty"},
		"no such file":             {value: "file:/none", mistake: "sources main: secrets: file /none: file does not exist"},
		"a form that there is not": {value: "vault:x", text: "vault:x"},
	} {
		t.Run(name, func(t *testing.T) {
			text, warning, err := Resolve("sources main: secrets", c.value, sources())
			if text != c.text || warning != c.warning {
				t.Errorf("got %q, warning %q; want %q, %q", text, warning, c.text, c.warning)
			}
			if (err == nil) != (c.mistake == "") || err != nil && err.Error() != c.mistake {
				t.Errorf("got %v, want %q", err, c.mistake)
			}
			if strings.Contains(warning, "s3cret") {
				t.Errorf("the warning tells the secret: %s", warning)
			}
		})
	}
	if _, _, err := Resolve("pepper", "file:/none", sources()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestLiteral(t *testing.T) {
	for value, want := range map[string]bool{"": false, "env:A": false, "file:/a": false, "x": true, "ENV:A": true} {
		if got := Literal(value); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func TestInAddress(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "env:DSN": false, "file:/dsn": false, "clickhouse://db:9000/bluetick": false, "clickhouse://reader@db:9000": false, "clickhouse://reader:@db:9000": false,
		"clickhouse://writer:s3cret@db:9000": true, "http://writer:a@b:c@db:8123": true, "clickhouse://db:9000?username=a&password=b": true,
	} {
		if got := InAddress(value); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func TestOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	from := OS(func(string) string { return "" })
	if text, warning, err := Resolve("x", "file:"+path, from); text != "s3cret" || warning != "" || err != nil {
		t.Errorf("got %q, %q, %v", text, warning, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, warning, err := Resolve("x", "file:"+path, from); !strings.Contains(warning, path) || err != nil {
		t.Errorf("warning %q, %v", warning, err)
	}
	if _, _, err := Resolve("x", "file:"+path+".none", from); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
