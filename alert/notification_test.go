package alert

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/schemas"
)

func sample() schemas.Transition {
	t := schemas.Transition{
		Epoch: 7, Rule: RuleOptOut, Series: campaign("acme", "spring 'sale'\n"), OpenedAt: midnight + 36000, At: midnight + 36600,
		State: schemas.StateFiring, Severity: schemas.SeverityPage, Reason: "raised", Metric: MetricOptOut, N: 12345, K: 543, Age: 1800,
		Reference: 0.03, ReferenceSource: "benchmark opt_out_rate page final (project default, bluetick)",
		Statistic: 17.2, Threshold: 13.6, Since: midnight + 34000/60*60,
	}
	t.SQL = query(&t)
	return t
}

func TestMessage(t *testing.T) {
	var b strings.Builder
	firing := sample()
	n := message(&firing, nil)
	b.WriteString(n.Text + "\n")
	parent := sample()
	parent.Series, parent.Rule, parent.Metric = account("acme"), RuleDelivery, MetricEligibleDelivery
	parent.SQL = query(&parent)
	var children []string
	for i := range 12 {
		children = append(children, "campaign "+strconv.Itoa(i))
	}
	b.WriteString(message(&parent, children).Text + "\n")
	for _, r := range []Reason{ReasonRecovered, ReasonNoCohorts, ReasonRuleRemoved} {
		over := sample()
		over.State, over.Reason = schemas.StateResolved, string(r)
		if r == ReasonNoCohorts {
			over.N, over.K = 0, 0
		}
		b.WriteString(message(&over, nil).Text + "\n")
	}
	golden.Assert(t, "testdata/messages.golden", []byte(b.String()))
	if n.Rate == nil || math.Abs(*n.Rate-543.0/12345) > 1e-12 {
		t.Errorf("rate %v", n.Rate)
	}
}

func TestKeysAreStableAndDistinct(t *testing.T) {
	a := sample()
	seen := map[schemas.Key]string{notificationKey(&a): "itself"}
	for name, change := range map[string]func(*schemas.Transition){
		"later":            func(t *schemas.Transition) { t.At += 60 },
		"resolved":         func(t *schemas.Transition) { t.State = schemas.StateResolved },
		"milder":           func(t *schemas.Transition) { t.Severity = schemas.SeverityWarn },
		"another opening":  func(t *schemas.Transition) { t.OpenedAt -= 60 },
		"another account":  func(t *schemas.Transition) { t.Series.Account = "other" },
		"another campaign": func(t *schemas.Transition) { t.Series.Campaign = "summer" },
		"another rule":     func(t *schemas.Transition) { t.Rule = RuleDelivery },
	} {
		b := sample()
		change(&b)
		k := notificationKey(&b)
		if other, ok := seen[k]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[k] = name
	}
	b := sample()
	b.Epoch, b.Version, b.N, b.Notified = 8, 99, 5, true
	if notificationKey(&a) != notificationKey(&b) {
		t.Error("a rebuild names the notification differently: receivers would take it for news")
	}
}

func TestWords(t *testing.T) {
	for f, want := range map[float64]string{0.03: "3 %", 0.0294: "2.94 %", 1: "100 %", 0: "0 %", 0.9: "90 %", 0.00004: "0 %"} {
		if got := percent(f); got != want {
			t.Errorf("percent(%v) = %q, want %q", f, got, want)
		}
	}
	for x, want := range map[float64]string{0: "1", -3: "1", math.Log(129_601): "120,000", math.Log(7.7e5): "770,000", 99: "a trillion", math.Log(12.1): "12"} {
		if got := times(x); got != want {
			t.Errorf("times(%v) = %q, want %q", x, got, want)
		}
	}
	for s, want := range map[int64]string{45: "45s", 60: "1m", 1800: "30m", 3600: "1h", 86400: "24h", 90 * 86400: "90d", 0: "0m"} {
		if got := formatSeconds(s); got != want {
			t.Errorf("formatSeconds(%d) = %q, want %q", s, got, want)
		}
	}
}

// unquote reads a ClickHouse string literal as ClickHouse does, as far as quote
// uses it.
func unquote(t *testing.T, s string) string {
	t.Helper()
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		t.Fatalf("no literal: %s", s)
	}
	var b strings.Builder
	for s = s[1 : len(s)-1]; s != ""; {
		switch {
		case s[0] == '\'':
			t.Fatalf("the literal ends early: %s", s)
		case s[0] != '\\':
			b.WriteByte(s[0])
			s = s[1:]
		case s[1] == 'x':
			v, err := strconv.ParseUint(s[2:4], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteByte(byte(v))
			s = s[4:]
		default:
			b.WriteByte(s[1])
			s = s[2:]
		}
	}
	return b.String()
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "spring", "it's", `back\slash`, "line\nbreak", "nul\x00", `\`, `\'`, "скидка", "x' OR 1=1 --"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := quote(s)
		if got := unquote(t, q); got != s {
			t.Errorf("%q quoted is %s, which reads %q", s, q, got)
		}
		if strings.ContainsAny(q, "\n\r\x00\x1b") {
			t.Errorf("%q quoted keeps a control byte", s)
		}
	})
}
