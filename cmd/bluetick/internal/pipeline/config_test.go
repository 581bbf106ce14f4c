package pipeline

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/ingest"
)

func noEnv(string) string { return "" }

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
	if err := c.Finish(noEnv); err != nil {
		t.Fatal(err)
	}
	if !c.Kafka.Embedded() || !c.ClickHouse.Embedded() {
		t.Error("the default is not embedded")
	}
	if c.Kafka.Listen != "" {
		t.Errorf("the embedded Kafka listens on %s without having been asked", c.Kafka.Listen)
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
	if err := c.Finish(func(name string) string { return map[string]string{"APP_SECRET": "s3cret"}[name] }); err != nil {
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

// TestEveryKey: the keys of the file, each with what it sets. A key that is
// renamed breaks the files of operators.
func TestEveryKey(t *testing.T) {
	c, err := Load(write(t, `
data: /d
log: {level: debug, format: json}
start_timeout: 3s
ingest: {listen: "a:1", max_body_bytes: 2048, max_concurrent: 3, min_body_rate: 7, max_bytes_in_flight: 8192, produce_timeout: 4s, keep_raw: true, values: {campaign: 1, template: 2, variant: 3, segment: 4, language: 5, tuples: 6}}
sources:
  - {name: n, provider: meta, secrets: [s], verify_token: v, account: acc, accounts: ["1", "2"], campaign_pattern: "c.*", max_event_age: 5h}
pepper: pp
kafka: {listen: "k:2", brokers: ["b:3"], accept_loss: true, partitions: 6, replication_factor: 7}
clickhouse: {listen: "c:4", dsn: "clickhouse://h:9000", database: db, library: lib, events_ttl_days: 8, panes_ttl_days: 9, rates_ttl_days: 0, readers: {queries: 2, memory_bytes: 300000000, time: 9s}, reader_password: rp}
sink: {accept_gap: true}
metrics: {listen: "m:5"}
http: {hosts: [bt.example.org], origins: ["https://pages.example.org"]}
alerts:
  false_alarms: 9 per account per 30d
  max_series: 10
  rules: [{name: r, metric: open_rate, wrong: below, groupings: [campaign], tiers: [{age: 24h, severity: info, benchmark: baseline, benchmark_age: 1h}], false_alarms: 1 per account per 30d}]
  webhooks: [{name: w, url: "https://h", secret: "whsec_x"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Data, want.StartTimeout, want.Pepper = "/d", 3*time.Second, "pp"
	want.Log.Level, want.Log.Format = "debug", "json"
	want.Ingest.Listen, want.Ingest.MaxBodyBytes, want.Ingest.MaxConcurrent = "a:1", 2048, 3
	want.Ingest.ProduceTimeout, want.Ingest.KeepRaw = 4*time.Second, true
	want.Sink.AcceptGap = true
	want.Metrics.Listen = "m:5"
	if c.Data != want.Data || c.StartTimeout != want.StartTimeout || c.Pepper != want.Pepper || c.Log != want.Log ||
		c.Sink != want.Sink || c.Metrics != want.Metrics {
		t.Errorf("got %+v", c)
	}
	in := c.Ingest
	if in.Listen != "a:1" || in.MaxBodyBytes != 2048 || in.MaxConcurrent != 3 || in.MinBodyRate != 7 || in.MaxBytesInFlight != 8192 || in.ProduceTimeout != 4*time.Second || !in.KeepRaw || in.ReadTimeout != want.Ingest.ReadTimeout ||
		in.Values != (ingest.ValueLimits{Campaign: 1, Template: 2, Variant: 3, Segment: 4, Language: 5, Tuples: 6}) {
		t.Errorf("ingest %+v", in)
	}
	s := c.Sources[0]
	if s.Name != "n" || s.Provider != "meta" || s.Secrets[0] != "s" || s.VerifyToken != "v" || s.Account != "acc" || !slices.Equal(s.Accounts, []string{"1", "2"}) || s.CampaignPattern != "c.*" || s.MaxEventAge != 5*time.Hour {
		t.Errorf("source %+v", s)
	}
	if k := c.Kafka; k.Listen != "k:2" || !slices.Equal(k.Brokers, []string{"b:3"}) || !k.AcceptLoss || k.Partitions != 6 || k.ReplicationFactor != 7 {
		t.Errorf("kafka %+v", k)
	}
	ch := ClickHouse{Listen: "c:4", DSN: "clickhouse://h:9000", Database: "db", Library: "lib", EventsTTLDays: 8, PanesTTLDays: 9, ReaderPassword: "rp"}
	ch.Readers.Concurrency, ch.Readers.MemoryBytes, ch.Readers.Time = 2, 300_000_000, 9*time.Second
	if c.ClickHouse != ch {
		t.Errorf("clickhouse %+v, want %+v", c.ClickHouse, ch)
	}
	if h := c.HTTP; !slices.Equal(h.Hosts, []string{"bt.example.org"}) || !slices.Equal(h.Origins, []string{"https://pages.example.org"}) {
		t.Errorf("http %+v", h)
	}
	a := c.Alerts
	if a.FalseAlarms != "9 per account per 30d" || a.MaxSeries != 10 || len(a.Rules) != 1 || a.Rules[0].Tiers[0].BenchmarkAge != 3600 ||
		a.Webhooks[0].Name != "w" || a.Webhooks[0].URL != "https://h" || a.Webhooks[0].Secret != "whsec_x" {
		t.Errorf("alerts %+v", a)
	}
}

// TestUnknownKeysAreRefused, in every section: above all what is a setting of
// the code and not of the operator.
func TestUnknownKeysAreRefused(t *testing.T) {
	for _, text := range []string{
		"ingets: {}", "ingest: {headertimeout: 1s}", "ingest: {pepper: x}", "ingest: {sources: []}", "sink: {linger: 1s}",
		"sources: [{nmae: x}]", "alerts: {rules: [{name: opens, wrnog: below}]}", "alerts: {webhooks: [{attempts: 1}]}",
		"kafka: {broker: x}", "clickhouse: {db: x}", "log: {lvl: x}", "metrics: {port: 1}",
	} {
		path := write(t, text+"\n")
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "read config "+path) || !strings.Contains(err.Error(), "line 1: field") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMissingSecretsAreNamed(t *testing.T) {
	c := Default()
	c.Pepper = "env:NO_PEPPER"
	c.ClickHouse.DSN = "env:NO_DSN"
	c.Sources = []ingest.Source{{Name: "main", Provider: "meta", Secrets: []string{"env:NOPE", "file:/does/not/exist"}, VerifyToken: "env:NO_TOKEN"}}
	c.Alerts.Webhooks = []receiver.WebhookConfig{{Name: "ops", Secret: "env:NO_HOOK"}}
	err := c.Finish(noEnv)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"configuration: pepper: environment variable NO_PEPPER is empty", "clickhouse.dsn: environment variable NO_DSN",
		"sources main: secrets: environment variable NOPE", "/does/not/exist", "sources main: verify_token: environment variable NO_TOKEN",
		"alerts.webhooks ops: secret: environment variable NO_HOOK",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not mentioned in %v", want, err)
		}
	}
}

// TestEveryMistakeAtOnce fixes the words that operators read.
func TestEveryMistakeAtOnce(t *testing.T) {
	c := Default()
	c.Data = ""
	c.Ingest.Listen, c.Ingest.MaxBodyBytes, c.Ingest.MaxConcurrent, c.Ingest.ProduceTimeout = "8080", 1, 0, time.Millisecond
	c.Ingest.MinBodyRate, c.Ingest.MaxBytesInFlight = 0, 1
	c.StartTimeout = -time.Second
	c.Kafka.Listen, c.Kafka.Partitions = "k", 2000
	c.ClickHouse = ClickHouse{Listen: "c", Database: "a; DROP", EventsTTLDays: -1, PanesTTLDays: -2, RatesTTLDays: -3}
	c.Metrics.Listen = "m"
	c.Log.Level, c.Log.Format = "loud", "xml"
	c.Sources = []ingest.Source{
		{Name: "Main!", Provider: "meta", Secrets: []string{"x"}},
		{Name: "a", Provider: "carrier-pigeon", Secrets: []string{""}, CampaignPattern: "("},
		{Name: "b", Provider: "meta", MaxEventAge: 400 * time.Hour},
		{Name: "b", Provider: "meta", Secrets: []string{"x"}},
	}
	c.Alerts.Webhooks = []receiver.WebhookConfig{{Name: "ops", URL: "ftp://x"}}
	err := c.Finish(noEnv)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(strings.TrimPrefix(err.Error(), "configuration: "), "\n")
	want := []string{
		`data: no folder given`,
		`start_timeout: -1s, want more than 0`,
		`ingest.listen: "8080" is not host:port`,
		`ingest.max_body_bytes: 1 is outside 1024 to 5177344: Kafka takes no larger record`,
		`ingest.min_body_rate: 0, want at least 1 byte a second`,
		`ingest.max_bytes_in_flight: 1, want at least 2: a body of max_body_bytes takes twice that while it grows`,
		`ingest.max_concurrent: 0, want at least 1`,
		`ingest.produce_timeout: 1ms, want at least 100ms`,
		`kafka.listen: "k" is not host:port`,
		`kafka.partitions: 2000 is outside 1 to 1024`,
		`clickhouse.listen: "c" is not host:port`,
		`clickhouse.database: "a; DROP" is no plain identifier`,
		`clickhouse.events_ttl_days: -1, want 0 (keep) or more`,
		`clickhouse.panes_ttl_days: -2, want 0 (keep) or more`,
		`clickhouse.rates_ttl_days: -3, want 0 (keep) or more`,
		`metrics.listen: "m" is not host:port`,
		`log.level: "loud", want debug, info, warn or error`,
		`log.format: "xml", want text or json`,
		`sources[0] "Main!": name: want lower-case letters, digits, - and _, at most 63`,
		`sources[1] "a": provider: "carrier-pigeon" is not known; this build has meta`,
		`sources[1] "a": secrets: one is empty`,
		"sources[1] \"a\": campaign_pattern: error parsing regexp: missing closing ): `(`",
		`sources[2] "b": secrets: none given; for Meta it is the app secret`,
		`sources[2] "b": max_event_age: 400h0m0s, want up to 240h: what is older could meet a message that is already forgotten`,
		`sources[3] "b": name: given twice`,
		`alerts.webhooks[0] "ops": url: want http:// or https:// and a host`,
		`alerts.webhooks[0] "ops": secret: none given; make one with: echo whsec_$(openssl rand -base64 32)`,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestForAsking: a second terminal needs none of the secrets.
func TestForAsking(t *testing.T) {
	c := Default()
	c.Pepper = "env:NOPE"
	c.Sources = []ingest.Source{{Name: "main", Provider: "meta", Secrets: []string{"env:NOPE"}}}
	c.Alerts.Webhooks = []receiver.WebhookConfig{{Name: "ops", URL: "https://h", Secret: "env:NOPE"}}
	c.ForAsking()
	if err := c.Finish(noEnv); err != nil || c.Log.Level != "warn" {
		t.Errorf("level %s, %v", c.Log.Level, err)
	}
}
