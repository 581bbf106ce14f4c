package alert

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/bluetick/bluetick/schemas"
)

func TestDefaultsAreValid(t *testing.T) {
	if err := defaults(t).Validate(); err != nil {
		t.Error(err)
	}
}

func TestParseRulesReadsWhatIsWritten(t *testing.T) {
	doc, err := yaml.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := parseRules(doc)
	if err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	if !reflect.DeepEqual(rules, Default()) {
		t.Errorf("read back\n%+v\nwant\n%+v", rules, Default())
	}
}

func TestParseRules(t *testing.T) {
	const good = `
- name: opens
  metric: open_rate
  wrong: below
  groupings: [campaign]
  tiers:
    - {age: 24h, severity: info, benchmark: baseline}
  false_alarms: 2 per account per 30d
`
	rules, err := parseRules([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := Rule{
		Name: "opens", Metric: MetricOpen, Wrong: Below, Groupings: []schemas.Grouping{schemas.GroupCampaign},
		Tiers:       []Tier{{Age: 86400, Severity: schemas.SeverityInfo, Benchmark: "baseline"}},
		FalseAlarms: Budget{Count: 2, Per: 30 * 24 * time.Hour},
	}
	if len(rules) != 1 || !reflect.DeepEqual(rules[0], want) {
		t.Errorf("got %+v, want %+v", rules, want)
	}
	for name, c := range map[string]struct{ old, new, says string }{
		"unknown field":    {"wrong:", "wrnog:", "wrnog"},
		"budget":           {"2 per account per 30d", "few", `want "1 per account per 90d"`},
		"budget time":      {"30d", "30 days", "1 per account per 90d"},
		"budget too large": {"2 per", "5000 per", "1 to 1000"},
		"age":              {"24h", "1 day", "whole number"},
		"age overflows":    {"24h", "99999999999d", "whole number"},
		"age past horizon": {"24h", "40d", "horizon"},
		"age off the edge": {"24h", "3h", "edge"},
		"metric":           {"open_rate", "opne_rate", "want one of"},
		"severity":         {"info", "urgent", "severity"},
		"grouping":         {"[campaign]", "[country]", "country"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseRules([]byte(strings.Replace(good, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

func TestValidateTellsEveryMistake(t *testing.T) {
	c := defaults(t)
	c.Rules = append(c.Rules, c.Rules[0], Rule{Name: "empty"})
	c.Benchmarks = c.Benchmarks[:0]
	c.MaxSeries = -1
	err := c.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, says := range []string{
		"another rule has this name", `rule "empty": metric`, `rule "empty": no groupings`, `rule "empty": 0 tiers`,
		"no benchmark eligible_delivery_rate page at 30m", "no benchmark opt_out_rate warn at 30d", "max_series",
	} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("does not say %q:\n%v", says, err)
		}
	}
}

func TestReference(t *testing.T) {
	row := func(channel schemas.Channel, v float64) schemas.Benchmark {
		return schemas.Benchmark{Metric: MetricOptOut, Channel: channel, Tier: "warn", Age: uint32(FinalAge), Value: v}
	}
	rule := &Rule{Metric: MetricOptOut, Wrong: Above}
	tier := Tier{Age: 1800, Benchmark: "warn", BenchmarkAge: FinalAge}
	other := row("", 0.5)
	other.Age = 1800
	cases := []struct {
		name    string
		rows    []schemas.Benchmark
		channel schemas.Channel
		want    float64
	}{
		{"none", nil, "whatsapp", 0},
		{"only at another age", []schemas.Benchmark{other}, "whatsapp", 0},
		{"for every channel", []schemas.Benchmark{row("", 0.01)}, "whatsapp", 0.01},
		{"the channel's own first", []schemas.Benchmark{row("whatsapp", 0.02), row("", 0.01)}, "whatsapp", 0.02},
		{"the channel's own last", []schemas.Benchmark{row("", 0.01), row("whatsapp", 0.02)}, "whatsapp", 0.02},
		{"another channel's only", []schemas.Benchmark{row("sms", 0.03)}, "whatsapp", 0},
		{"all channels: the row for all", []schemas.Benchmark{row("sms", 0.03), row("", 0.01)}, "", 0.01},
		{"all channels: the most lenient", []schemas.Benchmark{row("whatsapp", 0.02), row("sms", 0.03), row("email", 0.01)}, "", 0.03},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got float64
			if b := reference(c.rows, rule, tier, c.channel); b != nil {
				got = b.Value
			}
			if got != c.want {
				t.Errorf("reference %v, want %v", got, c.want)
			}
		})
	}
}

func FuzzParseRules(f *testing.F) {
	doc, err := yaml.Marshal(Default())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Add([]byte("- name: x\n  tiers: [{age: 30m}]\n  false_alarms: 1 per account per 90d\n"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		rules, err := parseRules(doc)
		if err != nil {
			return
		}
		again, err := yaml.Marshal(rules)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseRules(again)
		if err != nil {
			t.Fatalf("what was accepted is refused when written again: %v\n%s", err, again)
		}
		if len(rules) > 0 && !reflect.DeepEqual(rules, back) {
			t.Errorf("written and read again:\n%+v\nwas\n%+v", back, rules)
		}
	})
}
