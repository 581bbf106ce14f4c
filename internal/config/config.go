// Package config is the one configuration of bluetick: a YAML file, then the
// environment, then flags. One struct, and Validate tells every mistake at once.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is everything an operator may set.
type Config struct {
	// Data is the folder that holds all state; one process at a time.
	Data string `yaml:"data"`
	Log  Log    `yaml:"log"`
	// StartTimeout is how long Kafka and ClickHouse may each take to answer at
	// the start, before the process gives up.
	StartTimeout time.Duration `yaml:"start_timeout"`
	// Ingest is the door for webhooks.
	Ingest Ingest `yaml:"ingest"`
	// Sources are the accounts that may send webhooks.
	Sources []Source `yaml:"sources"`
	// Pepper is the secret under which contacts are pseudonymised. Empty: one is
	// made and kept in the data folder. Changing it makes every contact a new one.
	Pepper     string     `yaml:"pepper"`
	Kafka      Kafka      `yaml:"kafka"`
	ClickHouse ClickHouse `yaml:"clickhouse"`
	Sink       Sink       `yaml:"sink"`
	Metrics    Metrics    `yaml:"metrics"`
	Alerts     Alerts     `yaml:"alerts"`
}

// Log says how logs are written.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

// Ingest configures the webhook server.
type Ingest struct {
	Listen string `yaml:"listen"`
	// MaxBodyBytes refuses larger bodies with 413. Meta sends up to 3 MB.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// MaxConcurrent is how many requests are worked on at once; more get 503.
	MaxConcurrent int `yaml:"max_concurrent"`
	// ProduceTimeout is how long Kafka may take to acknowledge before 503.
	ProduceTimeout time.Duration `yaml:"produce_timeout"`
	// KeepRaw also writes every authentic body as received to bluetick.raw.
	KeepRaw bool `yaml:"keep_raw"`
}

// Source is one provider account that may send webhooks to
// /v1/webhooks/<provider>/<name>.
type Source struct {
	Name     string `yaml:"name"`
	Provider string `yaml:"provider"`
	// Secrets sign the webhooks; several at once for rotation. Each is the
	// secret itself, "env:NAME" or "file:PATH".
	Secrets []string `yaml:"secrets"`
	// VerifyToken answers Meta's subscription handshake; same three forms.
	VerifyToken string `yaml:"verify_token"`
	// Account replaces the provider's account id in all data, if set.
	Account string `yaml:"account"`
	// CampaignPattern is a regular expression: callback data that is neither
	// JSON nor k=v pairs is the campaign if it matches.
	CampaignPattern string `yaml:"campaign_pattern"`
	// MaxEventAge refuses older events by name. Providers retry for 7 days.
	MaxEventAge time.Duration `yaml:"max_event_age"`
}

// Kafka says where Kafka is: embedded, or the given brokers.
type Kafka struct {
	// Listen is where the embedded one serves other programs; empty means nowhere.
	Listen  string   `yaml:"listen"`
	Brokers []string `yaml:"brokers"`
	// AcceptLoss starts on a damaged embedded log without the records that cannot
	// be read; without it the process does not start and says what is damaged.
	AcceptLoss bool `yaml:"accept_loss"`
	// Partitions and ReplicationFactor are used when topics are created; 0 copies
	// means 3, or as many as there are brokers.
	Partitions        int32 `yaml:"partitions"`
	ReplicationFactor int16 `yaml:"replication_factor"`
}

// ClickHouse says where ClickHouse is: embedded on Listen, or the server of DSN.
type ClickHouse struct {
	Listen   string `yaml:"listen"`
	DSN      string `yaml:"dsn"` // "env:NAME" and "file:PATH" work here too
	Database string `yaml:"database"`
	Library  string `yaml:"library"` // libchdb, if not where make puts it
	// EventsTTLDays deletes events after this many days; 0 keeps them.
	EventsTTLDays int `yaml:"events_ttl_days"`
}

// Sink configures the way into ClickHouse.
type Sink struct {
	// AcceptGap goes on where retention has deleted records before they came to
	// ClickHouse; without it the sink stops and says so.
	AcceptGap bool `yaml:"accept_gap"`
}

// Metrics configures the server for metrics, health and pprof.
type Metrics struct {
	Listen string `yaml:"listen"`
}

// Alerts configures the alert stage.
type Alerts struct {
	// FalseAlarms is the budget of each built-in rule in words: "1 per account
	// per 90d".
	FalseAlarms string `yaml:"false_alarms"`
	// Rules replaces the built-in rules: a list that the alert stage reads, see
	// alert.Rule.
	Rules    yaml.Node `yaml:"rules"`
	Webhooks []Webhook `yaml:"webhooks"`
}

// Webhook is a receiver of notifications, signed as Standard Webhooks.
type Webhook struct {
	Name   string `yaml:"name"`
	URL    string `yaml:"url"`
	Secret string `yaml:"secret"` // whsec_…, "env:NAME" or "file:PATH"
}

// Default is the single-machine product on its usual ports.
func Default() Config {
	return Config{
		Data:         "data",
		StartTimeout: 2 * time.Minute,
		Log:          Log{Level: "info", Format: "text"},
		Ingest:       Ingest{Listen: "127.0.0.1:8080", MaxBodyBytes: 4 << 20, MaxConcurrent: 256, ProduceTimeout: 5 * time.Second},
		Kafka:        Kafka{Partitions: 4},
		ClickHouse:   ClickHouse{Listen: "127.0.0.1:8123", Database: "bluetick"},
		Metrics:      Metrics{Listen: "127.0.0.1:9095"},
		Alerts:       Alerts{FalseAlarms: "1 per account per 90d"},
	}
}

// Load reads path over the defaults. An unknown key is an error: a misspelt
// setting must not be silently without effect.
func Load(path string) (Config, error) {
	c := Default()
	if path == "" {
		return c, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read config: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("read config %s: %w", path, err)
	}
	return c, nil
}

// EmbeddedKafka reports whether Kafka runs inside the process.
func (c *Config) EmbeddedKafka() bool { return len(c.Kafka.Brokers) == 0 }

// EmbeddedClickHouse reports whether ClickHouse runs inside the process.
func (c *Config) EmbeddedClickHouse() bool { return c.ClickHouse.DSN == "" }

// Resolve replaces every "env:NAME" and "file:PATH" by what it stands for and
// fills per-source defaults.
func (c *Config) Resolve(env func(string) string) error {
	var errs []error
	resolve := func(what string, s *string) {
		v, err := secret(*s, env)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
			return
		}
		*s = v
	}
	resolve("pepper", &c.Pepper)
	resolve("clickhouse.dsn", &c.ClickHouse.DSN)
	for i := range c.Sources {
		s := &c.Sources[i]
		if s.MaxEventAge == 0 {
			s.MaxEventAge = 10 * 24 * time.Hour
		}
		resolve("sources "+s.Name+": verify_token", &s.VerifyToken)
		for j := range s.Secrets {
			resolve("sources "+s.Name+": secrets", &s.Secrets[j])
		}
	}
	for i := range c.Alerts.Webhooks {
		w := &c.Alerts.Webhooks[i]
		resolve("alerts.webhooks "+w.Name+": secret", &w.Secret)
	}
	return errors.Join(errs...)
}

func secret(s string, env func(string) string) (string, error) {
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		if v := env(name); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("environment variable %s is empty", name)
	}
	if path, ok := strings.CutPrefix(s, "file:"); ok {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		return strings.TrimSpace(string(b)), nil
	}
	return s, nil
}

var (
	namePattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	databasePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
)

// maxBodyBytes is what ingest allows: below the 5 MiB that the topics for whole
// bodies take as one record.
const maxBodyBytes = 5<<20 - 64<<10

// Validate reports every mistake at once, each with the setting it is in.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for what, addr := range map[string]string{
		"ingest.listen": c.Ingest.Listen, "kafka.listen": c.Kafka.Listen,
		"clickhouse.listen": c.ClickHouse.Listen, "metrics.listen": c.Metrics.Listen,
	} {
		if addr == "" && what == "kafka.listen" {
			continue // no port
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad("%s: %q is not host:port", what, addr)
		}
	}
	if c.Data == "" {
		bad("data: no folder given")
	}
	if c.StartTimeout <= 0 {
		bad("start_timeout: %s, want more than 0", c.StartTimeout)
	}
	if c.Ingest.MaxBodyBytes < 1<<10 || c.Ingest.MaxBodyBytes > maxBodyBytes {
		bad("ingest.max_body_bytes: %d is outside 1024 to %d: Kafka takes no larger record", c.Ingest.MaxBodyBytes, maxBodyBytes)
	}
	if c.Ingest.MaxConcurrent < 1 {
		bad("ingest.max_concurrent: %d, want at least 1", c.Ingest.MaxConcurrent)
	}
	if c.Ingest.ProduceTimeout < 100*time.Millisecond {
		bad("ingest.produce_timeout: %s, want at least 100ms", c.Ingest.ProduceTimeout)
	}
	if c.Kafka.Partitions < 1 || c.Kafka.Partitions > 1024 {
		bad("kafka.partitions: %d is outside 1 to 1024", c.Kafka.Partitions)
	}
	if !databasePattern.MatchString(c.ClickHouse.Database) {
		bad("clickhouse.database: %q is no plain identifier", c.ClickHouse.Database)
	}
	if c.ClickHouse.EventsTTLDays < 0 {
		bad("clickhouse.events_ttl_days: %d, want 0 (keep) or more", c.ClickHouse.EventsTTLDays)
	}
	errs = append(errs, c.Log.validate(), validateSources(c.Sources), validateWebhooks(c.Alerts.Webhooks))
	return errors.Join(errs...)
}

func (l *Log) validate() error {
	var errs []error
	switch l.Level {
	case "debug", "info", "warn", "error":
	default:
		errs = append(errs, fmt.Errorf("log.level: %q, want debug, info, warn or error", l.Level))
	}
	if l.Format != "text" && l.Format != "json" {
		errs = append(errs, fmt.Errorf("log.format: %q, want text or json", l.Format))
	}
	return errors.Join(errs...)
}

func validateSources(sources []Source) error {
	var errs []error
	seen := map[string]bool{}
	for i, s := range sources {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("sources[%d] %q: %w", i, s.Name, fmt.Errorf(format, args...)))
		}
		if !namePattern.MatchString(s.Name) {
			bad("name: want lower-case letters, digits, - and _, at most 63")
		}
		if seen[s.Provider+"/"+s.Name] {
			bad("name: given twice")
		}
		seen[s.Provider+"/"+s.Name] = true
		if s.Provider != "meta" {
			bad("provider: %q is not known; this build has meta", s.Provider)
		}
		if len(s.Secrets) == 0 {
			bad("secrets: none given; for Meta it is the app secret")
		}
		for _, secret := range s.Secrets {
			if secret == "" {
				bad("secrets: one is empty")
			}
		}
		if _, err := regexp.Compile(s.CampaignPattern); err != nil {
			bad("campaign_pattern: %w", err)
		}
		if s.MaxEventAge < 0 || s.MaxEventAge > 10*24*time.Hour {
			bad("max_event_age: %s, want up to 240h: what is older could meet a message that is already forgotten", s.MaxEventAge)
		}
	}
	return errors.Join(errs...)
}

func validateWebhooks(webhooks []Webhook) error {
	var errs []error
	for i, w := range webhooks {
		u, err := url.Parse(w.URL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			errs = append(errs, fmt.Errorf("alerts.webhooks[%d] %q: url: want http:// or https://", i, w.Name))
		}
		if w.Secret == "" {
			errs = append(errs, fmt.Errorf("alerts.webhooks[%d] %q: secret: none given; make one with: echo whsec_$(openssl rand -base64 32)", i, w.Name))
		}
	}
	return errors.Join(errs...)
}
