package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/bluetick/bluetick/cmd/bluetick/internal/pipeline"
)

// runCmd is the single-machine product.
type runCmd struct {
	settings
}

// Help is shown below the flags.
func (runCmd) Help() string {
	return `Everything in one process: webhooks on 127.0.0.1:8080, SQL on 127.0.0.1:8123,
metrics on 127.0.0.1:9095. For Meta, with the secrets in files of mode 600:

  bluetick run --data ./data --meta-app-secret file:app-secret --meta-verify-token file:verify-token

or in BLUETICK_META_APP_SECRET and BLUETICK_META_VERIFY_TOKEN: what stands on a command
line, every user of the machine sees with ps;

and the webhook URL is https://<your host>/v1/webhooks/meta/main (put TLS in front).
With --kafka-brokers and --clickhouse-dsn it uses those servers instead.`
}

// Run executes the command.
func (c *runCmd) Run(ctx context.Context) error {
	return c.role(ctx, pipeline.Line())
}

// role loads the configuration and runs the role until ctx ends.
func (s *settings) role(ctx context.Context, r pipeline.Role) error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	return r.Run(ctx, cfg)
}

type ingestCmd struct{ settings }

// Help is shown below the flags.
func (ingestCmd) Help() string {
	return `Verifies and decodes webhooks and answers 200 once Kafka has every event, 503 while
it has not: the provider sends again. Keeps nothing in its data folder that cannot be
lost, so run as many as you like behind a balancer, all with the same pepper.

  openssl rand -hex 32 > pepper; chmod 600 pepper
  bluetick ingest --kafka-brokers kafka:9092 --ingest-listen 0.0.0.0:8080 --pepper file:pepper`
}

// Run executes the command.
func (c *ingestCmd) Run(ctx context.Context) error {
	return c.role(ctx, pipeline.Ingest())
}

type aggregateCmd struct{ settings }

// Help is shown below the flags.
func (aggregateCmd) Help() string {
	return `Folds events into counts and counts into rolling rates. Its state is in the data
folder: keep it on a disk that survives the process. Lost, it is counted anew, but only
while Kafka still has every event. One process owns all partitions; a second one would
only repeat its work.

  bluetick aggregate --kafka-brokers kafka:9092 --data /var/lib/bluetick/aggregate`
}

// Run executes the command.
func (c *aggregateCmd) Run(ctx context.Context) error {
	return c.role(ctx, pipeline.Aggregate())
}

type sinkCmd struct{ settings }

// Help is shown below the flags.
func (sinkCmd) Help() string {
	return `Carries everything from Kafka into ClickHouse, after it has migrated the database.
How far it is stands in ClickHouse itself: an empty database is filled from Kafka,
and its data folder may be lost.

  bluetick sink --kafka-brokers kafka:9092 --clickhouse-dsn env:CLICKHOUSE_DSN`
}

// Run executes the command.
func (c *sinkCmd) Run(ctx context.Context) error {
	return c.role(ctx, pipeline.Sink())
}

type alertCmd struct{ settings }

// Help is shown below the flags.
func (alertCmd) Help() string {
	return `Judges every rate, opens and closes incidents, and notifies: to the log and to the
webhooks in the file of --config. Its state is in the data folder: keep it on a disk
that survives the process. One process owns all partitions.

  bluetick alert --kafka-brokers kafka:9092 --data /var/lib/bluetick/alert --config bluetick.yaml`
}

// Run executes the command.
func (c *alertCmd) Run(ctx context.Context) error {
	return c.role(ctx, pipeline.Alert())
}

type topicsCmd struct {
	settings
	ACLs bool   `name:"acls" help:"Print the rights that each role needs, as commands of kafka-acls.sh, and ask nothing."`
	User string `name:"acl-user" default:"User:bluetick-{role}" help:"The principal of a role in --acls; {role} is its name."`
}

// Help is shown below the flags.
func (topicsCmd) Help() string {
	return `Every role does the same when it starts; this is for doing it beforehand, or for
seeing what is wrong. Exit 1 if a topic has settings that would make results wrong,
each with its remedy. Partitions and replicas of topics that it creates:
kafka.partitions and kafka.replication_factor in the file of --config.

  bluetick topics --kafka-brokers kafka:9092

With --acls it prints what each role must be allowed, for Kafka's authorizer:

  bluetick topics --acls --kafka-brokers kafka:9092 | sh`
}

// Run executes the command.
func (c *topicsCmd) Run(ctx context.Context) error {
	cfg, err := c.loadToAsk()
	if err != nil {
		return err
	}
	if c.ACLs {
		brokers := "kafka:9092"
		if !cfg.Kafka.Embedded() {
			brokers = strings.Join(cfg.Kafka.Brokers, ",")
		}
		return pipeline.WriteACLs(os.Stdout, brokers, c.User)
	}
	return printTopics(ctx, &cfg)
}

type migrateCmd struct{ settings }

// Help is shown below the flags.
func (migrateCmd) Help() string {
	return `Creates the database if it is missing. run and sink do the same when they start; this
is for doing it beforehand, with a user who may. It may be repeated.

  bluetick migrate --clickhouse-dsn env:CLICKHOUSE_DSN`
}

// Run executes the command.
func (c *migrateCmd) Run(ctx context.Context) error {
	cfg, err := c.loadToAsk()
	if err != nil {
		return err
	}
	applied, err := pipeline.Migrate(ctx, &cfg)
	for _, name := range applied {
		fmt.Println("applied", name)
	}
	if err == nil && len(applied) == 0 {
		fmt.Println("nothing to do: the database is at the schema of this build")
	}
	return err
}
