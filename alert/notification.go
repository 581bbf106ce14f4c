package alert

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/schemas"
)

// incidentKey gives an incident the same name in every run and epoch.
func incidentKey(t *schemas.Transition) schemas.Key {
	return schemas.DigestKey("incident", t.Rule, t.Series.Account, string(t.Series.Grouping), t.Series.Key().String(), fmt.Sprint(t.OpenedAt))
}

// notificationKey gives one notification of an incident the same name in every run.
func notificationKey(t *schemas.Transition) schemas.Key {
	return schemas.DigestKey("notification", incidentKey(t).String(), string(t.State), string(t.Severity), fmt.Sprint(t.At))
}

// maxChildren are listed in a message; of the rest it gives the number.
const maxChildren = 10

// message puts a transition into words. children are the incidents under it.
func message(t *schemas.Transition, children []string) receiver.Notification {
	n := receiver.Notification{
		Key: notificationKey(t).String(), Incident: incidentKey(t).String(),
		Rule: t.Rule, State: t.State, Severity: t.Severity, Reason: t.Reason,
		Account: t.Series.Account, Grouping: t.Series.Grouping, Channel: t.Series.Channel,
		Sender: t.Series.Sender, Campaign: t.Series.Campaign, Variant: t.Series.Variant,
		Metric: t.Metric, N: t.N, K: t.K, AgeSeconds: t.Age,
		Reference: t.Reference, ReferenceSource: t.ReferenceSource,
		Statistic: t.Statistic, Threshold: t.Threshold,
		OpenedAt: time.Unix(t.OpenedAt, 0).UTC(), At: time.Unix(t.At, 0).UTC(), Since: time.Unix(t.Since, 0).UTC(),
		SQL: t.SQL, Children: children[:min(len(children), maxChildren)], ChildrenTotal: len(children),
	}
	rate := "no cohorts"
	if t.N > 0 {
		r := float64(t.K) / float64(t.N)
		n.Rate, rate = &r, percent(r)
	}
	word := strings.ToUpper(string(t.Severity))
	if t.State == schemas.StateResolved {
		word = "RESOLVED"
	}
	n.Title = fmt.Sprintf("[%s] %s: %s, %s %s (reference %s)", word, t.Rule, where(&t.Series), t.Metric, rate, percent(t.Reference))
	n.Text = n.Title + "\n" + text(t, children)
	return n
}

func text(t *schemas.Transition, children []string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	m, _ := metricOf(t.Metric)
	if t.N > 0 {
		line("%s of %s %s %s (%s), judged %s after sending, counting from %s.",
			grouped(t.K), grouped(t.N), m.denominatorWords, m.numeratorWords, percent(float64(t.K)/float64(t.N)),
			formatSeconds(int64(t.Age)), clock(t.Since))
	}
	line("Reference: %s, %s.", percent(t.Reference), t.ReferenceSource)
	switch Reason(t.Reason) {
	case ReasonRecovered:
		line("Resolved: for %d minutes the last hour's cohorts lay on the good side of the reference.", goodMinutes)
	case ReasonNoCohorts:
		line("Resolved: no cohort came to be judged for a day.")
	case ReasonRuleRemoved:
		line("Resolved: the rule is not configured any more.")
	default:
		line("How unlikely: were the rate where it should be, evidence like this would come up by chance once in %s minute cohorts or more; the alarm stands at %s, for this rule's budget of false alarms.",
			times(t.Statistic), times(t.Threshold))
	}
	if t.State == schemas.StateResolved {
		line("It fired from %s to %s.", clock(t.OpenedAt), clock(t.At))
	} else {
		line("Firing since %s.", clock(t.OpenedAt))
	}
	if len(children) > 0 {
		line("Firing under it (%d), not notified on their own meanwhile: %s.", len(children), strings.Join(children[:min(len(children), maxChildren)], ", "))
	}
	line("Check it: %s", t.SQL)
	return b.String()
}

// where names the series in words.
func where(s *schemas.Series) string {
	parts := []string{"account " + s.Account}
	for _, p := range [...][2]string{
		{"channel", string(s.Channel)}, {"sender", s.Sender}, {"campaign", s.Campaign}, {"variant", s.Variant},
	} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	if s.Campaign == "" && (s.Grouping == schemas.GroupCampaign || s.Grouping == schemas.GroupCampaignVariant) {
		parts = append(parts, "(unattributed)")
	}
	// Names are free text and the title is one line.
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.Join(parts, " "))
}

// percent shows a fraction with two decimals, without needless zeros.
func percent(f float64) string {
	s := strings.TrimRight(fmt.Sprintf("%.2f", 100*f), "0")
	return strings.TrimSuffix(s, ".") + " %"
}

// times is exp(log) in words; past a trillion the digits mean nothing.
func times(log float64) string {
	if log > math.Log(1e12) {
		return "a trillion"
	}
	v := math.Exp(max(log, 0))
	digits := math.Pow(10, math.Floor(math.Log10(v))-1) // two figures
	return grouped(int64(math.Round(math.Floor(v/digits+1e-9) * digits)))
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func clock(sec int64) string { return time.Unix(sec, 0).UTC().Format("2006-01-02 15:04 UTC") }

// query is SQL that gives n and k of the row from the table `rates`: the window
// of one minute, each minute's cohort once.
func query(t *schemas.Transition) string {
	m, _ := metricOf(t.Metric)
	first := t.Since + int64(t.Age) + 60
	at := func(sec int64) string {
		return "toDateTime(" + quote(time.Unix(sec, 0).UTC().Format(time.DateTime)) + ", 'UTC')"
	}
	s := &t.Series
	return fmt.Sprintf("SELECT %s AS k, %s AS n, k / n AS %s FROM rates FINAL"+
		" WHERE epoch = %d AND account = %s AND grouping = %s AND channel = %s AND sender = %s AND campaign = %s AND variant = %s"+
		" AND `window` = 60 AND age = %d AND at >= %s AND at <= %s",
		m.numeratorSQL(), m.denominatorSQL(), t.Metric,
		t.Epoch, quote(s.Account), quote(string(s.Grouping)), quote(string(s.Channel)), quote(s.Sender), quote(s.Campaign), quote(s.Variant),
		t.Age, at(first), at(t.At))
}

// quote writes a ClickHouse string literal. Campaign names are free text: every
// byte that could end the literal or a line, or upset a terminal, is escaped.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(&b, `\x%02X`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
