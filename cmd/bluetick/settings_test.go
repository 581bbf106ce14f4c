package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
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
	s := settings{
		Config: file, IngestListen: "127.0.0.1:3333", MetaAppSecret: "s", MetaVerifyToken: "t",
		Pepper: "5d2ae8c1b07f4e96a3d80c17f6b94e2d", StartTimeout: time.Second, Data: "elsewhere", KafkaListen: "127.0.0.1:4444", ChdbLib: "lib.so",
		LogLevel: "debug", LogFormat: "json", KafkaBrokers: []string{"k:9092"}, ClickhouseDSN: "clickhouse://h:9000",
	}
	c, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	if c.Ingest.Listen != "127.0.0.1:3333" || c.Metrics.Listen != "127.0.0.1:2222" || c.ClickHouse.Listen != "127.0.0.1:8123" {
		t.Errorf("ingest %s, metrics %s, clickhouse %s", c.Ingest.Listen, c.Metrics.Listen, c.ClickHouse.Listen)
	}
	if c.Pepper != s.Pepper || c.StartTimeout != time.Second || c.Data != "elsewhere" || c.Kafka.Listen != "127.0.0.1:4444" ||
		c.ClickHouse.Library != "lib.so" || c.Log.Level != "debug" || c.Log.Format != "json" || c.Kafka.Embedded() || c.ClickHouse.Embedded() {
		t.Errorf("a flag has no effect: %+v", c)
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

// TestPasswordStaysOut: no error contains a password, not even one that makes the
// DSN unreadable.
func TestPasswordStaysOut(t *testing.T) {
	for _, password := range []string{"hush%zz", "hu/sh", "hush#1", "hu sh"} {
		s := settings{ClickhouseDSN: "clickhouse://writer:" + password + "@db:9000/bluetick"}
		_, err := s.load()
		if err != nil && (strings.Contains(err.Error(), "hu") || !strings.Contains(err.Error(), "%XX")) {
			t.Errorf("%s: %v", password, err)
		}
		if err == nil && password != "hu sh" {
			t.Errorf("%s: no error", password)
		}
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
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"demo", "--help"}, {"sql", "--help"}, {"audit", "--help"}, {"ingest", "--help"}, {"aggregate", "--help"}, {"sink", "--help"}, {"alert", "--help"}, {"topics", "--help"}, {"migrate", "--help"}} {
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
		"SELECT\n\tcampaign FROM v_campaigns": true, "SELECT*FROM events": true, "select": true,
		"-- of spring\nSELECT 1": true, "/* all */ # of them\n SHOW TABLES": true, "FROM events SELECT type": true,
		"-- SELECT 1": false, "/* SELECT 1": false, "": false,
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
		"[6162 63]":           plain([]string{"ab", "c"}, "Array(FixedString(16))"),
		`a\tb`:                plain("a\tb", "String"),
	} {
		if got := newWriter(layout{format: "tsv"}, io.Discard, nil).cell(v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestLargeResult: a table is written as it comes, and does not wait in memory for
// its last row.
func TestLargeResult(t *testing.T) {
	var out bytes.Buffer
	w := newWriter(layout{format: "table"}, &out, []string{"n", "x"})
	for range alignRows {
		if err := w.row([]any{int64(7), "y"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(out.String(), "\n"); got != alignRows+1 {
		t.Errorf("%d lines after %d rows", got, alignRows)
	}
}

func TestJSONWithoutNumbers(t *testing.T) {
	var out bytes.Buffer
	if err := newWriter(layout{format: "json"}, &out, []string{"a", "b"}).row([]any{math.NaN(), math.Inf(1)}); err != nil || out.String() != `{"a":null,"b":null}`+"\n" {
		t.Errorf("%q, %v", &out, err)
	}
}

// TestAskingNeedsNoSecretOfASource: a second terminal does not have them.
func TestAskingNeedsNoSecretOfASource(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bluetick.yaml")
	text := "pepper: env:NO_PEPPER_HERE\nsources: [{name: main, provider: meta, secrets: ['env:NO_SECRET_HERE']}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := settings{Config: file}
	if _, err := s.load(); err == nil || !strings.Contains(err.Error(), "NO_SECRET_HERE") {
		t.Errorf("run: %v", err)
	}
	if _, err := s.loadToAsk(); err != nil {
		t.Errorf("ask: %v", err)
	}
}

func TestDemoRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		cmd  demoCmd
		want string
	}{
		"too short":       {demoCmd{For: 20 * time.Second, Scale: 1}, "at least 55s"},
		"nothing to send": {demoCmd{}, "--scale"},
		"servers":         {demoCmd{Scale: 1, settings: settings{KafkaBrokers: []string{"x:1"}}}, "bluetick run"},
		"a server":        {demoCmd{Scale: 1, settings: settings{ClickhouseDSN: "clickhouse://h:9000"}}, "bluetick run"},
	} {
		if err := c.cmd.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&demoCmd{For: 55 * time.Second, Scale: 1}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestQuietWhenOnlyAsking: an engine opened for one question does not log its start.
func TestQuietWhenOnlyAsking(t *testing.T) {
	for given, want := range map[string]string{"": "warn", "info": "warn", "debug": "debug", "error": "error"} {
		c, err := (&settings{LogLevel: given}).loadToAsk()
		if err != nil || c.Log.Level != want {
			t.Errorf("log level %q: %s, %v; want %s", given, c.Log.Level, err, want)
		}
	}
}
