// Package demo is the whole line in one process with simulated traffic: it
// starts the line on a clock that runs ahead, posts the webhooks of a simulated
// account, shows what ClickHouse has counted beside what the simulator knows, and,
// when it ends by itself, compares the two number by number.
//
//   - demo.go starts it and ends it; check.go compares and judges.
//   - drained.go finds out when everything posted has come through.
//   - view.go turns a snapshot into text, terminal.go shows it.
package demo

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

	"github.com/bluetick/bluetick/cmd/bluetick/internal/pipeline"
	"github.com/bluetick/bluetick/ingest"
	"github.com/bluetick/bluetick/internal/clock"
	"github.com/bluetick/bluetick/internal/dataroot"
	"github.com/bluetick/bluetick/internal/obs"
	"github.com/bluetick/bluetick/internal/simulate"
)

const (
	// speed brings a day of campaigns into three quarters of a minute.
	speed = 2000
	// least is the shortest bounded demo: the day itself takes 47 s.
	least = 55 * time.Second
	// drainLimit bounds the wait for the pipeline after the last post.
	drainLimit = 2 * time.Minute
	// concurrency is how many webhooks are posted at once.
	concurrency = 8
)

// Options are what a user may choose.
type Options struct {
	For   time.Duration // after the first post; 0: until the user stops it
	Seed  uint64        // of the simulated account
	Scale float64       // factor on the number of messages
	Plain bool          // plain lines even on a terminal
}

// Validate refuses what cannot work, in the words of the flags.
func (o *Options) Validate() error {
	if o.For != 0 && o.For < least {
		return fmt.Errorf("--for %s is too short: the simulated day takes 47 s, give at least %s", o.For, least)
	}
	if o.Scale <= 0 || o.Scale > 100 {
		return fmt.Errorf("--scale %v is outside 0 to 100", o.Scale)
	}
	return nil
}

// demo is a running demo.
type demo struct {
	process *pipeline.Process
	clock   *clock.Virtual
	runner  *simulate.Runner
	conn    driver.Conn
	secret  string
}

// Run shows the demo until ctx ends, the user stops it, or its time is over.
// right is false if a bounded one found a difference, which it has then printed.
func Run(ctx context.Context, cfg pipeline.Config, o Options) (right bool, err error) {
	interactive := !o.Plain && o.For == 0 && term.IsTerminal(os.Stdout.Fd()) && term.IsTerminal(os.Stdin.Fd())
	log, closeLog, err := openLog(&cfg, interactive)
	if err != nil {
		return false, err
	}
	defer closeLog()
	fmt.Fprintln(os.Stderr, "bluetick demo: starting Kafka, ClickHouse and the pipeline in this process")
	d, err := start(ctx, cfg, o, log)
	if err != nil {
		return false, err
	}
	show := watchLines(os.Stdout, 5*time.Second)
	if interactive {
		show = watchTerminal(os.Stdin, os.Stdout)
	}
	if o.For > 0 {
		return d.bounded(ctx, o.For, show)
	}
	return true, d.endless(ctx, show)
}

// openLog is standard error at warn, or a file while the terminal shows the live
// view.
func openLog(cfg *pipeline.Config, interactive bool) (*slog.Logger, func(), error) {
	c := cfg.Log
	if c.Level == "info" {
		c.Level = "warn"
	}
	if !interactive {
		log, err := obs.NewLogger(os.Stderr, c)
		return log, func() {}, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(cfg.Data, "demo.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open log: %w", err)
	}
	log, err := obs.NewLogger(f, c)
	return log, func() { _ = f.Close() }, err
}

// start brings up the line on the virtual clock and begins to post.
func start(ctx context.Context, cfg pipeline.Config, o Options, log *slog.Logger) (*demo, error) {
	// The folder must be ours before the journal is read; pipeline.New takes the
	// lock again.
	root, err := dataroot.Open(cfg.Data)
	if err != nil {
		return nil, err
	}
	secret, err := root.Secret("demo-app")
	if err := errors.Join(err, root.Close()); err != nil {
		return nil, err
	}
	cfg.Sources = []ingest.Source{{Name: "demo", Provider: "meta", Secrets: []string{secret}, VerifyToken: secret, MaxEventAge: ingest.DefaultMaxEventAge}}
	journal, err := simulate.OpenJournal(filepath.Join(cfg.Data, "simulator.journal"), o.Seed, pipeline.Wall().Add(-simulate.History), o.Scale)
	if err != nil {
		return nil, err
	}
	d := &demo{secret: secret, clock: clock.New(pipeline.Wall, journal.Greatest(), journal.Greatest().Add(clock.Settling(speed)/2), speed)}
	d.process, err = pipeline.New(cfg, log, pipeline.Times{Now: d.clock.Now, Settling: d.clock.Settling, Speed: d.clock.Speed, Virtual: true})
	if err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	d.process.OnStop("journal", func(context.Context) error { return journal.Close() })
	if err := d.process.Start(ctx, pipeline.Line()); err != nil {
		return nil, d.process.Fail(err)
	}
	if d.conn, err = d.process.ClickHouse(ctx, "view"); err != nil {
		return nil, d.process.Fail(err)
	}
	d.runner = simulate.New(simulate.Config{
		URL: d.places().url(), Secret: secret, Concurrency: concurrency, Lookahead: clock.Settling(speed) / 2,
	}, simulate.Deps{Now: d.clock.Now, Speed: d.clock.Speed, Allow: d.clock.Allow, Log: log.With("component", "simulator")}, journal)
	if err := d.process.Announce(); err != nil {
		return nil, d.process.Fail(err)
	}
	return d, nil
}

func (d *demo) places() places {
	run := d.process.Places()
	sample := simulate.SampleBody(pipeline.Wall().Unix())
	return places{
		data: d.process.Dir(), clickhouse: run.ClickHouse, metrics: run.Metrics, ingest: run.Ingest,
		sample: string(sample), signature: simulate.Sign(d.secret, sample),
	}
}

// take reads a snapshot; its note names what could not be read.
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

// endless shows the demo until the user stops it.
func (d *demo) endless(ctx context.Context, show watch) error {
	d.process.Part("simulator", d.runner.Run)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shown := make(chan error, 1)
	go func() { shown <- show(ctx, d.take, d.places()) }()
	var err error
	select {
	case err = <-shown:
	case err = <-d.process.Failed():
		cancel()
		err = errors.Join(err, <-shown)
	}
	fmt.Fprintln(os.Stderr, "bluetick demo: stopping (the data stays; make demo goes on from it, make demo-clean deletes it)")
	return d.process.Fail(err)
}

// bounded posts for a while, drains, compares and reports.
func (d *demo) bounded(ctx context.Context, limit time.Duration, show watch) (right bool, err error) {
	posting, stopPosting := context.WithCancel(ctx)
	defer stopPosting()
	posted := make(chan error, 1)
	go func() { posted <- d.runner.Run(posting) }()
	shown := make(chan error, 1)
	go func() { shown <- show(posting, d.take, d.places()) }()
	err = postFor(ctx, limit, d.runner.First(), posted, d.process.Failed())
	stopPosting()
	err = errors.Join(err, <-shown)
	if err == nil {
		err = <-posted
	}
	if err == nil && ctx.Err() != nil {
		err = errors.New("interrupted before the comparison")
	}
	if err != nil {
		return false, d.process.Fail(err)
	}
	fmt.Println("stopped posting; waiting for the pipeline to drain")
	through := &through{line: d.process, warehouse: clickhouseReader{d.conn}, stopped: d.clock.Now()}
	s, wrong := settle(ctx, d.take, through.all, drainLimit, grace)
	right = report(os.Stdout, s, wrong)
	return right, d.process.Stop()
}

// postFor waits for the first post and then for limit. It returns early, without
// an error, when ctx ends.
func postFor(ctx context.Context, limit time.Duration, first <-chan struct{}, posted, failed <-chan error) error {
	ended := func(err error) error { return errors.Join(errors.New("the simulator ended by itself"), err) }
	var over <-chan time.Time // runs from the first post
	for {
		select {
		case <-first:
			timer := time.NewTimer(limit)
			defer timer.Stop()
			first, over = nil, timer.C
		case <-over:
			return nil
		case err := <-posted:
			return ended(err)
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}
