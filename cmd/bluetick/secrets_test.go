package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parsed is the command line with these arguments.
func parsed(t *testing.T, out io.Writer, args ...string) *cli {
	t.Helper()
	var c cli
	k, err := kong.New(&c, kong.Name("bluetick"), kong.Writers(out, out), kong.Exit(func(int) {}), kong.BindTo(t.Context(), (*context.Context)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &c
}

// TestSecretOnTheCommandLine: ps shows it to everybody, and the start says so
// with the form to use. Nothing is said of the same in the environment.
func TestSecretOnTheCommandLine(t *testing.T) {
	const strong = "5d2ae8c1b07f4e96a3d80c17f6b94e2d"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(strong), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("THE_SECRET", strong)
	t.Setenv("THE_DSN", "clickhouse://writer:s3cret@db:9000")
	for name, c := range map[string]struct {
		args []string
		want []string // flags that are warned of
	}{
		"nothing":           {nil, nil},
		"an app secret":     {[]string{"--meta-app-secret", "s3cret"}, []string{"--meta-app-secret"}},
		"with =":            {[]string{"--meta-app-secret=s3cret"}, []string{"--meta-app-secret"}},
		"both of Meta":      {[]string{"--meta-app-secret", "s3cret", "--meta-verify-token", "t0ken"}, []string{"--meta-app-secret", "--meta-verify-token"}},
		"a pepper":          {[]string{"--pepper", strong}, []string{"--pepper"}},
		"a DSN":             {[]string{"--clickhouse-dsn", "clickhouse://writer:s3cret@db:9000"}, []string{"--clickhouse-dsn"}},
		"a DSN without":     {[]string{"--clickhouse-dsn", "clickhouse://db:9000"}, nil},
		"from variables":    {[]string{"--meta-app-secret", "env:THE_SECRET", "--meta-verify-token", "env:THE_SECRET", "--pepper", "env:THE_SECRET", "--clickhouse-dsn", "env:THE_DSN"}, nil},
		"from files":        {[]string{"--meta-app-secret", "file:" + file, "--meta-verify-token", "file:" + file, "--pepper", "file:" + file}, nil},
		"what is no secret": {[]string{"--data", "d", "--log-level", "info", "--ingest-listen", "127.0.0.1:0"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cli := parsed(t, io.Discard, append([]string{"run"}, c.args...)...)
			cfg, err := cli.Run.load()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range cfg.Warnings {
				flag, rest, _ := strings.Cut(w, ":")
				got = append(got, flag)
				if !strings.Contains(rest, flag+" env:NAME or "+flag+" file:PATH, or set BLUETICK_") {
					t.Errorf("no remedy in %q", w)
				}
				if strings.Contains(w, "s3cret") || strings.Contains(w, strong) || strings.Contains(w, "t0ken") {
					t.Errorf("the warning tells the secret: %s", w)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("warned of %v, want %v", got, c.want)
			}
		})
	}
	t.Run("in the environment", func(t *testing.T) {
		t.Setenv("BLUETICK_META_APP_SECRET", "s3cret")
		t.Setenv("BLUETICK_PEPPER", strong)
		t.Setenv("BLUETICK_CLICKHOUSE_DSN", "clickhouse://writer:s3cret@db:9000")
		cfg, err := parsed(t, io.Discard, "run").Run.load()
		if err != nil || len(cfg.Warnings) > 0 || cfg.Sources[0].Secrets[0] != "s3cret" {
			t.Errorf("warnings %q, %v", cfg.Warnings, err)
		}
	})
}

// TestHelpTeachesNoSecret: what help shows, people type. No shell variable that
// the shell puts on the command line, no password in a DSN.
func TestHelpTeachesNoSecret(t *testing.T) {
	for _, command := range []string{"run", "ingest", "aggregate", "sink", "alert", "topics", "migrate", "audit", "sql", "demo"} {
		var out bytes.Buffer
		func() {
			defer func() { _ = recover() }() // Exit does not end the parsing here
			args := []string{command, "--help"}
			if command == "sql" {
				args = []string{command, "SELECT 1", "--help"}
			}
			parsed(t, &out, args...)
		}()
		text := out.String()
		if !strings.Contains(text, "file:PATH") {
			t.Errorf("%s: no form for secrets in\n%s", command, text)
		}
		for _, taught := range []string{`"$`, "user:password@clickhouse", "user:password@host"} {
			if strings.Contains(text, taught) {
				t.Errorf("%s teaches %s", command, taught)
			}
		}
	}
}

// TestWeakPepperIsRefused before anything starts, with the remedy.
func TestWeakPepperIsRefused(t *testing.T) {
	for _, pepper := range []string{strings.Repeat("a", 16), "changeme", strings.Repeat("0123456789", 8)} {
		_, err := (&settings{Pepper: pepper}).load()
		if err == nil || !strings.Contains(err.Error(), "pepper: too weak") || !strings.Contains(err.Error(), "openssl rand -hex 32") || strings.Contains(err.Error(), pepper) {
			t.Errorf("%q: %v", pepper, err)
		}
	}
}
