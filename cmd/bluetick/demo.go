package main

import (
	"context"
	"errors"
	"time"

	"github.com/bluetick/bluetick/cmd/bluetick/internal/demo"
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
	o := c.options()
	if err := o.Validate(); err != nil {
		return err
	}
	if len(c.KafkaBrokers) > 0 || c.ClickhouseDSN != "" {
		return errors.New("the demo runs embedded; against servers use `bluetick run`")
	}
	return nil
}

func (c *demoCmd) options() demo.Options {
	return demo.Options{For: c.For, Seed: c.Seed, Scale: c.Scale, Plain: c.Plain}
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
	right, err := demo.Run(ctx, cfg, c.options())
	if err == nil && !right {
		err = errQuiet
	}
	return err
}
