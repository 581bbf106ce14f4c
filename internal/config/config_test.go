package config

import (
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

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if !c.EmbeddedKafka() || !c.EmbeddedClickHouse() {
		t.Error("the default is not embedded")
	}
}

func TestLoadOverDefaults(t *testing.T) {
	c, err := Load(write(t, `
ingest: {listen: "127.0.0.1:0", produce_timeout: 2s}
sink: {accept_gap: true}
sources:
  - {name: main, provider: meta, secrets: ["env:APP_SECRET"], verify_token: "plain"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Resolve(func(name string) string { return map[string]string{"APP_SECRET": "s3cret"}[name] }); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s := c.Sources[0]
	if s.Secrets[0] != "s3cret" || s.VerifyToken != "plain" || s.MaxEventAge != 240*time.Hour {
		t.Errorf("source %+v", s)
	}
	if c.Ingest.ProduceTimeout != 2*time.Second || c.Ingest.MaxBodyBytes != 4<<20 {
		t.Errorf("ingest %+v", c.Ingest)
	}
	if !c.Sink.AcceptGap || Default().Sink.AcceptGap {
		t.Error("sink.accept_gap is not what the file says, or not off by default")
	}
}

func TestUnknownKeyIsRefused(t *testing.T) {
	if _, err := Load(write(t, "ingets: {}\n")); err == nil || !strings.Contains(err.Error(), "ingets") {
		t.Errorf("error %v", err)
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	c, err := Load(write(t, ""))
	if err != nil || c.Ingest.Listen != Default().Ingest.Listen {
		t.Errorf("%+v, %v", c.Ingest, err)
	}
}

func TestMissingSecretsAreNamed(t *testing.T) {
	c := Default()
	c.Sources = []Source{{Name: "main", Provider: "meta", Secrets: []string{"env:NOPE", "file:/does/not/exist"}}}
	err := c.Resolve(func(string) string { return "" })
	if err == nil || !strings.Contains(err.Error(), "NOPE") || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("error %v", err)
	}
}

func TestValidateTellsEveryMistake(t *testing.T) {
	c := Default()
	c.Ingest.Listen = "8080"
	c.Ingest.MaxBodyBytes = 1
	c.StartTimeout = -time.Second
	c.ClickHouse.Database = "a; DROP"
	c.Log.Level = "loud"
	c.Sources = []Source{
		{Name: "Main!", Provider: "meta", Secrets: []string{"x"}},
		{Name: "a", Provider: "carrier-pigeon", Secrets: []string{""}, CampaignPattern: "("},
		{Name: "b", Provider: "meta", MaxEventAge: 400 * time.Hour},
		{Name: "b", Provider: "meta", Secrets: []string{"x"}},
	}
	c.Alerts.Webhooks = []Webhook{{Name: "ops", URL: "ftp://x"}}
	err := c.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"ingest.listen", "max_body_bytes", "start_timeout", "clickhouse.database", "log.level", `"Main!"`, "carrier-pigeon",
		"one is empty", "campaign_pattern", "none given; for Meta", "max_event_age", "given twice", "http://", "whsec_",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not mentioned", want)
		}
	}
}
