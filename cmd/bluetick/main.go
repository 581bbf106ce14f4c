// Command bluetick turns the webhooks of messaging providers into delivery,
// open, click-through and opt-out rates in ClickHouse, watched by alerts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/bluetick/bluetick/internal/terminal"
)

// cli is the command line.
type cli struct {
	Demo      demoCmd      `cmd:"" help:"Everything embedded in one process, with simulated traffic."`
	Run       runCmd       `cmd:"" help:"All stages in one process, embedded or against given servers."`
	Ingest    ingestCmd    `cmd:"" help:"Only the webhook server, against given Kafka servers."`
	Aggregate aggregateCmd `cmd:"" help:"Only the message and roll-up folds, against given Kafka servers."`
	Sink      sinkCmd      `cmd:"" help:"Only the writer into ClickHouse, against given servers."`
	Alert     alertCmd     `cmd:"" help:"Only the alert fold and its notifications, against given Kafka servers."`
	Topics    topicsCmd    `cmd:"" help:"Create the Kafka topics, or check those that exist."`
	Rebuild   rebuildCmd   `cmd:"" help:"Count everything anew from the events, beside what counts now, and then switch over."`
	Migrate   migrateCmd   `cmd:"" help:"Apply the ClickHouse migrations and load the benchmarks."`
	Audit     auditCmd     `cmd:"" help:"Compare the counts with a second computation in SQL; exit 1 on any difference, 2 if it could not compare."`
	Words     wordsCmd     `cmd:"" help:"Print the opt-out and opt-in words in force, or say what texts would be."`
	SQL       sqlCmd       `cmd:"" name:"sql" help:"Ask ClickHouse from a terminal, whether bluetick runs or not."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// errQuiet ends the process with exit code 1 and no further message: the command
// has already printed what is wrong.
var errQuiet = errors.New("")

// unanswered is the error of a command that asks a question and got no answer.
// It ends the process with exit code 2, so that nobody takes it for a "no".
type unanswered struct{ error }

// Unwrap returns the cause.
func (u unanswered) Unwrap() error { return u.error }

// exitCode is the exit code of the process after a command returned err.
func exitCode(err error) int {
	var u unanswered
	switch {
	case err == nil:
		return 0
	case errors.As(err, &u):
		return 2
	default:
		return 1
	}
}

func main() {
	asked := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants it to live on
		asked = append(asked, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), asked...)
	defer stop()
	var c cli
	k := kong.Parse(&c,
		kong.Name("bluetick"),
		kong.Description("Delivery, open, click-through and opt-out rates from messaging webhooks: right to the message, a few seconds old, in ClickHouse, with alerts."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	// A second interrupt ends the process at once: the log of Kafka and the
	// checkpoints make that safe.
	context.AfterFunc(ctx, stop)
	if err := k.Run(); err != nil {
		if !errors.Is(err, errQuiet) {
			fmt.Fprintln(os.Stderr, "bluetick:", terminal.CleanLines(err.Error()))
		}
		os.Exit(exitCode(err))
	}
}

type versionCmd struct{}

// Run executes the command.
func (versionCmd) Run() error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this binary carries no build information")
	}
	fmt.Println("bluetick", info.Main.Version, info.GoVersion)
	return nil
}
