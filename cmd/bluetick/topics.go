package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/bluetick/bluetick/cmd/bluetick/internal/pipeline"
)

// printTopics creates what is missing and prints what is there.
func printTopics(ctx context.Context, cfg *pipeline.Config) error {
	report, err := pipeline.Topics(ctx, cfg)
	if len(report.Topics) == 0 {
		return err
	}
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
