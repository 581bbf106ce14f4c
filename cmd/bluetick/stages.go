package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.yaml.in/yaml/v3"

	"github.com/bluetick/bluetick/aggregate/message"
	"github.com/bluetick/bluetick/aggregate/rollup"
	"github.com/bluetick/bluetick/alert"
	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/ingest"
	"github.com/bluetick/bluetick/internal/config"
	"github.com/bluetick/bluetick/internal/kafkalog"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink"
	sinkch "github.com/bluetick/bluetick/sink/clickhouse"
)

// alertStage is the alert fold's name in metrics and states.
const alertStage = "alert"

// startFold runs a stage of folds and returns when its states are open.
func (p *process) startFold(ctx context.Context, cfg task.StageConfig, fold task.NewFold) error {
	cfg.Epoch, cfg.StateDir, cfg.Embedded = epoch, p.root.State(), p.cfg.EmbeddedKafka()
	cfg.Policy, cfg.Settling = task.DefaultPolicy(), p.times.settling
	ready := make(chan struct{}) // closed by the stage, once
	deps := task.Deps{
		Kafka: p.kafka(), NewFold: fold,
		Now: p.times.now, Wall: wall, Log: p.log, Registerer: p.registry,
		Ready: func() { close(ready) }, BlockCache: p.cache,
	}
	p.life.Go(cfg.Stage, func(ctx context.Context) error { return task.RunStage(ctx, cfg, deps) })
	return p.await(ctx, ready)
}

// await waits for a part that was started; its failure, or that of any other
// part, ends the wait.
func (p *process) await(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case err := <-p.life.Failed():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// kafkaLog lets the Kafka clients of a component say what troubles them.
func (p *process) kafkaLog(component string) kgo.Opt {
	return kgo.WithLogger(kafkalog.New(p.log.With("component", component), wall))
}

func (p *process) startMessage(ctx context.Context) error {
	return p.startFold(ctx, task.StageConfig{
		Stage: schemas.StageMessage, Input: schemas.TopicEvents, Output: schemas.TopicPanes, Logic: message.Logic,
	}, measured(p.registry))
}

func (p *process) startRollup(ctx context.Context) error {
	return p.startFold(ctx, task.StageConfig{
		Stage: schemas.StageRollup, Input: schemas.TopicPanes, Output: schemas.TopicRates, Logic: rollup.Logic,
	}, rollup.NewFold(rollup.Default()))
}

func (p *process) startAlert(ctx context.Context) error {
	benchmarks, err := schemas.LoadBenchmarks()
	if err != nil {
		return err
	}
	rules, err := alertRules(&p.cfg.Alerts)
	if err != nil {
		return err
	}
	cfg := alert.Config{Rules: rules, Benchmarks: benchmarks}
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("alerts: %w", err)
	}
	receivers := []receiver.Receiver{receiver.NewLog(p.log)}
	for _, w := range p.cfg.Alerts.Webhooks {
		hook, err := receiver.NewWebhook(receiver.WebhookConfig{Name: w.Name, URL: w.URL, Secret: w.Secret}, wall)
		if err != nil {
			return fmt.Errorf("alerts.webhooks %q: %w", w.Name, err)
		}
		receivers = append(receivers, hook)
	}
	return p.startFold(ctx, task.StageConfig{
		Stage: alertStage, Input: schemas.TopicRates, Logic: alert.Logic,
	}, alert.NewFold(cfg, alert.Deps{Now: p.times.now, Speed: p.times.speed, Receivers: receivers, Log: p.log, Registerer: p.registry}))
}

// alertRules are the operator's own rules, or the built-in ones with the
// operator's budget.
func alertRules(cfg *config.Alerts) ([]alert.Rule, error) {
	if !cfg.Rules.IsZero() {
		doc, err := yaml.Marshal(&cfg.Rules)
		if err != nil {
			return nil, fmt.Errorf("alerts.rules: %w", err)
		}
		rules, err := alert.ParseRules(doc)
		if err != nil {
			return nil, fmt.Errorf("alerts.%w", err)
		}
		return rules, nil
	}
	var b alert.Budget
	if err := b.UnmarshalText([]byte(cfg.FalseAlarms)); err != nil {
		return nil, fmt.Errorf("alerts.false_alarms: %w", err)
	}
	rules := alert.Default()
	for i := range rules {
		rules[i].FalseAlarms = b
	}
	return rules, nil
}

func (p *process) startSink(ctx context.Context) error {
	conn, err := sinkch.Connect(ctx, p.clickhouse)
	if err != nil {
		return err
	}
	p.life.OnStop("clickhouse connection of the sink", func(context.Context) error { return conn.Close() })
	cfg := sink.Default()
	cfg.AcceptGap = p.cfg.Sink.AcceptGap
	deps := sink.Deps{
		Brokers: p.brokers, Options: append(slices.Clone(p.dial), p.kafkaLog("sink")), Store: sinkch.NewClient(conn), Now: p.times.now, Log: p.log, Registerer: p.registry,
	}
	p.life.Go("sink", func(ctx context.Context) error { return sink.Run(ctx, cfg, deps) })
	return nil
}

func (p *process) startIngest(context.Context) error {
	pepper := p.cfg.Pepper
	if pepper == "" {
		var err error
		if pepper, err = p.root.Secret("pepper"); err != nil {
			return err
		}
	}
	cfg := ingestConfig(p, pepper)
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	producer, err := ingest.NewKafka(cfg.ProduceTimeout, p.kafka(kgo.ClientID("bluetick-ingest"), p.kafkaLog("ingest"))...)
	if err != nil {
		return err
	}
	p.life.OnStop("ingest producer", func(context.Context) error { producer.Close(); return nil })
	server, err := ingest.New(cfg, ingest.Deps{Log: p.log, Now: p.times.now, Producer: door{producer, p.room}, Registerer: p.registry})
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	p.run.Ingest = server.Addr()
	p.life.Go("ingest", func(ctx context.Context) error {
		select {
		case err := <-server.Failed():
			return err
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit/2)
			defer cancel()
			return server.Stop(stop)
		}
	})
	if len(cfg.Sources) == 0 {
		p.log.Warn("no source is configured, so every webhook gets 404: give --meta-app-secret and --meta-verify-token for a source at /v1/webhooks/meta/main, or sources in the file of --config")
	}
	for _, s := range cfg.Sources {
		p.log.Info("source", slog.String("path", "/v1/webhooks/"+s.Provider+"/"+s.Name), slog.Int("secrets", len(s.Secrets)))
	}
	return nil
}

// door takes nothing in while there is no room for what the line makes of it.
type door struct {
	ingest.Producer
	room func() error // nil: always
}

// Produce implements ingest.Producer.
func (d door) Produce(ctx context.Context, records []ingest.Record) error {
	if d.room != nil && len(records) > 0 {
		if err := d.room(); err != nil {
			return err
		}
	}
	return d.Producer.Produce(ctx, records)
}

func ingestConfig(p *process, pepper string) ingest.Config {
	from := p.cfg.Ingest
	cfg := ingest.Default()
	cfg.Listen, cfg.MaxBodyBytes, cfg.MaxConcurrent = from.Listen, from.MaxBodyBytes, from.MaxConcurrent
	cfg.ProduceTimeout, cfg.KeepRaw, cfg.Pepper = from.ProduceTimeout, from.KeepRaw, pepper
	for _, s := range p.cfg.Sources {
		cfg.Sources = append(cfg.Sources, ingest.Source{
			Name: s.Name, Provider: s.Provider, Secrets: s.Secrets, VerifyToken: s.VerifyToken,
			Account: s.Account, CampaignPattern: s.CampaignPattern, MaxEventAge: s.MaxEventAge,
		})
	}
	return cfg
}

// startLine starts everything from the end of the line to its beginning, so
// that nothing is produced that nobody reads, and stops the other way round.
func (p *process) startLine(ctx context.Context) error {
	return inOrder(ctx, p.openKafka, p.openClickHouse, p.startSink, p.startAlert, p.startRollup, p.startMessage, p.startIngest)
}
