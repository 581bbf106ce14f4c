package pipeline

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/bluetick/bluetick/internal/secret"
)

// setting is one that holds a secret, by the name that errors use.
type setting struct {
	name  string
	value *string
	// told reports whether who sees a value sees a secret.
	told func(value string) bool
}

// secrets are all settings that hold one. Each may be "env:NAME" or "file:PATH".
func (c *Config) secrets() []setting {
	all := []setting{{"pepper", &c.Pepper, secret.Literal}, {"clickhouse.dsn", &c.ClickHouse.DSN, secret.InAddress}, {"clickhouse.reader_password", &c.ClickHouse.ReaderPassword, secret.Literal}, {"kafka.sasl.password", &c.Kafka.SASL.Password, secret.Literal}}
	for i := range c.Sources {
		s := &c.Sources[i]
		all = append(all, setting{"sources " + s.Name + ": verify_token", &s.VerifyToken, secret.Literal})
		for j := range s.Secrets {
			all = append(all, setting{"sources " + s.Name + ": secrets", &s.Secrets[j], secret.Literal})
		}
	}
	for i := range c.Alerts.Webhooks {
		w := &c.Alerts.Webhooks[i]
		// The URLs of some receivers hold a token, but not in a form of their own.
		all = append(all,
			setting{"alerts.webhooks " + w.Name + ": url", &w.URL, secret.InAddress},
			setting{"alerts.webhooks " + w.Name + ": secret", &w.Secret, secret.Literal})
	}
	return all
}

// resolve replaces every secret by what it stands for and tells every one that
// is missing.
func (c *Config) resolve(from secret.Sources) error {
	var errs []error
	for _, s := range c.secrets() {
		text, warning, err := secret.Resolve(s.name, *s.value, from)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		*s.value = text
		if warning != "" {
			c.Warnings = append(c.Warnings, warning)
		}
	}
	return errors.Join(errs...)
}

// warnOfFile warns of a file that others may read and that holds secrets itself.
// c is what the file says.
func (c *Config) warnOfFile(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	if !secret.Exposed(info.Mode()) {
		return nil
	}
	var names []string
	for _, s := range c.secrets() {
		if s.told(*s.value) {
			names = append(names, s.name)
		}
	}
	if len(names) > 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("others may read %s, and it holds secrets (%s): chmod 600 %s, or write env:NAME or file:PATH instead",
			path, strings.Join(names, ", "), path))
	}
	return nil
}
