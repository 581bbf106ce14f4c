package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/bluetick/bluetick/internal/topics"
)

var errDial = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

func TestReachWaitsAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tries := 0
		err := reach(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), "Kafka at k:9092", time.Minute, kafkaAway, func(context.Context) error {
			if tries++; tries < 4 {
				return errDial
			}
			return nil
		})
		if err != nil || tries != 4 {
			t.Errorf("%d tries, %v", tries, err)
		}
		if n := strings.Count(log.String(), "waiting for Kafka at k:9092"); n != 3 {
			t.Errorf("%d lines:\n%s", n, &log)
		}
	})
}

func TestReachGivesUp(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("list topics: %w", ctx.Err()) }
	for name, c := range map[string]struct {
		limit time.Duration
		try   func(context.Context) error
		want  string
		took  time.Duration
	}{
		"refused": {10 * time.Second, func(context.Context) error { return errDial }, "Kafka at k:9092 did not answer within 10s: dial: connection refused", 10 * time.Second},
		"hung":    {10 * time.Second, hang, "Kafka at k:9092 did not answer within 10s: list topics: context deadline exceeded", 10 * time.Second},
		"unfit":   {time.Minute, func(context.Context) error { return topics.Finding{Topic: "t", Problem: "p", Remedy: "r"} }, "topic t: p; r", 0},
		"denied":  {time.Minute, func(context.Context) error { return kerr.ClusterAuthorizationFailed }, kerr.ClusterAuthorizationFailed.Error(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := time.Now()
				err := reach(t.Context(), slog.New(slog.DiscardHandler), "Kafka at k:9092", c.limit, kafkaAway, c.try)
				if err == nil || err.Error() != c.want || time.Since(from) != c.took {
					t.Errorf("after %s: %v, want %q", time.Since(from), err, c.want)
				}
			})
		})
	}
}

func TestReachStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := reach(ctx, slog.New(slog.DiscardHandler), "ClickHouse at c:9000", time.Minute, clickhouseAway, func(context.Context) error { return io.EOF })
		if err == nil || err.Error() != "stopped while waiting for ClickHouse at c:9000" {
			t.Error(err)
		}
	})
}

func TestRemedies(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no error":         {nil, ""},
		"no database":      {fmt.Errorf("ping: %w", &clickhouse.Exception{Code: 81, Message: "no"}), "bluetick migrate"},
		"no table":         {&clickhouse.Exception{Code: 60, Message: "no"}, "bluetick migrate"},
		"HTTP port":        {errors.New("[handshake] unexpected packet [72] from server"), "http://"},
		"something else":   {errDial, "dial: connection refused"},
		"another code, 62": {&clickhouse.Exception{Code: 62, Message: "syntax"}, "syntax"},
	} {
		err := remedy(c.err)
		if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServersOfFlags(t *testing.T) {
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
		s := settings{ClickhouseDSN: c.dsn, Pepper: "p", StartTimeout: time.Second}
		cfg, err := s.load()
		if c.mistake != "" {
			if err == nil || !strings.Contains(err.Error(), c.mistake) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || cfg.Pepper != "p" || cfg.StartTimeout != time.Second {
			t.Errorf("%s: %+v, %v", name, cfg, err)
			continue
		}
		opts, err := serverOptions(&cfg)
		if err != nil || opts.Auth.Database != c.database {
			t.Errorf("%s: %v", name, err)
		}
	}
}
