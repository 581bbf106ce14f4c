package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEverySecretMayStandElsewhere: each takes env: and file:, and so does a URL
// that holds a token.
func TestEverySecretMayStandElsewhere(t *testing.T) {
	const hook = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("https://example.org/t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(write(t, `
pepper: env:PEPPER
clickhouse: {dsn: "env:DSN"}
sources: [{name: main, provider: meta, secrets: ["env:APP", "env:APP2"], verify_token: "env:TOKEN"}]
alerts: {webhooks: [{name: ops, url: "file:`+file+`", secret: "env:HOOK"}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"PEPPER": "5d2ae8c1b07f4e96a3d80c17f6b94e2d", "DSN": "clickhouse://w:s3cret@db:9000", "APP": "one", "APP2": "two", "TOKEN": "word", "HOOK": hook,
	}
	if err := c.Finish(func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	s, w := c.Sources[0], c.Alerts.Webhooks[0]
	if c.Pepper != env["PEPPER"] || c.ClickHouse.DSN != env["DSN"] || s.Secrets[0] != "one" || s.Secrets[1] != "two" || s.VerifyToken != "word" ||
		w.URL != "https://example.org/t0ken" || w.Secret != hook || len(c.Warnings) > 0 {
		t.Errorf("got %+v", c)
	}
}

// TestFilesOthersMayRead: the file of a secret, and a configuration that holds
// secrets itself.
func TestFilesOthersMayRead(t *testing.T) {
	secretFile := write(t, "s3cret")
	for name, c := range map[string]struct {
		text   string
		config os.FileMode
		secret os.FileMode
		want   []string
	}{
		"all its owner's":          {"sources: [{name: main, provider: meta, secrets: ['file:" + secretFile + "', s3cret]}]", 0o600, 0o600, nil},
		"an open secret":           {"sources: [{name: main, provider: meta, secrets: ['file:" + secretFile + "']}]", 0o600, 0o644, []string{"sources main: secrets: others may read file " + secretFile}},
		"an open configuration":    {"sources: [{name: main, provider: meta, secrets: [s3cret]}]", 0o644, 0o600, []string{"it holds secrets (sources main: secrets): chmod 600"}},
		"open, but nothing in it":  {"sources: [{name: main, provider: meta, secrets: ['file:" + secretFile + "']}]", 0o644, 0o600, nil},
		"a DSN without a password": {"clickhouse: {dsn: 'clickhouse://db:9000'}", 0o644, 0o600, nil},
		"a DSN with one":           {"clickhouse: {dsn: 'clickhouse://w:s3cret@db:9000'}", 0o644, 0o600, []string{"it holds secrets (clickhouse.dsn)"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.text)
			if err := os.Chmod(path, c.config); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(secretFile, c.secret); err != nil {
				t.Fatal(err)
			}
			cfg, err := Load(path)
			if err == nil {
				err = cfg.Finish(noEnv)
			}
			if err != nil || len(cfg.Warnings) != len(c.want) {
				t.Fatalf("warnings %q, %v", cfg.Warnings, err)
			}
			for i, want := range c.want {
				if !strings.Contains(cfg.Warnings[i], want) || strings.Contains(cfg.Warnings[i], "s3cret") {
					t.Errorf("%q, want %q", cfg.Warnings[i], want)
				}
			}
		})
	}
}
