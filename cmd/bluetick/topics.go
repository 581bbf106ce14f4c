package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/internal/config"
	"github.com/bluetick/bluetick/internal/topics"
	"github.com/bluetick/bluetick/schemas"
)

// printTopics creates what is missing and prints what is there.
func printTopics(ctx context.Context, cfg *config.Config) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Kafka.Brokers...), kgo.ClientID("bluetick-topics"))
	if err != nil {
		return fmt.Errorf("make kafka client: %w", err)
	}
	admin := kadm.NewClient(client)
	defer admin.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("kafka at %v did not answer within %s", cfg.Kafka.Brokers, startLimit))
	defer cancel()
	report, err := topics.Ensure(ctx, admin, schemas.Topics(cfg.Kafka.Partitions), topics.Options{Create: true, ReplicationFactor: cfg.Kafka.ReplicationFactor})
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "topic\tpartitions\treplicas\tstate")
	for _, t := range report.Topics {
		state := "there"
		if t.Created {
			state = "created"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", t.Name, t.Partitions, t.Replicas, state)
	}
	if flushErr := w.Flush(); flushErr != nil && err == nil {
		err = flushErr
	}
	return err
}
