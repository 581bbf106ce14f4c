package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func TestRemedies(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no error":         {nil, ""},
		"no database":      {fmt.Errorf("ping: %w", &clickhouse.Exception{Code: 81, Message: "no"}), "bluetick migrate"},
		"no table":         {&clickhouse.Exception{Code: 60, Message: "no"}, "bluetick migrate"},
		"HTTP port":        {errors.New("[handshake] unexpected packet [72] from server"), "http://"},
		"a damaged part":   {fmt.Errorf("compare: %w", &clickhouse.Exception{Code: 40, Message: "Checksum doesn't match"}), "docs/runbook.md"},
		"something else":   {errDial, "dial: connection refused"},
		"another code, 62": {&clickhouse.Exception{Code: 62, Message: "syntax"}, "syntax"},
	} {
		err := Remedy(c.err)
		if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerOfDSN(t *testing.T) {
	for name, c := range map[string]struct {
		dsn      string
		database string
		mistake  string
	}{
		"native":             {"clickhouse://u:p@h:9000", "bluetick", ""},
		"native, a database": {"clickhouse://u:p@h:9000/rates", "rates", ""},
		"native, default":    {"clickhouse://u:p@h:9000/default", "bluetick", ""},
		"HTTP":               {"http://u:p@h:8123/rates", "rates", ""},
		"HTTPS":              {"https://u:p@h:8443/rates?secure=true", "rates", ""},
		"HTTPS, no secure":   {"https://u:p@h:8443", "", "?secure=true"},
		"another database":   {"postgres://u:hidden@h:5432", "", "want clickhouse://"},
		"no scheme":          {"h:9000", "", "want clickhouse://"},
		"no port":            {"clickhouse://u:hidden@h:port", "", "invalid port"},
	} {
		cfg := Default()
		cfg.ClickHouse.DSN = c.dsn
		err := cfg.Finish(noEnv)
		if c.mistake != "" {
			if err == nil || !strings.Contains(err.Error(), c.mistake) || strings.Contains(err.Error(), "hidden") || !strings.Contains(err.Error(), "configuration: clickhouse.dsn: ") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || cfg.ClickHouse.Embedded() {
			t.Errorf("%s: %+v, %v", name, cfg.ClickHouse, err)
			continue
		}
		opts, err := cfg.ClickHouse.options()
		if err != nil || opts.Auth.Database != c.database {
			t.Errorf("%s: %v", name, err)
		}
	}
}
