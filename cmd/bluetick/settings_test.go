package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

func TestFlagsOverFileOverDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bluetick.yaml")
	if err := os.WriteFile(file, []byte("ingest: {listen: '127.0.0.1:1111'}\nmetrics: {listen: '127.0.0.1:2222'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := settings{Config: file, IngestListen: "127.0.0.1:3333", MetaAppSecret: "s", MetaVerifyToken: "t"}
	c, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	if c.Ingest.Listen != "127.0.0.1:3333" || c.Metrics.Listen != "127.0.0.1:2222" || c.ClickHouse.Listen != "127.0.0.1:8123" {
		t.Errorf("ingest %s, metrics %s, clickhouse %s", c.Ingest.Listen, c.Metrics.Listen, c.ClickHouse.Listen)
	}
	if len(c.Sources) != 1 || c.Sources[0].Name != "main" || c.Sources[0].VerifyToken != "t" {
		t.Errorf("sources %+v", c.Sources)
	}
}

func TestSecretOfFlagMayComeFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := settings{MetaAppSecret: "file:" + file}
	c, err := s.load()
	if err != nil || c.Sources[0].Secrets[0] != "from a file" {
		t.Errorf("%+v, %v", c.Sources, err)
	}
}

// TestRolesSayWhatTheyNeed: a role alone cannot run embedded.
func TestRolesSayWhatTheyNeed(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(context.Context) error
		want []string
	}{
		"ingest":    {(&ingestCmd{}).Run, []string{"--kafka-brokers", "pepper"}},
		"aggregate": {(&aggregateCmd{}).Run, []string{"--kafka-brokers"}},
		"sink":      {(&sinkCmd{}).Run, []string{"--kafka-brokers", "--clickhouse-dsn"}},
		"alert":     {(&alertCmd{}).Run, []string{"--kafka-brokers"}},
		"topics":    {(&topicsCmd{}).Run, []string{"--kafka-brokers"}},
		"migrate":   {(&migrateCmd{}).Run, []string{"--clickhouse-dsn"}},
	} {
		err := c.run(t.Context())
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

func TestHelpTeaches(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"demo", "--help"}, {"sql", "--help"}, {"audit", "--help"}, {"ingest", "--help"}} {
		var out bytes.Buffer
		exited := errors.New("exit")
		func() {
			defer func() {
				if r := recover(); r != nil && r != any(exited) {
					panic(r)
				}
			}()
			var c cli
			k, err := kong.New(&c, kong.Name("bluetick"), kong.Writers(&out, io.Discard), kong.Exit(func(int) { panic(exited) }), kong.BindTo(t.Context(), (*context.Context)(nil)))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = k.Parse(args) // ends in Exit
		}()
		if !strings.Contains(out.String(), "Usage: bluetick") {
			t.Errorf("%v: %s", args, &out)
		}
	}
}

func TestAnswers(t *testing.T) {
	for query, want := range map[string]bool{
		"SELECT 1": true, "  with x as (select 1) select * from x": true, "(SELECT 1)": true, "SHOW TABLES": true,
		"INSERT INTO benchmarks SELECT 1": false, "OPTIMIZE TABLE events FINAL": false,
	} {
		if got := answers(query); got != want {
			t.Errorf("%q: %v", query, got)
		}
	}
}

func TestCells(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	rate := 0.25
	for want, v := range map[string]any{
		"NULL":                plain((*float64)(nil), "Nullable(Float64)"),
		"0.25":                plain(&rate, "Nullable(Float64)"),
		"2026-02-03 04:05:06": plain(at, "DateTime('UTC')"),
		"2026-02-03":          plain(at, "Date"),
		"61620a":              plain("ab\n", "FixedString(16)"),
		`a\tb`:                plain("a\tb", "String"),
	} {
		if got := cell(v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
