package alert

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bluetick/bluetick/schemas"
)

// Age is how old each cohort is when it is judged, in seconds; written "30m",
// "24h" or "30d".
type Age uint32

// UnmarshalText reads the written form.
func (a *Age) UnmarshalText(text []byte) error {
	s, err := parseSeconds(string(text))
	if err != nil {
		return fmt.Errorf("age: %w", err)
	}
	if s > schemas.HorizonSeconds {
		return fmt.Errorf("age %q: beyond the horizon of %d days", text, schemas.HorizonDays)
	}
	*a = Age(s)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (a Age) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String is the written form.
func (a Age) String() string { return formatSeconds(int64(a)) }

// FinalAge marks a reference that holds for the rate in the end, at the
// horizon, rather than at one age.
const FinalAge = Age(schemas.HorizonSeconds)

// Rule is one thing that is watched, as data.
type Rule struct {
	// Name is part of every incident's identity: renaming a rule closes its
	// incidents and starts anew.
	Name string `yaml:"name"`
	// Metric is the rate judged, one of Metrics.
	Metric string `yaml:"metric"`
	// Wrong is the side of the reference that is wrong.
	Wrong Side `yaml:"wrong"`
	// Groupings are the series judged. Where GroupAccount is one of them, a
	// firing account suppresses the notifications of its other series.
	Groupings []schemas.Grouping `yaml:"groupings"`
	// Tiers are the tests each series is put to; every one has its own
	// reference and statistic, all share one incident.
	Tiers []Tier `yaml:"tiers"`
	// FalseAlarms is the budget over all series and tiers of one account.
	FalseAlarms Budget `yaml:"false_alarms"`
}

// Tier is one test of a rule.
type Tier struct {
	// Age at which cohorts are judged: one that roll-up emits for window 1m.
	Age Age `yaml:"age"`
	// Severity of an incident this tier opens or raises.
	Severity schemas.Severity `yaml:"severity"`
	// Benchmark is the tier of the benchmark row that holds the reference.
	Benchmark string `yaml:"benchmark"`
	// BenchmarkAge is the age of that row; zero means Age. An opt-out count only
	// grows, so judging a young cohort against the final limit (FinalAge) is
	// conservative and early.
	BenchmarkAge Age `yaml:"benchmark_age"`
}

func (t Tier) benchmarkAge() Age {
	if t.BenchmarkAge == 0 {
		return t.Age
	}
	return t.BenchmarkAge
}

// cite is how messages and rows name the benchmark they used.
func cite(b *schemas.Benchmark) string {
	age := "at " + Age(b.Age).String()
	if Age(b.Age) == FinalAge {
		age = "final"
	}
	s := fmt.Sprintf("benchmark %s %s %s", b.Metric, b.Tier, age)
	if b.Channel != "" {
		s += " " + string(b.Channel)
	}
	return s + " (" + b.Kind + ", " + b.Source + ")"
}

// Names of the rules that Default watches.
const (
	RuleDelivery = "delivery-below-benchmark"
	RuleOptOut   = "opt-out-swell"
)

// Default is the built-in set of rules with their budgets. It needs six
// benchmark rows: eligible_delivery_rate warn and page at 24h, page at 30m, and
// opt_out_rate warn and page, final.
func Default() []Rule {
	const (
		halfHour = Age(1800)
		hour     = Age(3600)
		day      = Age(86400)
	)
	quarterly := Budget{Count: 1, Per: 90 * 24 * time.Hour}
	optOut := Rule{
		Name: RuleOptOut, Metric: MetricOptOut, Wrong: Above,
		Groupings: []schemas.Grouping{schemas.GroupCampaign}, FalseAlarms: quarterly,
	}
	for _, age := range []Age{halfHour, hour, 4 * hour} {
		optOut.Tiers = append(optOut.Tiers,
			Tier{age, schemas.SeverityWarn, "warn", FinalAge},
			Tier{age, schemas.SeverityPage, "page", FinalAge})
	}
	return []Rule{
		{
			Name: RuleDelivery, Metric: MetricEligibleDelivery, Wrong: Below,
			Groupings: []schemas.Grouping{schemas.GroupAccount, schemas.GroupCampaign},
			Tiers: []Tier{
				{halfHour, schemas.SeverityPage, "page", 0},
				{day, schemas.SeverityWarn, "warn", 0},
				{day, schemas.SeverityPage, "page", 0},
			},
			FalseAlarms: quarterly,
		},
		optOut,
	}
}

// maxTiers bounds the state of a series and the bits of work per cohort.
const maxTiers = 16

func validateRules(rules []Rule) error {
	var errs []error
	seen := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if seen[r.Name] {
			errs = append(errs, fmt.Errorf("rule %q: another rule has this name", r.Name))
		}
		seen[r.Name] = true
		for _, err := range r.mistakes() {
			errs = append(errs, fmt.Errorf("rule %q: %w", r.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Rule) mistakes() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Name == "" {
		bad("name is empty")
	}
	if _, ok := metricOf(r.Metric); !ok {
		bad("metric %q: want one of %s", r.Metric, strings.Join(Metrics(), ", "))
	}
	if r.Wrong != Above && r.Wrong != Below {
		bad("wrong %q: want %q or %q", r.Wrong, Above, Below)
	}
	if len(r.Groupings) == 0 {
		bad("no groupings")
	}
	for i, g := range r.Groupings {
		if !g.Valid() || slices.Contains(r.Groupings[:i], g) {
			bad("grouping %q: unknown or repeated", g)
		}
	}
	if len(r.Tiers) == 0 || len(r.Tiers) > maxTiers {
		bad("%d tiers: want 1 to %d", len(r.Tiers), maxTiers)
	}
	for i, t := range r.Tiers {
		if edges := schemas.Edges(); !slices.Contains(edges[:], int64(t.Age)) {
			bad("tier %d: age %s is not an edge of the delay histogram", i+1, t.Age)
		}
		if severityRank(t.Severity) == 0 {
			bad("tier %d: severity %q: want info, warn or page", i+1, t.Severity)
		}
		if t.Benchmark == "" {
			bad("tier %d: benchmark is empty", i+1)
		}
		for _, o := range r.Tiers[:min(i, maxTiers)] {
			if o.Age == t.Age && o.Severity == t.Severity {
				bad("tier %d: %s at %s is there already", i+1, t.Severity, t.Age)
			}
		}
	}
	if err := r.FalseAlarms.validate(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// severityRank orders severities; 0 is none or unknown.
func severityRank(s schemas.Severity) int {
	switch s {
	case schemas.SeverityInfo:
		return 1
	case schemas.SeverityWarn:
		return 2
	case schemas.SeverityPage:
		return 3
	default:
		return 0
	}
}

// fits reports whether b holds the reference of tier t, whatever its channel.
func (t Tier) fits(r *Rule, b *schemas.Benchmark) bool {
	return b.Metric == r.Metric && b.Tier == t.Benchmark && Age(b.Age) == t.benchmarkAge()
}

// reference finds the benchmark a tier is held against in a series of the
// channel; nil if there is none. A row of the channel itself goes before one for
// every channel. Where no row is for every channel, a series over all channels
// takes the most lenient of the channels' rows: if every channel keeps to its
// own, their mixture keeps to that one.
func reference(rows []schemas.Benchmark, r *Rule, t Tier, channel schemas.Channel) *schemas.Benchmark {
	var found *schemas.Benchmark
	for i := range rows {
		b := &rows[i]
		switch {
		case !t.fits(r, b):
		case b.Channel == channel:
			return b
		case b.Channel == "":
			found = b
		case channel == "" && (found == nil || lenient(r.Wrong, b.Value, found.Value)):
			found = b
		}
	}
	return found
}

// lenient reports whether reference a forgives more than b.
func lenient(wrong Side, a, b float64) bool {
	if wrong == Below {
		return a < b
	}
	return a > b
}
