package ingest

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/internal/pepper"
	"github.com/bluetick/bluetick/schemas"
)

// Config is how the door is set up. Secrets are the secrets themselves; nothing
// here is ever logged. The fields with a key are the section `ingest` of the
// operator's file; sources and pepper have sections of their own there.
type Config struct {
	// Listen is the address, host:port.
	Listen string `yaml:"listen"`
	// MaxBodyBytes refuses larger bodies with 413. Meta sends up to 3 MB.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// HeaderTimeout, ReadTimeout and IdleTimeout bound how long a client may take
	// to send the header, to send the whole request, and to send the next one.
	HeaderTimeout time.Duration `yaml:"-"`
	ReadTimeout   time.Duration `yaml:"-"`
	IdleTimeout   time.Duration `yaml:"-"`
	// MinBodyRate is how many bytes a second a body must come at, on average, if it
	// takes longer than bodyGrace; ReadTimeout ends it all the same.
	MinBodyRate int64 `yaml:"min_body_rate"`
	// MaxBytesInFlight bounds what all bodies hold that are being read or worked on.
	// Above it, who has been sending the longest gets 503.
	MaxBytesInFlight int64 `yaml:"max_bytes_in_flight"`
	// MaxConcurrent is how many bodies are worked on at once, each from its last byte
	// to Kafka's acknowledgement; more get 503. It bounds what decoding takes.
	MaxConcurrent int `yaml:"max_concurrent"`
	// ProduceTimeout is how long Kafka may take to acknowledge a body before 503.
	ProduceTimeout time.Duration `yaml:"produce_timeout"`
	// KeepRaw also writes every authentic body as received to bluetick.raw.
	KeepRaw bool `yaml:"keep_raw"`
	// Pepper is the operator's secret for the pseudonyms of contacts.
	Pepper string `yaml:"-"`
	// Values are the numbers of different values per account and day above which
	// the value of a dimension becomes "(other)".
	Values  ValueLimits `yaml:"values"`
	Sources []Source    `yaml:"-"`
}

// Source is one account that may send to /v1/webhooks/<Provider>/<Name>: an
// entry of the section `sources` of the operator's file.
type Source struct {
	Name     string `yaml:"name"`
	Provider string `yaml:"provider"`
	// Secrets and VerifyToken are the provider's to understand and to check; see
	// provider.Settings.
	Secrets     []string `yaml:"secrets"`
	VerifyToken string   `yaml:"verify_token"`
	// Account, if not empty, replaces the provider's account id in all data.
	Account string `yaml:"account"`
	// Accounts, if any, are the provider's own ids of the accounts that may be named
	// on this route. What names another becomes a dead letter: whoever holds the
	// secret of one account cannot speak for others.
	Accounts []string `yaml:"accounts"`
	// CampaignPattern is a regular expression: callback data that is neither JSON
	// nor k=v pairs is the campaign if it matches, or its groups named like
	// dimensions are what they say; see provider.CompileCampaignPattern.
	CampaignPattern string `yaml:"campaign_pattern"`
	// MaxEventAge is how old an event may be when it arrives; older ones become
	// dead letters.
	MaxEventAge time.Duration `yaml:"max_event_age"`
	// OptOut and OptIn change the words by which people leave and come back; see
	// Words.
	OptOut schemas.WordChange `yaml:"opt_out"`
	OptIn  schemas.WordChange `yaml:"opt_in"`
}

// Words are the words in force for the source: the defaults after its own
// changes.
func (s *Source) Words() (*schemas.OptOutWords, error) {
	words, err := schemas.DefaultOptOutWords()
	if err != nil {
		return nil, err
	}
	if words, err = words.With(s.OptOut, s.OptIn); err != nil {
		return nil, fmt.Errorf("opt_out, opt_in: %w", err)
	}
	return words, nil
}

// SetDefaults fills in what the operator left out.
func (s *Source) SetDefaults() {
	if s.MaxEventAge == 0 {
		s.MaxEventAge = DefaultMaxEventAge
	}
}

// DefaultMaxEventAge is how old an event may be: providers retry for up to 7
// days. State is kept so long that no event of this age meets a forgotten
// message.
const DefaultMaxEventAge = schemas.MaxEventAge

// Limits of the configuration, each with what it protects.
const (
	minMaxBodyBytes = 1 << 10
	// maxMaxBodyBytes keeps a raw body, with what Kafka adds to it, below the
	// 5 MiB that the topics for bodies allow a record.
	maxMaxBodyBytes = 5<<20 - 64<<10
)

// Default is a door on the usual port, without sources.
func Default() Config {
	return Config{
		Listen:        "127.0.0.1:8080",
		MaxBodyBytes:  4 << 20,
		HeaderTimeout: 5 * time.Second,
		ReadTimeout:   15 * time.Second,
		IdleTimeout:   2 * time.Minute,
		// Half a megabit a second; providers send at many times that.
		MinBodyRate: 64 << 10,
		// 32 of the largest bodies, or 8,192 small ones.
		MaxBytesInFlight: 128 << 20,
		MaxConcurrent:    256,
		ProduceTimeout:   5 * time.Second,
		Values: ValueLimits{
			Campaign: 10_000, Template: 5_000, Variant: 1_000, Segment: 10_000, Language: 500,
			// Some 400 bytes each in the folds, for as long as a pane is kept.
			Tuples: 10_000,
		},
	}
}

// Validate reports every mistake at once, by the keys of the section `ingest`.
// Sources and pepper are not part of that section: see ValidateSources and New.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen: %q is not host:port", c.Listen)
	}
	if c.MaxBodyBytes < minMaxBodyBytes || c.MaxBodyBytes > maxMaxBodyBytes {
		bad("max_body_bytes: %d is outside %d to %d: Kafka takes no larger record", c.MaxBodyBytes, minMaxBodyBytes, maxMaxBodyBytes)
	}
	if c.MinBodyRate < 1 {
		bad("min_body_rate: %d, want at least 1 byte a second", c.MinBodyRate)
	}
	if c.MaxBytesInFlight < 2*c.MaxBodyBytes {
		bad("max_bytes_in_flight: %d, want at least %d: a body of max_body_bytes takes twice that while it grows", c.MaxBytesInFlight, 2*c.MaxBodyBytes)
	}
	if c.MaxConcurrent < 1 {
		bad("max_concurrent: %d, want at least 1", c.MaxConcurrent)
	}
	for what, d := range map[string]time.Duration{"header timeout": c.HeaderTimeout, "read timeout": c.ReadTimeout, "idle timeout": c.IdleTimeout} {
		if d <= 0 {
			bad("%s: %s, want more than 0", what, d)
		}
	}
	if c.ProduceTimeout < minProduceTimeout {
		bad("produce_timeout: %s, want at least %s", c.ProduceTimeout, minProduceTimeout)
	}
	for name, n := range c.Values.byName() {
		if n < 1 {
			bad("values of %s: %d, want at least 1", name, n)
		}
	}
	return errors.Join(errs...)
}

// validateAll is Validate with the parts that have sections of their own.
func (c *Config) validateAll(known provider.Registry) error {
	return errors.Join(c.Validate(), ValidateSources(c.Sources, known), pepper.Check(c.Pepper))
}

// ValidateSources reports every mistake in the section `sources` at once. known
// are the providers that a source can name.
func ValidateSources(sources []Source, known provider.Registry) error {
	var errs []error
	seen := map[string]bool{}
	for i := range sources {
		s := &sources[i]
		mistakes := s.mistakes(known)
		if seen[s.path()] {
			mistakes = append(mistakes, errors.New("name: given twice"))
		}
		seen[s.path()] = true
		for _, err := range mistakes {
			errs = append(errs, fmt.Errorf("sources[%d] %q: %w", i, s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// path is the source's part of the route.
func (s *Source) path() string { return s.Provider + "/" + s.Name }

// settings are what only the provider understands.
func (s *Source) settings() provider.Settings {
	return provider.Settings{Secrets: s.Secrets, VerifyToken: s.VerifyToken}
}

func (s *Source) mistakes(known provider.Registry) []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	// The name is a path segment, a Kafka key and a metric label.
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`).MatchString(s.Name) {
		bad("name: want lower-case letters, digits, - and _, at most 63")
	}
	if p := known.Find(s.Provider); p == nil {
		bad("provider: %q is not known; this build has %s", s.Provider, known.Names())
		if slices.Contains(s.Secrets, "") { // wrong for whatever provider is meant
			bad("secrets: one is empty")
		}
	} else if _, err := p.Open(s.settings()); err != nil {
		errs = append(errs, err)
	}
	if slices.Contains(s.Accounts, "") {
		bad("accounts: one is empty")
	}
	if _, err := provider.CompileCampaignPattern(s.CampaignPattern); err != nil {
		bad("campaign_pattern: %w", err)
	}
	if _, err := s.Words(); err != nil {
		errs = append(errs, err)
	}
	if s.MaxEventAge <= 0 || s.MaxEventAge > DefaultMaxEventAge {
		bad("max_event_age: %s, want up to %.0fh: what is older could meet a message that is already forgotten", s.MaxEventAge, DefaultMaxEventAge.Hours())
	}
	return errs
}
