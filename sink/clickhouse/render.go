package clickhouse

import (
	"fmt"
	"strings"
	"text/template"

	"github.com/bluetick/bluetick/schemas"
)

// TTL says how many days rows are kept; 0 keeps them for ever.
type TTL struct {
	EventsDays      int
	PanesDays       int
	RatesDays       int
	DeadLettersDays int
}

// maxTTLDays keeps the end of a row's life within DateTime, which ends in 2106
// and then starts again in 1970: the row would be deleted at once.
const maxTTLDays = 10_000

func (t TTL) validate() error {
	for _, d := range []int{t.EventsDays, t.PanesDays, t.RatesDays, t.DeadLettersDays} {
		if d < 0 || d > maxTTLDays {
			return fmt.Errorf("TTL of %d days: want 0 (keep) to %d", d, maxTTLDays)
		}
	}
	return nil
}

// render fills the template of one migration. Constants of schemas end up in the
// text and so in its checksum: a build that counts differently cannot pass for
// the one that made the views.
func render(name, text string, ttl TTL) (string, error) {
	return renderWith(allMeasures(), name, text, ttl)
}

func renderWith(m measures, name, text string, ttl TTL) (string, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(functions(m)).Parse(text)
	if err != nil {
		return "", fmt.Errorf("parse migration: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, ttl); err != nil {
		return "", fmt.Errorf("render migration: %w", err)
	}
	return b.String(), nil
}

func functions(m measures) template.FuncMap {
	return template.FuncMap{
		"about": m.about, "ageWords": ageWords, "buckets": func() int { return schemas.Buckets },
		"countColumns": m.countColumns, "currentEpoch": func() string { return currentEpoch }, "counts": counts,
		"delay": delay, "dimension": dimension, "edges": edges, "fact": fact, "farAway": func() string { return farAway }, "groupings": groupings, "histogram": histogramComment,
		"horizon":     func() int { return schemas.HorizonSeconds },
		"horizonDays": func() int { return schemas.HorizonDays }, "inTime": inTime, "isLate": isLate,
		"memoryDays": func() int { return schemas.MemoryDays }, "metricDenominators": m.metricDenominators,
		"metricNames": m.metricNames, "metricNumerators": m.metricNumerators,
		"never": func() string { return never }, "otherFailure": func() string { return schemas.FailOther },
		"outcomeArrays": m.outcomeArrays, "outcomeAt": outcomeAt, "rateColumns": m.rateColumns, "rateDefaults": m.rateDefaults,
		"rateExpressions": m.rateExpressions, "renameTotals": m.renameTotals, "stageMessage": func() string { return schemas.StageMessage }, "stageRollup": func() string { return schemas.StageRollup },
		"markValues": func() string { return schemas.MarkValues }, "markTuples": func() string { return schemas.MarkTuples },
		"markWithheld": func() string { return schemas.MarkWithheld }, "markCut": func() string { return schemas.MarkCut },
		"stageIngest": func() string { return schemas.StageIngest }, "lastReports": func() int { return schemas.LastReports }, "retryGrace": func() int { return schemas.RetryGrace }, "patience": func() int { return schemas.Patience }, "sumAtAge": m.sumAtAge,
		"sumOver": m.sumOver, "sumSigned": m.sumSigned, "sumTotals": m.sumTotals, "sumUpto": m.sumUpto, "ttl": ttlClause,
		"wilsonHigh": wilsonHigh, "wilsonLow": wilsonLow, "withheld": withheld,
	}
}

const (
	// currentEpoch is the epoch that counts.
	currentEpoch = "(SELECT argMax(epochs.epoch, sequence) FROM epochs)"
	// ranges are the epochs with the minutes for which they count.
	ranges = "(SELECT groupArray((v_epochs.epoch, v_epochs.since, v_epochs.until)) FROM v_epochs)"
	// never is a time that is absent: the greatest Int64.
	never = "9223372036854775807"
)

// counts is the condition that a row's epoch counts for the minute.
func counts(minute string) string {
	return fmt.Sprintf("arrayExists(e -> e.1 = epoch AND e.2 <= %[1]s AND %[1]s < e.3, %[2]s)", minute, ranges)
}

// ttlClause is the TTL of a table, a line of its own.
func ttlClause(column string, days int) string {
	if days <= 0 {
		return ""
	}
	return fmt.Sprintf("TTL toDateTime(%s) + toIntervalDay(%d)\n", column, days)
}

func edges() string {
	var s []string
	for _, e := range schemas.Edges() {
		s = append(s, fmt.Sprint(e))
	}
	return "[" + strings.Join(s, ", ") + "]"
}

func withheld() string { return "'" + strings.Join(schemas.WithheldCategories(), "', '") + "'" }

// dimension picks the value of a field of a message from its events: a value
// rather than none, any value rather than (other), then that with the least
// order, then the least value. These three are joined into one text, the order
// being 26 bytes long, and the value is what follows them in the least text.
func dimension(field, order string) string {
	return fmt.Sprintf("substring(minIf(concat(if(%[1]s = '%[3]s', '1', '0'), %[2]s, %[1]s), %[1]s != ''), 28) AS d_%[1]s",
		field, order, schemas.OtherValue)
}

// fact is the time of a fact: of the events that state it, one that was not
// clamped, else the least.
func fact(name string) string {
	return fmt.Sprintf("if(countIf(type = '%[1]s') = 0, never, argMinIf(at, (clamped, at), type = '%[1]s')) AS f_%[1]s", name)
}

// farAway is a time that is none.
const farAway = "toDateTime64('2200-01-01 00:00:00', 3, 'UTC')"

// isLate is 1 if the fact lies beyond the horizon; inTime its time if not.
func isLate(fact string) string {
	return fmt.Sprintf("(f_%[1]s < never AND f_%[1]s - send > %[2]d)", fact, schemas.HorizonSeconds)
}

func inTime(fact string) string {
	return fmt.Sprintf("if(f_%[1]s - send > %[2]d, never, f_%[1]s)", fact, schemas.HorizonSeconds)
}

func outcomeAt(time string) string {
	return fmt.Sprintf("if(%[1]s = never, NULL, toDateTime(%[1]s, 'UTC'))", time)
}

func delay(time string) string {
	return fmt.Sprintf("if(%[1]s = never, NULL, toUInt32(greatest(0, %[1]s - send)))", time)
}

// ageWords is an age in seconds, written for people.
func ageWords(age string) string {
	return fmt.Sprintf("multiIf(%[1]s > 86400 AND %[1]s %% 86400 = 0, concat(toString(intDiv(%[1]s, 86400)), ' d'), "+
		"%[1]s %% 3600 = 0, concat(toString(intDiv(%[1]s, 3600)), ' h'), concat(toString(intDiv(%[1]s, 60)), ' min'))", age)
}
