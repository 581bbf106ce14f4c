package demo

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"

	"github.com/bluetick/bluetick/alert"
	"github.com/bluetick/bluetick/internal/simulate"
	"github.com/bluetick/bluetick/internal/terminal"
)

// snapshot is what the demo shows at one moment.
type snapshot struct {
	now       time.Time // of the virtual clock
	speed     float64
	updates   int64 // acknowledged by ingest
	events    int64 // in ClickHouse
	campaigns []campaignRow
	truth     []simulate.CampaignTruth
	alerts    []alertRow
	// unattributed opt-outs name no message; the first is ours, the second the
	// simulator's.
	unattributed, unattributedTruth int64
	note                            string // why a part is missing, if one is
}

// campaignRow is a row of v_campaigns, with intervals in fractions; nil where
// the denominator is empty.
type campaignRow struct {
	Campaign     string   `ch:"campaign"`
	Sent         int64    `ch:"sent"`
	Delivered    int64    `ch:"delivered"`
	Opened       int64    `ch:"opened"`
	Engaged      int64    `ch:"engaged"`
	OptedOut     int64    `ch:"opted_out"`
	Failed       int64    `ch:"failed"`
	Recovered    int64    `ch:"recovered"`
	Eligible     *float64 `ch:"eligible_delivery_rate"`
	EligibleLow  *float64 `ch:"eligible_delivery_rate_low"`
	EligibleHigh *float64 `ch:"eligible_delivery_rate_high"`
	Open         *float64 `ch:"open_rate"`
	OpenLow      *float64 `ch:"open_rate_low"`
	OpenHigh     *float64 `ch:"open_rate_high"`
	CTR          *float64 `ch:"ctr"`
	CTRLow       *float64 `ch:"ctr_low"`
	CTRHigh      *float64 `ch:"ctr_high"`
	OptOut       *float64 `ch:"opt_out_rate"`
	OptOutLow    *float64 `ch:"opt_out_rate_low"`
	OptOutHigh   *float64 `ch:"opt_out_rate_high"`
	// Distances to benchmarks, keyed metric/tier@age, in fractions.
	Distances map[string]float64 `ch:"benchmarks"`
}

// counts are the numbers that are compared with the truth.
func (c campaignRow) counts() simulate.CampaignTruth {
	return simulate.CampaignTruth{
		Campaign: c.Campaign, Sent: c.Sent, Delivered: c.Delivered, Opened: c.Opened, Engaged: c.Engaged,
		OptedOut: c.OptedOut, Failed: c.Failed, Recovered: c.Recovered,
	}
}

// alertRow is the newest state of an incident.
type alertRow struct {
	Rule        string    `ch:"rule"`
	Campaign    string    `ch:"campaign"`
	State       string    `ch:"state"`
	Severity    string    `ch:"severity"`
	Metric      string    `ch:"metric"`
	Numerator   int64     `ch:"numerator"`
	Denominator int64     `ch:"denominator"`
	Reference   float64   `ch:"reference"`
	Age         uint32    `ch:"age"`
	OpenedAt    time.Time `ch:"opened_at"`
}

func (a alertRow) String() string {
	rate := 0.0
	if a.Denominator > 0 {
		rate = float64(a.Numerator) / float64(a.Denominator)
	}
	return fmt.Sprintf("%s  %-8s %-4s %s on %s: %s %s (%d of %d at %s), limit %s",
		a.OpenedAt.UTC().Format("Jan 02 15:04"), a.State, a.Severity, a.Rule, a.Campaign,
		a.Metric, percent(rate), a.Numerator, a.Denominator, time.Duration(a.Age)*time.Second, percent(a.Reference))
}

func percent(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }

// interval shows a rate with its 95 % bounds, all in percent.
func interval(rate, low, high *float64) string {
	if rate == nil || low == nil || high == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f (%.1f-%.1f)", 100**rate, 100**low, 100**high)
}

// distance shows how far a campaign is from a benchmark row, in percentage
// points, or that no cohort is old enough.
func (c campaignRow) distance(key string) string {
	d, ok := c.Distances[key]
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%+.1f", 100*d)
}

// against shows a count beside the simulator's own where they differ: the
// difference is what is still on its way.
func against(ours, truth int64) string {
	if ours == truth {
		return fmt.Sprint(ours)
	}
	return fmt.Sprintf("%d/%d", ours, truth)
}

// rows pairs what ClickHouse holds with the truth, by campaign.
func (s *snapshot) rows() [][]string {
	ours := map[string]campaignRow{}
	for _, c := range s.campaigns {
		ours[c.Campaign] = c
	}
	var rows [][]string
	for _, t := range s.truth {
		c := ours[t.Campaign]
		rows = append(rows, []string{
			t.Campaign,
			against(c.Sent, t.Sent), against(c.Delivered, t.Delivered), against(c.Opened, t.Opened),
			against(c.Engaged, t.Engaged), against(c.OptedOut, t.OptedOut),
			interval(c.Eligible, c.EligibleLow, c.EligibleHigh), interval(c.Open, c.OpenLow, c.OpenHigh),
			interval(c.CTR, c.CTRLow, c.CTRHigh), interval(c.OptOut, c.OptOutLow, c.OptOutHigh),
			c.distance("eligible_delivery_rate/warn@86400"), c.distance("open_rate/baseline@86400"),
		})
		delete(ours, t.Campaign)
	}
	return rows
}

func header() []string {
	return []string{
		"campaign", "sent", "delivered", "opened", "engaged", "left",
		"delivery % (95 %)", "open % (95 %)", "ctr % (95 %)", "opt-out % (95 %)", "to 95 %", "to 58 %",
	}
}

// screen is the whole terminal picture.
func (s *snapshot) screen(p places) string {
	var b strings.Builder
	fmt.Fprintf(&b, "bluetick demo   %s UTC, %s   %d webhook updates acknowledged, %d events in ClickHouse\n",
		s.now.UTC().Format("2006-01-02 15:04:05"), pace(s.speed), s.updates, s.events)
	b.WriteString(table.New().Border(lipgloss.NormalBorder()).Headers(header()...).Rows(s.rows()...).String())
	fmt.Fprintf(&b, "\nopt-outs that name no message: %s\n", against(s.unattributed, s.unattributedTruth))
	b.WriteString("\nAlerts\n")
	if len(s.alerts) == 0 {
		b.WriteString("  none yet\n")
	}
	for _, a := range s.alerts {
		b.WriteString("  " + terminal.Clean(a.String()) + "\n")
	}
	if s.note != "" {
		b.WriteString("  " + terminal.Clean(s.note) + "\n")
	}
	b.WriteString("\n" + p.help())
	return b.String()
}

// line is the one-line form for logs and pipes.
func (s *snapshot) line() string {
	var sent, delivered, opened, engaged, left int64
	for _, c := range s.campaigns {
		sent, delivered, opened, engaged, left = sent+c.Sent, delivered+c.Delivered, opened+c.Opened, engaged+c.Engaged, left+c.OptedOut
	}
	return fmt.Sprintf("%s %-6s acknowledged %d, in ClickHouse %d events: sent %d, delivered %d, opened %d, engaged %d, opted out %d; alerts %d",
		s.now.UTC().Format("2006-01-02 15:04:05"), pace(s.speed), s.updates, s.events, sent, delivered, opened, engaged, left, len(s.alerts))
}

func pace(speed float64) string {
	if speed == 1 {
		return "live"
	}
	return fmt.Sprintf("%.0fx", speed)
}

// places are where a user finds things.
type places struct {
	data, clickhouse, ingest, sample, signature, metrics string
}

// url is where the simulated account's webhooks go.
func (p places) url() string { return "http://" + p.ingest + "/v1/webhooks/meta/demo" }

// help explains how to read the table and what to paste.
func (p places) help() string {
	sql := func(q string) string {
		return fmt.Sprintf("  curl 'http://%s/?database=bluetick' --data-binary \"%s FORMAT PrettyCompact\"\n", p.clickhouse, q)
	}
	return "How to read it\n" +
		"  1. Counts are unique messages; a/b means: a in ClickHouse, b true by the simulator. They meet within seconds.\n" +
		"  2. delivery is delivered/(sent - withheld by the provider); open, ctr and opt-out are shares of delivered.\n" +
		"  3. (low-high) is the 95 % interval. left: opt-outs that name a message of the campaign.\n" +
		"  4. to 95 %, to 58 %: percentage points from the delivery limit and the open-rate baseline, at age 24 h.\n" +
		"  5. " + simulate.Swelling + " must raise " + alert.RuleOptOut + ", " + simulate.Collapsing + " " + alert.RuleDelivery + "; no other may.\n" +
		"Ask it\n" +
		sql("SELECT campaign, sent, delivery_rate, open_rate, ctr, verdict FROM v_campaigns") +
		sql("SELECT rule, campaign, severity, opened_at, numerator, denominator FROM alerts FINAL") +
		sql("SELECT age, sent, delivery_rate FROM v_cohort_curve WHERE campaign = '"+simulate.Collapsing+"' ORDER BY age") +
		"Send it a webhook of your own (campaign by_hand)\n" +
		fmt.Sprintf("  curl -i %s -H 'X-Hub-Signature-256: %s' --data-binary '%s'\n", p.url(), p.signature, p.sample) +
		fmt.Sprintf("Metrics: http://%s/metrics   Data: %s (make demo-clean deletes it)   Ctrl-C stops\n", p.metrics, p.data)
}
