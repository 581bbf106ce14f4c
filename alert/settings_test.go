package alert

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/schemas"
)

// parseRules reads rules as the configuration of a process does: unknown fields
// are mistakes.
func parseRules(doc []byte) ([]Rule, error) {
	d := yaml.NewDecoder(bytes.NewReader(doc))
	d.KnownFields(true)
	var rules []Rule
	if err := d.Decode(&rules); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return rules, validateRules(rules)
}

func settingsOf(t *testing.T, doc string) Settings {
	t.Helper()
	s := DefaultSettings()
	d := yaml.NewDecoder(strings.NewReader(doc))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return s
}

const ownRule = `
rules:
  - name: opens
    metric: open_rate
    wrong: below
    groupings: [campaign]
    tiers: [{age: 24h, severity: info, benchmark: baseline}]
    false_alarms: 2 per account per 30d
`

func TestSettingsToConfig(t *testing.T) {
	benchmarks, err := schemas.LoadBenchmarks()
	if err != nil {
		t.Fatal(err)
	}
	builtIn := len(Default())
	for name, c := range map[string]struct {
		doc     string
		rules   int
		budget  int // of the first rule
		mistake string
	}{
		"nothing set":         {"", builtIn, 1, ""},
		"another budget":      {"false_alarms: 3 per account per 30d", builtIn, 3, ""},
		"rules of one's own":  {ownRule, 1, 2, ""},
		"their budget stays":  {ownRule + "false_alarms: 3 per account per 30d", 1, 2, ""},
		"no rules at all":     {"rules: []", 0, 0, ""},
		"a key without rules": {"rules:", builtIn, 1, ""},
		"budget":              {"false_alarms: few", 0, 0, "alerts.false_alarms: "},
		"a rule":              {strings.Replace(ownRule, "open_rate", "nope", 1), 0, 0, `alerts.rule "opens": metric "nope"`},
		"no benchmark":        {strings.Replace(ownRule, "baseline", "nope", 1), 0, 0, `alerts: alert: rule "opens": no benchmark open_rate nope`},
	} {
		s := settingsOf(t, c.doc)
		got, err := s.Config(benchmarks)
		if c.mistake != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.mistake) {
				t.Errorf("%s: %v, want %q", name, err, c.mistake)
			}
			continue
		}
		if err != nil || len(got.Rules) != c.rules {
			t.Errorf("%s: %d rules, %v", name, len(got.Rules), err)
			continue
		}
		if c.rules > 0 && int(got.Rules[0].FalseAlarms.Count) != c.budget {
			t.Errorf("%s: budget %+v, want %d", name, got.Rules[0].FalseAlarms, c.budget)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: not valid: %v", name, err)
		}
	}
}

func TestSettingsTellEveryMistake(t *testing.T) {
	s := Settings{MaxSeries: -1, Webhooks: []receiver.WebhookConfig{
		{Name: "ops", URL: "ftp://x"},
		{Name: "good", URL: "https://example.org", Secret: "whsec_" + strings.Repeat("QUJD", 10)},
		{Name: "short", URL: "https://example.org", Secret: "whsec_QUJD"},
	}}
	err := s.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		`max_series: -1`,
		`webhooks[0] "ops": url: want http:// or https://`,
		`webhooks[0] "ops": secret: none given; make one with: echo whsec_`,
		`webhooks[2] "short": secret: want whsec_`,
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("mistake %d does not say %q: %q", i, want, lines)
		}
	}
	if len(lines) != 4 || strings.Contains(err.Error(), "QUJD") {
		t.Errorf("mistakes: %q", lines)
	}
}
