package demo

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/alert"
	"github.com/bluetick/bluetick/internal/simulate"
)

// look reads what the demo shows from ClickHouse.
func look(ctx context.Context, conn driver.Conn) (snapshot, error) {
	var s snapshot
	if err := conn.Select(ctx, &s.campaigns, `SELECT campaign, sent, delivered, opened, engaged, opted_out, failed, recovered,
		eligible_delivery_rate, eligible_delivery_rate_low, eligible_delivery_rate_high, open_rate, open_rate_low, open_rate_high,
		ctr, ctr_low, ctr_high, opt_out_rate, opt_out_rate_low, opt_out_rate_high, benchmarks
		FROM v_campaigns ORDER BY campaign`); err != nil {
		return snapshot{}, fmt.Errorf("read campaigns: %w", err)
	}
	if err := conn.Select(ctx, &s.alerts, `SELECT rule, campaign, state, severity, metric, numerator, denominator, reference, age, opened_at
		FROM alerts FINAL WHERE grouping = 'campaign' ORDER BY opened_at, rule, campaign`); err != nil {
		return snapshot{}, fmt.Errorf("read alerts: %w", err)
	}
	var events uint64
	if err := conn.QueryRow(ctx, "SELECT uniqExact(event_id) FROM events").Scan(&events); err != nil {
		return snapshot{}, fmt.Errorf("count events: %w", err)
	}
	s.events = int64(events)
	var unattributed uint64
	if err := conn.QueryRow(ctx, `SELECT uniqExact(event_id) FROM events
		WHERE type = 'opted_out' AND message_key = toFixedString('', 16)`).Scan(&unattributed); err != nil {
		return snapshot{}, fmt.Errorf("count opt-outs without a message: %w", err)
	}
	s.unattributed = int64(unattributed)
	return s, nil
}

// differences compares what ClickHouse holds with the truth, number by number.
// Campaigns of the user's own webhooks are not the simulator's and are left out.
func differences(s *snapshot) []string {
	ours := map[string]simulate.CampaignTruth{}
	for _, c := range s.campaigns {
		ours[c.Campaign] = c.counts()
	}
	var out []string
	differ := func(campaign, column string, got, want int64) {
		if got != want {
			out = append(out, fmt.Sprintf("%s: %s is %d, the truth is %d", campaign, column, got, want))
		}
	}
	for _, t := range s.truth {
		c := ours[t.Campaign]
		differ(t.Campaign, "sent", c.Sent, t.Sent)
		differ(t.Campaign, "delivered", c.Delivered, t.Delivered)
		differ(t.Campaign, "opened", c.Opened, t.Opened)
		differ(t.Campaign, "engaged", c.Engaged, t.Engaged)
		differ(t.Campaign, "opted_out", c.OptedOut, t.OptedOut)
		differ(t.Campaign, "failed", c.Failed, t.Failed)
		differ(t.Campaign, "recovered", c.Recovered, t.Recovered)
	}
	differ("all", "opt-outs that name no message", s.unattributed, s.unattributedTruth)
	return out
}

// alertVerdict names what is wrong with the alerts of a whole day: a bad campaign
// that did not alert, a healthy one that did.
func alertVerdict(s *snapshot) []string {
	want := map[string]string{simulate.Swelling: alert.RuleOptOut, simulate.Collapsing: alert.RuleDelivery}
	seen := map[string]bool{}
	var out []string
	for _, a := range s.alerts {
		if want[a.Campaign] == a.Rule {
			seen[a.Campaign] = true
			continue
		}
		out = append(out, fmt.Sprintf("%s raised %s, which it must not", a.Campaign, a.Rule))
	}
	for campaign, rule := range want {
		if !seen[campaign] {
			out = append(out, fmt.Sprintf("%s did not raise %s", campaign, rule))
		}
	}
	slices.Sort(out)
	return out
}

// grace is how long a difference may remain after the pipeline has drained: what
// an alert has just decided is on its way to ClickHouse for a second or two.
const grace = 10 * time.Second

// settle waits until ClickHouse holds everything that was acknowledged, then
// judges. drained reports whether every stage has come to the end of its log.
func settle(ctx context.Context, take func(context.Context) snapshot, drained func(context.Context) (bool, error), limit, patience time.Duration) (snapshot, []string) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(min(250*time.Millisecond, patience))
	defer ticker.Stop()
	var over <-chan time.Time // fires when the grace is over; nil until drained
	for {
		done, err := drained(ctx)
		if done {
			s := take(ctx)
			wrong := append(differences(&s), alertVerdict(&s)...)
			if len(wrong) == 0 {
				return s, nil
			}
			if over == nil {
				over = time.After(patience)
			}
			select {
			case <-over:
				return s, wrong
			default:
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			late := fmt.Sprintf("the pipeline had not drained after %s", limit)
			if err != nil {
				late += ": " + err.Error()
			}
			s := take(context.WithoutCancel(ctx))
			return s, append([]string{late}, differences(&s)...)
		}
	}
}

// report writes the summary of a bounded demo; false if anything was wrong.
func report(out io.Writer, s snapshot, wrong []string) bool {
	var sent int64
	for _, t := range s.truth {
		sent += t.Sent
	}
	for _, w := range wrong {
		fmt.Fprintln(out, "WRONG", w)
	}
	if len(wrong) > 0 {
		fmt.Fprintf(out, "demo: %d differences between what was sent and what was counted\n", len(wrong))
		return false
	}
	fmt.Fprintf(out, "demo: OK: %d webhook updates, %d events, %d messages in %d campaigns counted exactly; %s and %s alerted, no healthy campaign did\n",
		s.updates, s.events, sent, len(s.truth), simulate.Swelling, simulate.Collapsing)
	return true
}
