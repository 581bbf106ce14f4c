package alert

import (
	"errors"
	"fmt"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/schemas"
)

// Settings is what an operator may set: the section `alerts` of the file.
type Settings struct {
	// FalseAlarms is the budget of each built-in rule in words: "1 per account
	// per 90d".
	FalseAlarms string `yaml:"false_alarms"`
	// Rules replace the built-in ones. Nil keeps those; an empty list watches
	// nothing.
	Rules []Rule `yaml:"rules"`
	// MaxSeries bounds the series watched per partition, shared by its accounts;
	// 0 is the built-in bound. Whole accounts are always watched.
	MaxSeries int `yaml:"max_series"`
	// Webhooks are told of every transition, besides the log.
	Webhooks []receiver.WebhookConfig `yaml:"webhooks"`
}

// DefaultSettings is the built-in rules with one false alarm per account and
// quarter, told to the log.
func DefaultSettings() Settings {
	return Settings{FalseAlarms: "1 per account per 90d", MaxSeries: DefaultMaxSeries}
}

// Validate reports every mistake in what every role reads, by its key. Rules and
// budget concern the alert stage alone: Config reports theirs.
func (s *Settings) Validate() error {
	var errs []error
	if s.MaxSeries < 0 {
		errs = append(errs, fmt.Errorf("max_series: %d: want a number above 0", s.MaxSeries))
	}
	for i, w := range s.Webhooks {
		err := w.Validate()
		mistakes := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			mistakes = joined.Unwrap()
		}
		for _, mistake := range mistakes {
			if mistake != nil {
				errs = append(errs, fmt.Errorf("webhooks[%d] %q: %w", i, w.Name, mistake))
			}
		}
	}
	return errors.Join(errs...)
}

// Config is what the fold watches under these settings; it is valid. An error
// names the key in full.
func (s *Settings) Config(benchmarks []schemas.Benchmark) (Config, error) {
	rules, err := s.rules()
	if err != nil {
		return Config{}, err
	}
	if err := validateRules(rules); err != nil {
		return Config{}, fmt.Errorf("alerts.%w", err)
	}
	c := Config{Rules: rules, Benchmarks: benchmarks, MaxSeries: s.MaxSeries}
	if err := c.checkReferences(); err != nil {
		return Config{}, fmt.Errorf("alerts: alert: %w", err)
	}
	return c, nil
}

// rules are the operator's own, or the built-in ones with the operator's budget.
func (s *Settings) rules() ([]Rule, error) {
	if s.Rules != nil {
		return s.Rules, nil
	}
	var b Budget
	if err := b.UnmarshalText([]byte(s.FalseAlarms)); err != nil {
		return nil, fmt.Errorf("alerts.false_alarms: %w", err)
	}
	rules := Default()
	for i := range rules {
		rules[i].FalseAlarms = b
	}
	return rules, nil
}
