package pipeline

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/bluetick/bluetick/aggregate/message"
	"github.com/bluetick/bluetick/aggregate/rollup"
	"github.com/bluetick/bluetick/alert"
	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/ingest"
	"github.com/bluetick/bluetick/internal/clock"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink"
	sinkch "github.com/bluetick/bluetick/sink/clickhouse"
)

// startFold runs a stage of folds and returns when its states are open.
func (p *Process) startFold(ctx context.Context, cfg task.StageConfig, fold task.NewFold) error {
	cfg.Epoch, cfg.StateDir, cfg.Embedded = p.epoch.Current, p.root.State(), p.cfg.Kafka.Embedded()
	cfg.Input, cfg.Output, cfg.FromStart = schemas.TopicIn(cfg.Input, cfg.Epoch), schemas.TopicIn(cfg.Output, cfg.Epoch), p.rebuilding
	cfg.Policy = task.DefaultPolicy()
	ready := make(chan struct{}) // closed by the stage, once
	deps := task.Deps{
		Kafka: p.reach, NewFold: fold,
		Now: p.times.Now, Wall: Wall, Log: p.log, Registerer: p.registry,
		Ready: func() { close(ready) }, BlockCache: p.cache, Board: &p.board,
	}
	p.life.Go(cfg.Stage, func(ctx context.Context) error { return task.RunStage(ctx, cfg, deps) })
	return p.await(ctx, ready)
}

// await waits for a part that was started; its failure, or that of any other
// part, ends the wait.
func (p *Process) await(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case err := <-p.life.Failed():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Process) startMessage(ctx context.Context) error {
	return p.startFold(ctx, task.StageConfig{
		Stage: schemas.StageMessage, Input: schemas.TopicEvents, Output: schemas.TopicPanes, Logic: message.Logic,
	}, message.NewFold())
}

func (p *Process) startRollup(ctx context.Context) error {
	return p.startFold(ctx, task.StageConfig{
		Stage: schemas.StageRollup, Input: schemas.TopicPanes, Output: schemas.TopicRates, Logic: rollup.Logic,
	}, rollup.NewFold(rollup.Default()))
}

func (p *Process) startAlert(ctx context.Context) error {
	benchmarks, err := schemas.LoadBenchmarks()
	if err != nil {
		return err
	}
	cfg, err := p.cfg.Alerts.Config(benchmarks)
	if err != nil {
		return err
	}
	receivers := []receiver.Receiver{receiver.NewLog(p.log)}
	for _, w := range p.cfg.Alerts.Webhooks {
		hook, err := receiver.NewWebhook(w, Wall)
		if err != nil {
			return fmt.Errorf("alerts.webhooks %q: %w", w.Name, err)
		}
		receivers = append(receivers, hook)
	}
	return p.startFold(ctx, task.StageConfig{
		Stage: schemas.StageAlert, Input: schemas.TopicRates, Logic: alert.Logic,
	}, alert.NewFold(cfg, alert.Deps{Now: p.times.Now, Speed: p.times.Speed, Receivers: receivers, Silent: p.rebuilding, Log: p.log}))
}

func (p *Process) startSink(ctx context.Context) error {
	conn, err := p.ClickHouse(ctx, "sink")
	if err != nil {
		return err
	}
	deps := sink.Deps{
		Kafka: p.named("sink"), Store: sinkch.NewClient(conn), Epoch: p.epoch.Current, Now: p.times.Now, Log: p.log, Registerer: p.registry,
	}
	p.life.Go("sink", func(ctx context.Context) error { return sink.Run(ctx, p.cfg.Sink, deps) })
	return nil
}

func (p *Process) startIngest(context.Context) error {
	cfg := p.cfg.Ingest
	cfg.Sources, cfg.Pepper = p.cfg.Sources, p.cfg.Pepper
	if cfg.Pepper == "" {
		var err error
		if cfg.Pepper, err = p.root.Secret("pepper"); err != nil {
			return err
		}
	}
	producer, err := ingest.NewKafka(cfg.ProduceTimeout, p.named("ingest")...)
	if err != nil {
		return err
	}
	p.life.OnStop("ingest producer", func(context.Context) error { producer.Close(); return nil })
	deps := ingest.Deps{
		Log: p.log, Now: p.times.Now, Producer: door{producer, p.room}, Providers: providers(), Registerer: p.registry,
		Past: ingest.KafkaPast(p.named("ingest")...), Partitions: p.partitions[schemas.TopicEvents], Settling: p.times.Settling, Speed: p.times.Speed,
		Doubted: func(d ingest.ClockDoubt) {
			if d != "" {
				p.obs.SetTrouble("the door is shut, its clock is doubted: " + string(d))
			} else {
				p.obs.SetTrouble("")
			}
		},
	}
	if !p.times.Virtual {
		deps.Boot = clock.Boot
	}
	server, err := ingest.New(cfg, deps)
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
		p.log.Warn("no source is configured, so every webhook gets 404: give BLUETICK_META_APP_SECRET and BLUETICK_META_VERIFY_TOKEN for a source at /v1/webhooks/meta/main, or sources in the file of --config")
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
