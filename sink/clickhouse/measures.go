package clickhouse

import (
	"fmt"
	"strings"
)

// count is a number of unique messages.
type count struct{ name, about string }

// outcomes are the counts that panes hold as histograms of their delay.
func outcomes() []count {
	return []count{
		{"delivered", "Messages delivered, or with anything that implies it"},
		{"opened", "Messages read, clicked, replied to, or left by quoting them: receipts can be switched off, a click cannot hide"},
		{"read", "Messages with a read receipt"},
		{"clicked", "Messages with a click on a link or a tap on a button"},
		{"replied", "Messages with an answer that is not an opt-out"},
		{"engaged", "Messages clicked or replied to"},
		{"opted_out", "Messages by which a contact left: opt-outs that name them"},
		{"failed", "Messages that failed and were never delivered"},
		{"withheld", "The part of failed whose reason is neither the sender's nor the network's doing: marketing cap, experiment, recipient had stopped"},
	}
}

func counts() []count {
	return append([]count{{"sent", "Messages known: the provider accepted or failed them"}}, outcomes()...)
}

// about is the comment of a count, in the words of docs/metrics.md.
func about(name string) (string, error) {
	more := []count{
		{"pending", "Messages neither delivered nor failed"},
		{"recovered", "Messages that failed and were delivered too; they count as delivered"},
		{"late", "Outcomes beyond the horizon, which count nowhere else"},
		{"failures", "Messages in failed by category of the failure"},
		{"cost_micros", "Known cost by currency, in millionths of the currency"},
		{"billable", "Delivered messages the provider charges for, by its billing category"},
	}
	for _, c := range append(counts(), more...) {
		if c.name == name {
			return quote(c.about), nil
		}
	}
	return "", fmt.Errorf("no count %q", name)
}

func quote(s string) string { return strings.ReplaceAll(s, "'", "''") }

func histogramComment() string {
	return "Signed histogram of the delay after the send time with upper edges 1m 5m 15m 30m 1h 2h 4h 8h 24h 72h 7d 30d: +1 where it became true, -1 where it ceased to be. The sum of the first buckets is the count at that age"
}

// rate is a fraction of two counts.
type rate struct{ name, numerator, denominator, note string }

func rates() []rate {
	return []rate{
		{"delivery_rate", "delivered", "sent", ""},
		{"eligible_delivery_rate", "delivered", "(sent - withheld)", ": a provider's cap is not an outage"},
		{"open_rate", "opened", "delivered", ""},
		{"read_rate", "read", "delivered", ": receipts only, as provider consoles show it"},
		{"ctr", "engaged", "delivered", ": the next step, a reply or a click"},
		{"click_rate", "clicked", "delivered", ""},
		{"reply_rate", "replied", "delivered", ""},
		{"ctor", "engaged", "opened", ": separates a weak message from a weak preview"},
		{"opt_out_rate", "opted_out", "delivered", ""},
		{"failure_rate", "failed", "sent", ""},
	}
}

// bound is one of the columns of a rate: itself and its interval.
type bound struct {
	name, about string
	expression  string
}

func (r rate) bounds() []bound {
	of := quote(fmt.Sprintf("%s / %s", r.numerator, strings.Trim(r.denominator, "()")))
	return []bound{
		{r.name, of + quote(r.note) + ". A fraction; NULL if there is nothing to divide by", fmt.Sprintf("%s / nullIf(%s, 0)", r.numerator, r.denominator)},
		{r.name + "_low", "Lower 95 % Wilson bound of " + r.name, wilsonLow(r.numerator, r.denominator)},
		{r.name + "_high", "Upper 95 % Wilson bound of " + r.name, wilsonHigh(r.numerator, r.denominator)},
	}
}

// wilsonLow and wilsonHigh are the Wilson score interval (Wilson 1927) with
// z = 1.959964 for 95 %, multiplied out by n: NULL if n is 0 (said first, since
// greatest and least ignore NULL). Rounding must not leave [0, 1].
func wilsonLow(k, n string) string {
	return fmt.Sprintf("if(%s = 0, NULL, greatest(0., %s))", n, wilson(k, "-", n))
}

func wilsonHigh(k, n string) string {
	return fmt.Sprintf("if(%s = 0, NULL, least(1., %s))", n, wilson(k, "+", n))
}

func wilson(k, sign, n string) string {
	const z2 = "3.841458820694124"
	return fmt.Sprintf("(%[1]s + %[4]s / 2 %[2]s sqrt(%[4]s * (%[1]s * (%[3]s - %[1]s) / nullIf(%[3]s, 0) + %[4]s / 4))) / (%[3]s + %[4]s)", k, sign, n, z2)
}

func countColumns() string {
	var b []string
	for _, c := range counts() {
		b = append(b, fmt.Sprintf("    %s Int64 COMMENT '%s'", c.name, quote(c.about)))
	}
	return strings.Join(b, ",\n")
}

func eachBound(line func(bound) string) string {
	var b []string
	for _, r := range rates() {
		for _, x := range r.bounds() {
			b = append(b, "    "+line(x))
		}
	}
	return strings.Join(b, ",\n")
}

// rateColumns declares the rates in a view, rateDefaults in a table, where they
// are computed as rows are inserted; rateExpressions computes them from columns
// named like the counts.
func rateColumns() string {
	return eachBound(func(x bound) string { return fmt.Sprintf("%s Nullable(Float64) COMMENT '%s'", x.name, x.about) })
}

func rateDefaults() string {
	return eachBound(func(x bound) string {
		return fmt.Sprintf("%s Nullable(Float64) DEFAULT %s COMMENT '%s'", x.name, x.expression, x.about)
	})
}

func rateExpressions() string {
	return eachBound(func(x bound) string { return x.expression + " AS " + x.name })
}

func eachOutcome(item func(name string) string) string {
	var b []string
	for _, c := range outcomes() {
		b = append(b, item(c.name))
	}
	return strings.Join(b, ", ")
}

// sumTotals, sumAtAge and sumUpto add the histograms of panes: whole, up to an
// age that is an edge, and the first upto buckets.
func sumTotals(prefix string) string {
	return eachOutcome(func(n string) string { return fmt.Sprintf("sum(arraySum(panes.%s)) AS %s%s", n, prefix, n) })
}

func sumAtAge(prefix, age string) string {
	return sumUpto(prefix, fmt.Sprintf("indexOf(%s, %s)", edges(), age))
}

func sumUpto(prefix, upto string) string {
	return eachOutcome(func(n string) string {
		return fmt.Sprintf("sum(arraySum(arraySlice(panes.%s, 1, %s))) AS %s%s", n, upto, prefix, n)
	})
}

func sumSigned(to, from, sign string) string {
	return eachOutcome(func(n string) string { return fmt.Sprintf("sum(%s * %s%s) AS %s%s", sign, from, n, to, n) })
}

func sumOver(to, from, window string) string {
	return eachOutcome(func(n string) string { return fmt.Sprintf("sum(%s%s) OVER %s AS %s%s", from, n, window, to, n) })
}

func renameTotals(prefix string) string {
	return eachOutcome(func(n string) string { return fmt.Sprintf("%s%s AS %s", prefix, n, n) })
}

func eachRate(item func(rate) string) string {
	var b []string
	for _, r := range rates() {
		b = append(b, item(r))
	}
	return strings.Join(b, ", ")
}

func metricNames() string { return eachRate(func(r rate) string { return "'" + r.name + "'" }) }

func metricNumerators(prefix string) string {
	return eachRate(func(r rate) string { return prefix + r.numerator })
}

func metricDenominators(prefix string) string {
	return eachRate(func(r rate) string {
		return strings.NewReplacer("sent", prefix+"sent", "withheld", prefix+"withheld", "delivered", prefix+"delivered", "opened", prefix+"opened").Replace(r.denominator)
	})
}
