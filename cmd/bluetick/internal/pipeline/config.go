package pipeline

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/bluetick/bluetick/alert"
	"github.com/bluetick/bluetick/ingest"
	"github.com/bluetick/bluetick/internal/browserguard"
	"github.com/bluetick/bluetick/internal/config"
	"github.com/bluetick/bluetick/internal/obs"
	"github.com/bluetick/bluetick/internal/pepper"
	"github.com/bluetick/bluetick/internal/secret"
	"github.com/bluetick/bluetick/sink"
)

// Config is everything an operator may set. Each section belongs to the package
// that it configures, with its keys, its defaults and its validation; here they
// are put together.
type Config struct {
	// Data is the folder that holds all state; one process at a time.
	Data string        `yaml:"data"`
	Log  obs.LogConfig `yaml:"log"`
	// StartTimeout is how long Kafka and ClickHouse may each take to answer at
	// the start, before the process gives up.
	StartTimeout time.Duration `yaml:"start_timeout"`
	// Ingest is the door for webhooks, Sources the accounts that may send them.
	Ingest  ingest.Config   `yaml:"ingest"`
	Sources []ingest.Source `yaml:"sources"`
	// Pepper is the secret under which contacts are pseudonymised. Empty: one is
	// made and kept in the data folder. Changing it makes every contact a new one.
	Pepper     string      `yaml:"pepper"`
	Kafka      Kafka       `yaml:"kafka"`
	ClickHouse ClickHouse  `yaml:"clickhouse"`
	Sink       sink.Config `yaml:"sink"`
	Metrics    obs.Config  `yaml:"metrics"`
	// HTTP is which names and web pages the ports for SQL and metrics answer to.
	HTTP   browserguard.Config `yaml:"http"`
	Alerts alert.Settings      `yaml:"alerts"`
	// Warnings are told at the start: settings that work, and should be otherwise.
	Warnings []string `yaml:"-"`
}

// Default is the single-machine product on its usual ports.
func Default() Config {
	return Config{
		Data:         "data",
		StartTimeout: 2 * time.Minute,
		Log:          obs.DefaultLog(),
		Ingest:       ingest.Default(),
		Kafka:        defaultKafka(),
		ClickHouse:   defaultClickHouse(),
		Sink:         sink.Default(),
		Metrics:      obs.Default(),
		Alerts:       alert.DefaultSettings(),
	}
}

// Load reads the file at path over the defaults; "" means no file.
func Load(path string) (Config, error) {
	c := Default()
	if err := config.Load(path, &c); err != nil {
		return Config{}, err
	}
	if err := c.warnOfFile(path); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Finish resolves the secrets, taking variables from env, fills in what was left
// out and reports every mistake at once. New expects a Config that went through
// it.
func (c *Config) Finish(env func(string) string) error {
	for i := range c.Sources {
		c.Sources[i].SetDefaults()
	}
	if err := c.resolve(secret.OS(env)); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := c.validate(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}

// ForAsking drops what only the line itself needs: a command that asks the
// servers something needs none of the secrets of sources and receivers, so a
// second terminal need not have them.
func (c *Config) ForAsking() {
	c.Sources, c.Alerts.Webhooks, c.Pepper = nil, nil, ""
	if c.Log.Level == "info" {
		c.Log.Level = "warn" // an engine opened for one question need not log its start
	}
}

// validate asks every owner of a section.
func (c *Config) validate() error {
	var errs []error
	if c.Data == "" {
		errs = append(errs, errors.New("data: no folder given"))
	}
	if c.Pepper != "" {
		errs = append(errs, pepper.Check(c.Pepper))
	}
	if c.StartTimeout <= 0 {
		errs = append(errs, fmt.Errorf("start_timeout: %s, want more than 0", c.StartTimeout))
	}
	return errors.Join(append(errs,
		config.Under("ingest", c.Ingest.Validate()),
		config.Under("kafka", c.Kafka.validate()),
		config.Under("clickhouse", c.ClickHouse.validate()),
		config.Under("metrics", c.Metrics.Validate()),
		config.Under("http", c.HTTP.Validate()),
		config.Under("log", c.Log.Validate()),
		ingest.ValidateSources(c.Sources, providers()),
		config.Under("alerts", c.Alerts.Validate()),
	)...)
}

func validateListen(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("listen: %q is not host:port", addr)
	}
	return nil
}
