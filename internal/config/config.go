// Package config reads a configuration: a YAML file over the defaults, then the
// secrets that the file only names. It knows no setting. What can be set, and
// what is a mistake, stands beside the owner of each part; the process puts the
// parts together (cmd/bluetick/internal/pipeline).
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Load reads the file at path over what into holds; "" leaves it as it is. An
// unknown key is an error: a misspelt setting must not be silently without
// effect.
func Load(path string, into any) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read config %s: %w", path, err)
	}
	return nil
}

// Secrets replaces settings of the form "env:NAME" and "file:PATH" by what they
// stand for, and remembers which it could not.
type Secrets struct {
	env  func(string) string
	errs []error
}

// NewSecrets takes environment variables from env.
func NewSecrets(env func(string) string) *Secrets { return &Secrets{env: env} }

// Resolve replaces value, which an error calls what.
func (s *Secrets) Resolve(what string, value *string) {
	v, err := s.secret(*value)
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", what, err))
		return
	}
	*value = v
}

// Err tells every secret that is missing.
func (s *Secrets) Err() error { return errors.Join(s.errs...) }

func (s *Secrets) secret(value string) (string, error) {
	if name, ok := strings.CutPrefix(value, "env:"); ok {
		if v := s.env(name); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("environment variable %s is empty", name)
	}
	if path, ok := strings.CutPrefix(value, "file:"); ok {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		return strings.TrimSpace(string(b)), nil
	}
	return value, nil
}

// Under puts the section in front of every mistake in err, which names only the
// keys below it: "listen: …" under "ingest" is "ingest.listen: …". A join of
// errors is taken apart, so that each line names its setting in full.
func Under(section string, err error) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, Under(section, e))
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("%s.%w", section, err)
}
