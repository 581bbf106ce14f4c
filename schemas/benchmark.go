package schemas

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed benchmarks.yaml
var benchmarks []byte

// Benchmark is a reference value that a rate is held against at a certain age:
// a guide, not a verdict.
type Benchmark struct {
	// Metric is the rate's name, e.g. "open_rate"; Channel the medium it is
	// about, empty for every one.
	Metric  string  `yaml:"metric"`
	Channel Channel `yaml:"channel"`
	// Tier is floor, baseline, average, optimised, best, range or claim; warn and
	// page are the limits of alerts.
	Tier string `yaml:"tier"`
	// Age is how old a cohort must be to be held against it, in seconds.
	Age uint32 `yaml:"age"`
	// Value is what has to be met, a fraction: the low end of a range, or the
	// high end where lower is better.
	Value float64 `yaml:"value"`
	// Low and High are the ends of the range; both are Value if there is no range.
	Low  float64 `yaml:"low"`
	High float64 `yaml:"high"`
	// LowerIsBetter is true of rates that should be small.
	LowerIsBetter bool `yaml:"lower_is_better"`
	// Source is who published it; Kind is one of guide, vendor claim, policy, project
	// default and operator; AsOf is the date of the source.
	Source string    `yaml:"source"`
	Kind   string    `yaml:"kind"`
	AsOf   time.Time `yaml:"as_of"`
	Note   string    `yaml:"note"`
}

// benchmarkKinds are the kinds a row may have.
func benchmarkKinds() []string {
	return []string{"guide", "vendor claim", "policy", "project default", "operator"}
}

// LoadBenchmarks returns the benchmarks that come with bluetick.
func LoadBenchmarks() ([]Benchmark, error) { return ParseBenchmarks(benchmarks) }

// ParseBenchmarks reads a YAML list of benchmarks. Age is 24 h unless given; an
// unknown field, a missing name or an impossible value is an error.
func ParseBenchmarks(text []byte) ([]Benchmark, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var rows []Benchmark
	if err := dec.Decode(&rows); err != nil {
		return nil, fmt.Errorf("parse benchmarks: %w", err)
	}
	var errs []error
	for i := range rows {
		if err := rows[i].complete(); err != nil {
			errs = append(errs, fmt.Errorf("benchmark %d: %w", i+1, err))
		}
	}
	return rows, errors.Join(errs...)
}

// complete fills what a row may leave out and checks the rest.
func (b *Benchmark) complete() error {
	const day = 24 * 3600
	if b.Age == 0 {
		b.Age = day
	}
	switch {
	case b.Value == 0 && b.LowerIsBetter:
		b.Value = b.High
	case b.Value == 0:
		b.Value = b.Low
	case b.Low == 0 && b.High == 0:
		b.Low, b.High = b.Value, b.Value
	}
	if b.AsOf.IsZero() {
		b.AsOf = time.Unix(0, 0).UTC()
	}
	switch {
	case b.Metric == "" || b.Tier == "" || b.Source == "":
		return errors.New("metric, tier and source must be named")
	case b.Low <= 0 || b.High < b.Low || b.Value < b.Low || b.Value > b.High:
		return fmt.Errorf("%s/%s: value %v, range %v to %v", b.Metric, b.Tier, b.Value, b.Low, b.High)
	case !slices.Contains(benchmarkKinds(), b.Kind):
		return fmt.Errorf("%s/%s: unknown kind %q", b.Metric, b.Tier, b.Kind)
	}
	return nil
}
