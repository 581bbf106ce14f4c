package pipeline

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/bluetick/bluetick/internal/config"
	embedded "github.com/bluetick/bluetick/internal/embedded/clickhouse"
)

// ClickHouse is where ClickHouse is: embedded on Listen, or the server of DSN.
// It is the section `clickhouse` of the operator's file.
type ClickHouse struct {
	Listen   string `yaml:"listen"`
	DSN      string `yaml:"dsn"` // "env:NAME" and "file:PATH" work here too
	Database string `yaml:"database"`
	Library  string `yaml:"library"` // libchdb, if not where make puts it
	// EventsTTLDays deletes events after this many days; 0 keeps them.
	EventsTTLDays int `yaml:"events_ttl_days"`
	// PanesTTLDays and RatesTTLDays do the same with counts per send minute and
	// with rolling rates.
	PanesTTLDays int `yaml:"panes_ttl_days"`
	RatesTTLDays int `yaml:"rates_ttl_days"`
	// Readers bounds what everybody but the administrator may take of the embedded engine, all together.
	Readers embedded.Readers `yaml:"readers"`
	// ReaderPassword is what readers of the embedded engine's port must present; empty lets all of them read.
	ReaderPassword string `yaml:"reader_password"`
}

// With a year and a month of counts this month can be compared with the same one
// last year. Rates are most of the rows, and all of them follow from the panes;
// three months is how far one looks back to judge an alert.
const (
	defaultPanesTTLDays = 400
	defaultRatesTTLDays = 90
)

func defaultClickHouse() ClickHouse {
	return ClickHouse{
		Listen: "127.0.0.1:8123", Database: "bluetick",
		PanesTTLDays: defaultPanesTTLDays, RatesTTLDays: defaultRatesTTLDays,
	}
}

// Embedded reports whether ClickHouse runs inside the process.
func (c *ClickHouse) Embedded() bool { return c.DSN == "" }

func (c *ClickHouse) validate() error {
	errs := []error{validateListen(c.Listen), config.Under("readers", c.Readers.Validate())}
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`).MatchString(c.Database) {
		errs = append(errs, fmt.Errorf("database: %q is no plain identifier", c.Database))
	}
	for _, ttl := range []struct {
		name string
		days int
	}{{"events_ttl_days", c.EventsTTLDays}, {"panes_ttl_days", c.PanesTTLDays}, {"rates_ttl_days", c.RatesTTLDays}} {
		if ttl.days < 0 {
			errs = append(errs, fmt.Errorf("%s: %d, want 0 (keep) or more", ttl.name, ttl.days))
		}
	}
	if !c.Embedded() {
		_, err := c.server()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// server are the options of the configured server. The driver takes any scheme
// for the native protocol; a misspelt one must not wait for an answer.
func (c *ClickHouse) server() (*clickhouse.Options, error) {
	scheme, _, _ := strings.Cut(c.DSN, "://")
	switch scheme {
	case "clickhouse", "tcp", "http", "https":
	default:
		return nil, errors.New("dsn: want clickhouse://user:password@host:9000/database, or http:// with the port 8123")
	}
	opts, err := clickhouse.ParseDSN(c.DSN)
	if _, unreadable := errors.AsType[*url.Error](err); unreadable {
		// The error would quote the DSN, with the password whose characters made it
		// fail.
		return nil, errors.New("dsn: it is no URL, for an invalid port or an invalid character: write special characters of user and password as %XX (/ is %2F, # is %23, % is %25)")
	}
	if err != nil {
		return nil, fmt.Errorf("dsn: %w (for TLS add ?secure=true)", err)
	}
	if opts.Auth.Database == "" || opts.Auth.Database == "default" {
		opts.Auth.Database = c.Database
	}
	return opts, nil
}

// options are those of the configured server, once the configuration is whole.
func (c *ClickHouse) options() (*clickhouse.Options, error) {
	opts, err := c.server()
	return opts, config.Under("clickhouse", err)
}

// isHTTPPort says whether the native protocol met an HTTP server, whose answer
// begins with an H.
func isHTTPPort(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unexpected packet [72]")
}

// Remedy adds to an error of ClickHouse what to do about it, if that is known.
func Remedy(err error) error {
	const unknownTable, unknownDatabase = 60, 81
	// Too large a compressed size, a checksum, corrupted data, a codec: what reads of a
	// part whose bytes have changed end with.
	damaged := []int32{39, 40, 246, 271, 432}
	exception, ok := errors.AsType[*clickhouse.Exception](err)
	switch {
	case ok && (exception.Code == unknownTable || exception.Code == unknownDatabase):
		return fmt.Errorf("%w (`bluetick migrate` makes the database and its tables)", err)
	case ok && slices.Contains(damaged, exception.Code):
		return fmt.Errorf("%w (a part of a table is damaged: docs/runbook.md, \"A part of ClickHouse is damaged\")", err)
	case isHTTPPort(err):
		return fmt.Errorf("%w (that is the HTTP port: say http:// in the DSN, or give the native port, usually 9000)", err)
	default:
		return err
	}
}
