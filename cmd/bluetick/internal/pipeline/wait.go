package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/bluetick/bluetick/internal/kafkaerr"
	"github.com/bluetick/bluetick/internal/retry"
	"github.com/bluetick/bluetick/internal/topics"
	"github.com/bluetick/bluetick/schemas"
	sinkch "github.com/bluetick/bluetick/sink/clickhouse"
)

// waitFor repeats try until it succeeds, until it fails in a way that waiting
// does not cure, or until limit has passed: after a power cut everything starts
// at once, and the servers are rarely first. The error names what did not answer
// and how it failed last.
func waitFor(ctx context.Context, log *slog.Logger, who string, limit time.Duration, away func(error) bool, try func(context.Context) error) error {
	pauses := retry.Backoff{Least: 250 * time.Millisecond, Most: 5 * time.Second}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		err := try(ctx)
		if err == nil || !away(err) {
			return err
		}
		// The error of an attempt that was cut off tells less than the one before it.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		pause := pauses.Next()
		if ctx.Err() == nil {
			log.Warn("waiting for "+who, "err", err, "again_after", pause)
		}
		if retry.Pause(ctx, pause) != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return errors.New("stopped while waiting for " + who)
			}
			return fmt.Errorf("%s did not answer within %s: %w", who, limit, last)
		}
	}
}

// kafkaAway reports whether Kafka may answer later: it has not answered at all, or
// its error is one that passes. A topic that does not fit stays as it is.
func kafkaAway(err error) bool {
	if _, ok := errors.AsType[topics.Finding](err); ok {
		return false
	}
	return !kafkaerr.Permanent(err)
}

func clickhouseAway(err error) bool {
	return sinkch.Classify(err) != sinkch.ClassPermanent && !isHTTPPort(err)
}

// ensureTopics waits for Kafka, creates what is missing and checks all. at is the
// address of Kafka, for the error.
func ensureTopics(ctx context.Context, cfg *Config, epoch uint32, log *slog.Logger, admin *kadm.Client, at string) (report topics.Report, err error) {
	err = waitFor(ctx, log, "Kafka "+at, cfg.StartTimeout, kafkaAway, func(ctx context.Context) error {
		report, err = topics.Ensure(ctx, admin, schemas.TopicsIn(cfg.Kafka.Partitions, epoch), topics.Options{
			Create: true, ReplicationFactor: cfg.Kafka.ReplicationFactor,
		})
		return err
	})
	return report, err
}

// migrate waits for ClickHouse and brings the database to the schema of this
// build. It returns the migrations it applied.
func migrate(ctx context.Context, cfg *Config, epoch uint32, log *slog.Logger, opts *clickhouse.Options, now time.Time) (applied []string, err error) {
	ttl := sinkch.TTL{
		EventsDays: cfg.ClickHouse.EventsTTLDays, PanesDays: cfg.ClickHouse.PanesTTLDays, RatesDays: cfg.ClickHouse.RatesTTLDays,
		DeadLettersDays: deadLettersDays,
	}
	err = waitFor(ctx, log, "ClickHouse at "+strings.Join(opts.Addr, ", "), cfg.StartTimeout, clickhouseAway, func(ctx context.Context) error {
		done, err := sinkch.Migrate(ctx, sinkch.MigrateConfig{Options: opts, TTL: ttl, Epoch: epoch, Now: now})
		applied = append(applied, done...)
		return Remedy(err)
	})
	return applied, err
}
