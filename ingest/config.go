package ingest

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// Config is how the door is set up. Secrets are the secrets themselves; nothing
// here is ever logged.
type Config struct {
	// Listen is the address, host:port.
	Listen string
	// MaxBodyBytes refuses larger bodies. Meta sends up to 3 MB.
	MaxBodyBytes int64
	// HeaderTimeout, ReadTimeout and IdleTimeout bound how long a client may take
	// to send the header, to send the whole request, and to send the next one.
	HeaderTimeout time.Duration
	ReadTimeout   time.Duration
	IdleTimeout   time.Duration
	// MaxConcurrent is how many requests are worked on at once; more get 503. It
	// bounds memory: at worst, each of them holds MaxBodyBytes.
	MaxConcurrent int
	// ProduceTimeout is how long Kafka may take to acknowledge a body.
	ProduceTimeout time.Duration
	// KeepRaw also writes every authentic body as received.
	KeepRaw bool
	// Pepper is the operator's secret for the pseudonyms of contacts.
	Pepper string
	// Values are the numbers of different values per source and day above which
	// the value of a dimension becomes "(other)".
	Values  ValueLimits
	Sources []Source
}

// Source is one account that may send to /v1/webhooks/<Provider>/<Name>.
type Source struct {
	Name     string
	Provider string
	// Secrets and VerifyToken are the provider's to understand and to check; see
	// provider.Settings.
	Secrets     []string
	VerifyToken string
	// Account, if not empty, replaces the provider's account id.
	Account string
	// CampaignPattern is a regular expression; see provider.CompileCampaignPattern.
	CampaignPattern string
	// MaxEventAge is how old an event may be when it arrives.
	MaxEventAge time.Duration
}

// ValueLimits are numbers of different values of each dimension.
type ValueLimits struct{ Campaign, Template, Variant, Segment, Language int }

// DefaultMaxEventAge is how old an event may be: providers retry for up to 7
// days. State is kept so long that no event of this age meets a forgotten
// message.
const DefaultMaxEventAge = schemas.MaxEventAge

// Limits of the configuration, each with what it protects.
const (
	// maxMaxBodyBytes keeps a raw body, with what Kafka adds to it, below the
	// 5 MiB that the topics for bodies allow a record.
	maxMaxBodyBytes = 5<<20 - 64<<10
	// minPepper keeps a pepper from being guessed: phone numbers are few, so its
	// strength is all that protects them.
	minPepper = 16
)

// Default is a door on the usual port, without sources.
func Default() Config {
	return Config{
		Listen:         "127.0.0.1:8080",
		MaxBodyBytes:   4 << 20,
		HeaderTimeout:  5 * time.Second,
		ReadTimeout:    15 * time.Second,
		IdleTimeout:    2 * time.Minute,
		MaxConcurrent:  256,
		ProduceTimeout: 5 * time.Second,
		Values:         ValueLimits{Campaign: 10_000, Template: 5_000, Variant: 1_000, Segment: 10_000, Language: 500},
	}
}

// Validate reports every mistake at once. known are the providers that a source
// can name.
func (c *Config) Validate(known provider.Registry) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen: %q is not host:port", c.Listen)
	}
	if c.MaxBodyBytes < 1<<10 || c.MaxBodyBytes > maxMaxBodyBytes {
		bad("max body: %d bytes is outside 1 KiB to %d: Kafka takes no larger record", c.MaxBodyBytes, maxMaxBodyBytes)
	}
	if c.MaxConcurrent < 1 {
		bad("max concurrent requests: %d, want at least 1", c.MaxConcurrent)
	}
	for what, d := range map[string]time.Duration{"header timeout": c.HeaderTimeout, "read timeout": c.ReadTimeout, "idle timeout": c.IdleTimeout} {
		if d <= 0 {
			bad("%s: %s, want more than 0", what, d)
		}
	}
	if c.ProduceTimeout < minProduceTimeout {
		bad("produce timeout: %s, want at least %s", c.ProduceTimeout, minProduceTimeout)
	}
	if len(c.Pepper) < minPepper {
		bad("pepper: %d bytes, want at least %d", len(c.Pepper), minPepper)
	}
	for name, n := range c.Values.byName() {
		if n < 1 {
			bad("values of %s: %d, want at least 1", name, n)
		}
	}
	seen := map[string]bool{}
	for i := range c.Sources {
		s := &c.Sources[i]
		if err := s.validate(known); err != nil {
			bad("source %d %q: %w", i, s.Name, err)
		}
		if seen[s.path()] {
			bad("source %d %q: given twice", i, s.Name)
		}
		seen[s.path()] = true
	}
	return errors.Join(errs...)
}

// path is the source's part of the route.
func (s *Source) path() string { return s.Provider + "/" + s.Name }

// settings are what only the provider understands.
func (s *Source) settings() provider.Settings {
	return provider.Settings{Secrets: s.Secrets, VerifyToken: s.VerifyToken}
}

func (s *Source) validate(known provider.Registry) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	// The name is a path segment, a Kafka key and a metric label.
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`).MatchString(s.Name) {
		bad("name: want lower-case letters, digits, - and _, at most 63")
	}
	if p := known.Find(s.Provider); p == nil {
		bad("provider: %q is not known; this build has %s", s.Provider, known.Names())
	} else if _, err := p.Open(s.settings()); err != nil {
		errs = append(errs, err)
	}
	if _, err := provider.CompileCampaignPattern(s.CampaignPattern); err != nil {
		errs = append(errs, err)
	}
	if s.MaxEventAge <= 0 || s.MaxEventAge > DefaultMaxEventAge {
		bad("max event age: %s, want up to %s", s.MaxEventAge, DefaultMaxEventAge)
	}
	return errors.Join(errs...)
}
