package alert

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/schemas"
)

// Logic is the version of what this fold does with its input and of its state
// layout: another one is another state directory.
const Logic = "alert/1"

// DefaultMaxSeries bounds the (rule, series) pairs one partition watches, those
// of whole accounts apart: about 5 kB each when all are busy.
const DefaultMaxSeries = 50_000

// Config is what the alert fold watches.
type Config struct {
	Rules []Rule
	// Benchmarks hold the references of the rules' tiers, see Tier; rows that no
	// tier refers to are ignored.
	Benchmarks []schemas.Benchmark
	// MaxSeries per partition; zero means DefaultMaxSeries. Accounts share them;
	// see places. Series of whole accounts take none.
	MaxSeries int
}

// Validate returns all mistakes at once.
func (c Config) Validate() error {
	errs := []error{validateRules(c.Rules), c.checkReferences()}
	if c.MaxSeries < 0 {
		errs = append(errs, fmt.Errorf("max_series %d: want a number above 0", c.MaxSeries))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("alert: %w", err)
	}
	return nil
}

// checkReferences finds the rules whose tiers have no benchmark to be held against.
func (c Config) checkReferences() error {
	var errs []error
	for i := range c.Rules {
		r := &c.Rules[i]
		for _, t := range r.Tiers {
			errs = append(errs, c.checkReference(r, t))
		}
	}
	return errors.Join(errs...)
}

func (c Config) checkReference(r *Rule, t Tier) error {
	found := false
	for i := range c.Benchmarks {
		b := &c.Benchmarks[i]
		if !t.fits(r, b) {
			continue
		}
		found = true
		if !(b.Value > 0 && b.Value < 1) {
			return fmt.Errorf("rule %q: %s is %v: a reference must lie between 0 and 1", r.Name, cite(b), b.Value)
		}
	}
	if !found {
		return fmt.Errorf("rule %q: no benchmark %s %s at %s", r.Name, r.Metric, t.Benchmark, t.benchmarkAge())
	}
	return nil
}

// Deps is what the fold reaches the outside through.
type Deps struct {
	// Now is the processing clock, virtual where events are; read only when a
	// notification is about to be sent.
	Now func() time.Time
	// Speed is how fast that clock runs at present; nil means 1, real time. It
	// widens what counts as too old to notify.
	Speed func() float64
	// Receivers get every notification, all at the same time.
	Receivers []receiver.Receiver
	// Silent tells nobody, and takes everything for told: incidents that another
	// epoch has told of are decided again in a rebuild.
	Silent bool
	// Limits bound the telling; zero means receiver.DefaultLimits.
	Limits receiver.Limits
	Log    *slog.Logger
}

func (d Deps) validate() error {
	var errs []error
	if d.Now == nil || d.Log == nil {
		errs = append(errs, errors.New("alert: Now and Log are needed"))
	}
	seen := map[string]bool{}
	for _, r := range d.Receivers {
		if seen[r.Name()] {
			errs = append(errs, fmt.Errorf("alert: two receivers are named %q", r.Name()))
		}
		seen[r.Name()] = true
	}
	return errors.Join(errs...)
}

func (d Deps) limits() receiver.Limits {
	if d.Limits == (receiver.Limits{}) {
		return receiver.DefaultLimits()
	}
	return d.Limits
}

// tooOldAfter is how long after its `at` a transition is still worth telling.
func (d Deps) tooOldAfter() time.Duration {
	speed := 1.0
	if d.Speed != nil {
		speed = d.Speed()
	}
	return max(2*time.Hour, time.Duration(30*speed*float64(time.Second)))
}

// channelPlans are the plans of every rule for one channel. Owned by one fold.
type channelPlans map[schemas.Channel]map[string]*plan
