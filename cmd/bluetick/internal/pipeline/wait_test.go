package pipeline

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

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/bluetick/bluetick/internal/topics"
)

var errDial = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

func TestWaitingWaitsAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tries := 0
		err := waitFor(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), "Kafka at k:9092", time.Minute, kafkaAway, func(context.Context) error {
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

func TestWaitingGivesUp(t *testing.T) {
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
				err := waitFor(t.Context(), slog.New(slog.DiscardHandler), "Kafka at k:9092", c.limit, kafkaAway, c.try)
				if err == nil || err.Error() != c.want || time.Since(from) != c.took {
					t.Errorf("after %s: %v, want %q", time.Since(from), err, c.want)
				}
			})
		})
	}
}

func TestWaitingStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := waitFor(ctx, slog.New(slog.DiscardHandler), "ClickHouse at c:9000", time.Minute, clickhouseAway, func(context.Context) error { return io.EOF })
		if err == nil || err.Error() != "stopped while waiting for ClickHouse at c:9000" {
			t.Error(err)
		}
	})
}
