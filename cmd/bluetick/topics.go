package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/bluetick/bluetick/cmd/bluetick/internal/pipeline"
	"github.com/bluetick/bluetick/internal/topics"
)

// printTopics creates what is missing and prints what is there.
func printTopics(ctx context.Context, cfg *pipeline.Config) error {
	report, err := pipeline.Topics(ctx, cfg)
	if len(report.Topics) == 0 {
		return err
	}
	return errors.Join(err, writeTopics(os.Stdout, report))
}

func writeTopics(out io.Writer, report topics.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "topic\tpartitions\treplicas\tstate")
	for _, t := range report.Topics {
		state := "there"
		if t.Created {
			state = "created"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", t.Name, t.Partitions, t.Replicas, state)
	}
	return w.Flush()
}
