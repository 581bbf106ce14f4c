package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/charmbracelet/x/term"

	"github.com/bluetick/bluetick/internal/clock"
	"github.com/bluetick/bluetick/internal/config"
	"github.com/bluetick/bluetick/internal/dataroot"
	"github.com/bluetick/bluetick/internal/obs"
	"github.com/bluetick/bluetick/internal/simulate"
	"github.com/bluetick/bluetick/schemas"
	sinkch "github.com/bluetick/bluetick/sink/clickhouse"
)

const (
	// demoSpeed brings a day of campaigns into three quarters of a minute.
	demoSpeed = 2000
	// demoLeast is the shortest bounded demo: the day itself takes 47 s.
	demoLeast = 55 * time.Second
	// demoDrain bounds the wait for the pipeline after the last post.
	demoDrain = 2 * time.Minute
	// demoConcurrency is how many webhooks are posted at once.
	demoConcurrency = 8
)

// demoCmd is everything embedded, with simulated traffic.
type demoCmd struct {
	settings
	For   time.Duration `help:"End by itself this long after the first post, compare with the truth and exit 0 or 1. At least 55s." placeholder:"DURATION"`
	Seed  uint64        `help:"Seed of the simulated account." default:"1"`
	Scale float64       `help:"Factor on the number of messages (about 24,000)." default:"1"`
	Plain bool          `help:"Plain lines even on a terminal."`
}

// Help is shown below the flags.
func (demoCmd) Help() string {
	return `A simulated WhatsApp account posts signed Meta webhooks over HTTP. Time starts 26
hours ago and runs 2,000 times as fast until it meets the present, so that a day of
campaigns, with rates that mature and alerts that fire, is there in under a minute.
Started again it goes on from its data.`
}

// Validate refuses what cannot work.
func (c *demoCmd) Validate() error {
	if c.For != 0 && c.For < demoLeast {
		return fmt.Errorf("--for %s is too short: the simulated day takes 47 s, give at least %s", c.For, demoLeast)
	}
	if c.Scale <= 0 || c.Scale > 100 {
		return fmt.Errorf("--scale %v is outside 0 to 100", c.Scale)
	}
	if len(c.KafkaBrokers) > 0 || c.ClickhouseDSN != "" {
		return errors.New("the demo runs embedded; against servers use `bluetick run`")
	}
	return nil
}

// demo is a running demo.
type demo struct {
	process *process
	clock   *clock.Virtual
	runner  *simulate.Runner
	conn    driver.Conn
	secret  string
}

// Run executes the command.
func (c *demoCmd) Run(ctx context.Context) error {
	if c.Data == "" {
		c.Data = "data/demo"
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	interactive := !c.Plain && c.For == 0 && term.IsTerminal(os.Stdout.Fd()) && term.IsTerminal(os.Stdin.Fd())
	log, closeLog, err := demoLog(&cfg, interactive)
	if err != nil {
		return err
	}
	defer closeLog()
	fmt.Fprintln(os.Stderr, "bluetick demo: starting Kafka, ClickHouse and the pipeline in this process")
	d, err := c.start(ctx, cfg, log)
	if err != nil {
		return err
	}
	show := watchLines(os.Stdout, 5*time.Second)
	if interactive {
		show = watchTerminal(os.Stdin, os.Stdout)
	}
	if c.For > 0 {
		return d.bounded(ctx, c.For, show)
	}
	return d.endless(ctx, show)
}

// demoLog goes to standard error at warn, or to a file while the terminal shows
// the live view.
func demoLog(cfg *config.Config, interactive bool) (*slog.Logger, func(), error) {
	level := cfg.Log.Level
	if level == "info" {
		level = "warn"
	}
	if !interactive {
		log, err := obs.NewLogger(os.Stderr, level, cfg.Log.Format)
		return log, func() {}, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(cfg.Data, "demo.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open log: %w", err)
	}
	log, err := obs.NewLogger(f, level, cfg.Log.Format)
	return log, func() { _ = f.Close() }, err
}

// start brings up the line on the virtual clock and begins to post.
func (c *demoCmd) start(ctx context.Context, cfg config.Config, log *slog.Logger) (*demo, error) {
	// The folder must be ours before the journal is read; newProcess takes the
	// lock again.
	root, err := dataroot.Open(cfg.Data)
	if err != nil {
		return nil, err
	}
	secret, err := root.Secret("demo-app")
	if err := errors.Join(err, root.Close()); err != nil {
		return nil, err
	}
	cfg.Sources = []config.Source{{Name: "demo", Provider: "meta", Secrets: []string{secret}, VerifyToken: secret, MaxEventAge: schemas.MaxEventAge}}
	journal, err := simulate.OpenJournal(filepath.Join(cfg.Data, "simulator.journal"), c.Seed, wall().Add(-simulate.History), c.Scale)
	if err != nil {
		return nil, err
	}
	d := &demo{secret: secret, clock: clock.New(wall, journal.Greatest(), journal.Greatest().Add(clock.Settling(demoSpeed)/2), demoSpeed)}
	d.process, err = newProcess(cfg, log, times{now: d.clock.Now, settling: d.clock.Settling, speed: d.clock.Speed, virtual: true})
	if err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	d.process.life.OnStop("journal", func(context.Context) error { return journal.Close() })
	if err := inOrder(ctx, d.process.startLine, d.connect); err != nil {
		return nil, d.process.fail(err)
	}
	d.runner = simulate.New(simulate.Config{
		URL: d.places().url(), Secret: secret, Concurrency: demoConcurrency, Lookahead: clock.Settling(demoSpeed) / 2,
	}, simulate.Deps{Now: d.clock.Now, Speed: d.clock.Speed, Allow: d.clock.Allow, Log: log.With("component", "simulator")}, journal)
	if err := d.process.announce(); err != nil {
		return nil, d.process.fail(err)
	}
	return d, nil
}

// connect opens the connection the view asks through.
func (d *demo) connect(ctx context.Context) error {
	conn, err := sinkch.Connect(ctx, d.process.clickhouse)
	if err != nil {
		return err
	}
	d.conn = conn
	d.process.life.OnStop("clickhouse connection of the view", func(context.Context) error { return conn.Close() })
	return nil
}

func (d *demo) places() places {
	run := d.process.run
	sample := simulate.SampleBody(wall().Unix())
	return places{
		data: d.process.root.Dir(), clickhouse: run.ClickHouse, metrics: run.Metrics, ingest: run.Ingest,
		sample: string(sample), signature: simulate.Sign(d.secret, sample),
	}
}

// take reads a snapshot; what cannot be read is said in its note.
func (d *demo) take(ctx context.Context) snapshot {
	// The truth first: what is acknowledged later may be in ClickHouse too.
	truth := d.runner.Truth()
	updates, unattributed := d.runner.Totals()
	s, err := look(ctx, d.conn)
	if err != nil {
		s.note = "cannot read ClickHouse: " + err.Error()
	}
	s.now, s.speed = d.clock.Now(), d.clock.Speed()
	s.truth, s.updates, s.unattributedTruth = truth, updates, unattributed
	return s
}

// endless shows until the user stops it.
func (d *demo) endless(ctx context.Context, show watch) error {
	d.process.life.Go("simulator", d.runner.Run)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shown := make(chan error, 1)
	go func() { shown <- show(ctx, d.take, d.places()) }()
	var err error
	select {
	case err = <-shown:
	case err = <-d.process.life.Failed():
		cancel()
		err = errors.Join(err, <-shown)
	}
	fmt.Fprintln(os.Stderr, "bluetick demo: stopping (the data stays; make demo goes on from it, make demo-clean deletes it)")
	return errors.Join(err, d.process.life.Stop(stopLimit))
}

// bounded posts for a while, drains, compares and reports.
func (d *demo) bounded(ctx context.Context, limit time.Duration, show watch) error {
	posting, stopPosting := context.WithCancel(ctx)
	defer stopPosting()
	posted := make(chan error, 1)
	go func() { posted <- d.runner.Run(posting) }()
	shown := make(chan error, 1)
	go func() { shown <- show(posting, d.take, d.places()) }()
	err := d.postFor(ctx, limit, posted)
	stopPosting()
	err = errors.Join(err, <-shown)
	if err == nil {
		err = <-posted
	}
	if err == nil && ctx.Err() != nil {
		err = errors.New("interrupted before the comparison")
	}
	if err != nil {
		return d.process.fail(err)
	}
	fmt.Println("stopped posting; waiting for the pipeline to drain")
	s, wrong := settle(ctx, d.take, d.drained(d.clock.Now()), demoDrain, demoGrace)
	ok := report(os.Stdout, s, wrong)
	if err := d.process.life.Stop(stopLimit); err != nil {
		return err
	}
	if !ok {
		return errQuiet
	}
	return nil
}

// postFor waits for the first post and then for limit.
func (d *demo) postFor(ctx context.Context, limit time.Duration, posted <-chan error) error {
	ended := func(err error) error { return errors.Join(errors.New("the simulator ended by itself"), err) }
	select {
	case <-d.runner.First():
	case err := <-posted:
		return ended(err)
	case err := <-d.process.life.Failed():
		return err
	case <-ctx.Done():
		return nil
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-posted:
		return ended(err)
	case err := <-d.process.life.Failed():
		return err
	case <-ctx.Done():
		return nil
	}
}
