package sink

import (
	"context"
	"log/slog"

	"github.com/bluetick/bluetick/sink/clickhouse"
)

// What fails: polling Kafka, or a call that is repeated as it is.
const (
	callFetch = "fetch"
	callRetry = "retry"
)

// loudAfter is how many failures in a row are still a restart or a short want:
// of a call that is repeated, half a minute and what the attempts take.
const loudAfter = 10

// trouble counts a failure that will be tried again and tells of it: at first a
// warning, an error once it does not pass. Nothing here ends the sink, so the
// log and the metric must be what somebody wakes up for.
func (w *writer) trouble(call string, inARow int, message string, err error, attrs ...any) {
	class := classify(err)
	w.metrics.errors.WithLabelValues(w.topic, string(class)).Inc()
	w.metrics.inARow.WithLabelValues(w.topic, call).Set(float64(inARow))
	level := slog.LevelWarn
	if inARow >= loudAfter {
		level = slog.LevelError
	}
	remedy := "check that ClickHouse and Kafka answer"
	if class == clickhouse.ClassUnknown {
		remedy = "no list knows this error: if it speaks of memory, threads, files or connections, give the machine more; else mend what it names. Nothing is lost meanwhile, and a restart is safe"
	}
	attrs = append(attrs, "err", err, "class", class, "in_a_row", inARow, "remedy", remedy)
	w.log.Log(context.Background(), level, message, attrs...)
}
