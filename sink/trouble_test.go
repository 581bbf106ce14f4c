package sink

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/internal/meter"
)

// TestTroubleGrowsLoud: what is tried for ever must be heard.
func TestTroubleGrowsLoud(t *testing.T) {
	registry := prometheus.NewRegistry()
	scope := meter.NewScope(registry)
	defer scope.Close()
	m, err := newMetrics(scope)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w := &writer{topic: "t", metrics: m, log: slog.New(slog.NewTextHandler(&log, nil))}
	for inARow, level := range map[int]string{1: "WARN", loudAfter - 1: "WARN", loudAfter: "ERROR", 1000: "ERROR"} {
		log.Reset()
		w.trouble(callRetry, inARow, "will try again", errors.New("std::bad_alloc"))
		if got := log.String(); !strings.Contains(got, "level="+level+" ") || !strings.Contains(got, "no list knows this error") || !strings.Contains(got, "class=unknown") {
			t.Errorf("%d in a row: %s", inARow, got)
		}
		if got := total(t, Deps{Registerer: registry}, "failures_in_a_row"); got != inARow {
			t.Errorf("%d in a row: the metric says %d", inARow, got)
		}
	}
}
