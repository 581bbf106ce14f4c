// Package config reads a configuration: a YAML file over the defaults. It knows
// no setting. What can be set, and what is a mistake, stands beside the owner of
// each part; the process puts the parts together (cmd/bluetick/internal/pipeline)
// and reads the secrets that the file only names (internal/secret).
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"
)

// Load reads the file at path over what into holds; "" leaves it as it is. An
// unknown key is an error: a misspelt setting must not go unnoticed.
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
