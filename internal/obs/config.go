package obs

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
)

// LogConfig is how logs are written: the section `log` of the operator's file.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

// DefaultLog is for a person at a terminal.
func DefaultLog() LogConfig { return LogConfig{Level: "info", Format: "text"} }

func levels() map[string]slog.Level {
	return map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
}

// Validate reports every mistake at once, by its key.
func (c LogConfig) Validate() error {
	var errs []error
	if _, ok := levels()[c.Level]; !ok {
		errs = append(errs, fmt.Errorf("level: %q, want debug, info, warn or error", c.Level))
	}
	if c.Format != "text" && c.Format != "json" {
		errs = append(errs, fmt.Errorf("format: %q, want text or json", c.Format))
	}
	return errors.Join(errs...)
}

// Config is the server for metrics, health and profiles: the section `metrics`
// of the operator's file.
type Config struct {
	// Listen is the address, host:port.
	Listen string `yaml:"listen"`
}

// Default is the usual port.
func Default() Config { return Config{Listen: "127.0.0.1:9095"} }

// Validate reports a mistake by its key.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %q is not host:port", c.Listen)
	}
	return nil
}
