package clickhouse

import (
	"fmt"
	"strings"

	"github.com/bluetick/bluetick/schemas"
)

// count is a number of unique messages.
type count struct{ name, about string }

// measures renders what the migrations take from the lists of schemas. It is a
// value, so that a test can render with lists of its own.
type measures struct {
	outcomes []schemas.OutcomeInfo
	rates    []schemas.Measure
}

func allMeasures() measures {
	list := schemas.OutcomeList()
	return measures{outcomes: list[:], rates: schemas.MeasureList()}
}

func (m measures) counts() []count {
	all := []count{{schemas.ColumnSent, "Messages known: the provider accepted or failed them"}}
	for _, o := range m.outcomes {
		all = append(all, count{o.Name, o.About})
	}
	return all
}

// about is the comment of a count, in the words of docs/metrics.md.
func (m measures) about(name string) (string, error) {
	more := []count{
		{"pending", "Messages neither delivered nor failed"},
		{"recovered", "Messages that failed and were delivered too; they count as delivered"},
		{"late", "Outcomes beyond the horizon, which count nowhere else"},
		{"failures", "Messages in failed by category of the failure"},
		{"cost_micros", "Known cost by currency, in millionths of the currency"},
		{"billable", "Delivered messages the provider charges for, by its billing category"},
	}
	for _, c := range append(m.counts(), more...) {
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

// rate is a measure with its columns in SQL.
type rate struct{ name, numerator, denominator, note string }

// rateOf is r with prefix before each column.
func (m measures) rateOf(r schemas.Measure, prefix string) rate {
	of, less := r.Base.Columns()
	denominator := prefix + of
	if less != "" {
		denominator = "(" + prefix + of + " - " + prefix + less + ")"
	}
	return rate{r.Name, prefix + m.outcomes[r.Numerator].Name, denominator, r.Note}
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
// z = 1.959964 for 95 %, multiplied out by n: NULL if n is 0 (tested first, since
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

func (m measures) countColumns() string {
	var b []string
	for _, c := range m.counts() {
		b = append(b, fmt.Sprintf("    %s Int64 COMMENT '%s'", c.name, quote(c.about)))
	}
	return strings.Join(b, ",\n")
}

func (m measures) eachBound(line func(bound) string) string {
	var b []string
	for _, r := range m.rates {
		for _, x := range m.rateOf(r, "").bounds() {
			b = append(b, "    "+line(x))
		}
	}
	return strings.Join(b, ",\n")
}

// rateColumns declares the rates in a view, rateDefaults in a table, where they
// are computed as rows are inserted; rateExpressions computes them from columns
// named like the counts.
func (m measures) rateColumns() string {
	return m.eachBound(func(x bound) string { return fmt.Sprintf("%s Nullable(Float64) COMMENT '%s'", x.name, x.about) })
}

func (m measures) rateDefaults() string {
	return m.eachBound(func(x bound) string {
		return fmt.Sprintf("%s Nullable(Float64) DEFAULT %s COMMENT '%s'", x.name, x.expression, x.about)
	})
}

func (m measures) rateExpressions() string {
	return m.eachBound(func(x bound) string { return x.expression + " AS " + x.name })
}

func (m measures) eachOutcome(item func(name string) string) string {
	var b []string
	for _, o := range m.outcomes {
		b = append(b, item(o.Name))
	}
	return strings.Join(b, ", ")
}

// sumTotals, sumAtAge and sumUpto add the histograms of panes: all of it, up to
// an age that is an edge, and the first upto buckets.
func (m measures) sumTotals(prefix string) string {
	return m.eachOutcome(func(n string) string { return fmt.Sprintf("sum(arraySum(panes.%s)) AS %s%s", n, prefix, n) })
}

func (m measures) sumAtAge(prefix, age string) string {
	return m.sumUpto(prefix, fmt.Sprintf("indexOf(%s, %s)", edges(), age))
}

func (m measures) sumUpto(prefix, upto string) string {
	return m.eachOutcome(func(n string) string {
		return fmt.Sprintf("sum(arraySum(arraySlice(panes.%s, 1, %s))) AS %s%s", n, upto, prefix, n)
	})
}

func (m measures) sumSigned(to, from, sign string) string {
	return m.eachOutcome(func(n string) string { return fmt.Sprintf("sum(%s * %s%s) AS %s%s", sign, from, n, to, n) })
}

func (m measures) sumOver(to, from, window string) string {
	return m.eachOutcome(func(n string) string { return fmt.Sprintf("sum(%s%s) OVER %s AS %s%s", from, n, window, to, n) })
}

func (m measures) renameTotals(prefix string) string {
	return m.eachOutcome(func(n string) string { return fmt.Sprintf("%s%s AS %s", prefix, n, n) })
}

// outcomeArrays declares the outcomes of panes.
func (m measures) outcomeArrays() string {
	var b []string
	for _, o := range m.outcomes {
		b = append(b, fmt.Sprintf("    %-11s Array(Int64) COMMENT '%s. %s'", o.Name, quote(o.About), histogramComment()))
	}
	return strings.Join(b, ",\n")
}

func (m measures) eachRate(prefix string, item func(rate) string) string {
	var b []string
	for _, r := range m.rates {
		b = append(b, item(m.rateOf(r, prefix)))
	}
	return strings.Join(b, ", ")
}

func (m measures) metricNames() string {
	return m.eachRate("", func(r rate) string { return "'" + r.name + "'" })
}

func (m measures) metricNumerators(prefix string) string {
	return m.eachRate(prefix, func(r rate) string { return r.numerator })
}

func (m measures) metricDenominators(prefix string) string {
	return m.eachRate(prefix, func(r rate) string { return r.denominator })
}

// groupings lists the groupings of rates as SQL strings.
func groupings() string {
	var b []string
	for _, g := range schemas.Groupings() {
		b = append(b, "'"+string(g)+"'")
	}
	return strings.Join(b, ", ")
}
