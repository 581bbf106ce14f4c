package receiver

import (
	"context"
	"log/slog"

	"github.com/bluetick/bluetick/schemas"
)

// Log writes notifications to the program's log: errors for incidents to wake
// up for, warnings for the others, information once resolved.
type Log struct {
	log *slog.Logger
}

// NewLog returns a receiver that writes to log.
func NewLog(log *slog.Logger) *Log {
	return &Log{log: log.With("component", "alert")}
}

// Name is "log".
func (l *Log) Name() string { return "log" }

// Send writes one line; it cannot fail.
func (l *Log) Send(ctx context.Context, n Notification) error {
	level := slog.LevelWarn
	switch {
	case n.State == schemas.StateResolved || n.Severity == schemas.SeverityInfo:
		level = slog.LevelInfo
	case n.Severity == schemas.SeverityPage:
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("title", n.Title), slog.String("state", string(n.State)), slog.String("severity", string(n.Severity)),
		slog.String("reason", n.Reason), slog.String("rule", n.Rule), slog.String("account", n.Account),
		slog.Int64("n", n.N), slog.Int64("k", n.K), slog.Float64("reference", n.Reference),
		slog.Time("opened_at", n.OpenedAt), slog.Time("since", n.Since), slog.String("incident", n.Incident),
		slog.String("sql", n.SQL),
	}
	if n.Campaign != "" {
		attrs = append(attrs, slog.String("campaign", n.Campaign))
	}
	if n.Rate != nil {
		attrs = append(attrs, slog.Float64("rate", *n.Rate))
	}
	l.log.LogAttrs(ctx, level, "alert", attrs...)
	return nil
}
