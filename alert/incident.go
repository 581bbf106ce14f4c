package alert

import "github.com/bluetick/bluetick/schemas"

// Reason is the closed word that explains a decision; ReasonNone means that
// nothing happened worth a row.
type Reason string

// The reasons of transitions. The last three are of rows that nobody is told of.
const (
	ReasonNone        Reason = ""
	ReasonOpened      Reason = "opened"
	ReasonRaised      Reason = "raised"
	ReasonStillFiring Reason = "still_firing"
	ReasonRecovered   Reason = "recovered"
	ReasonNoCohorts   Reason = "no_cohorts"
	ReasonRuleRemoved Reason = "rule_removed"

	ReasonSuppressed Reason = "suppressed_by_parent"
	ReasonTooOld     Reason = "too_old_to_notify"
	ReasonNeverTold  Reason = "opening_not_notified"
)

// Life of an incident, in seconds of event time.
const (
	repeatAfter = 24 * 3600
	idleAfter   = 24 * 3600
	// goodMinutes in a row end an incident; shorter would let a busy minute's
	// luck close it.
	goodMinutes = 30
	// poolSeconds of cohorts, at least poolTrials of them, are what a minute is
	// judged good by: the point estimate of 200 trials is worth looking at, and
	// an interval bound would never clear a small cohort (0 of 100 has an upper
	// bound of 3.7 %).
	poolSeconds = 3600
	poolTrials  = 200
)

// Incident is the state of one (rule, series); the zero value is inactive.
type Incident struct {
	// Severity is empty while inactive.
	Severity schemas.Severity
	// OpenedAt is the `at` of the observation that opened it.
	OpenedAt int64
	// ChangedAt is the `at` of its newest transition.
	ChangedAt int64
	// AnnouncedAt is the `at` of its newest transition if that was not
	// suppressed: what a reminder counts from. Zero: a reminder is due as soon as
	// the parent allows.
	AnnouncedAt int64
	// Good is the number of good minutes in a row.
	Good int
}

// Firing reports whether the incident is open.
func (in Incident) Firing() bool { return in.Severity != "" }

// Observation is what an incident is shown: a cohort that was consumed (Alarm is
// the greatest severity whose test has reached its threshold, or none), or a
// Minute of roll-up's complete_to that passed.
type Observation struct {
	At     int64
	Minute bool
	// Alarm is set on cohorts only.
	Alarm schemas.Severity
	// Good, on minutes: the pooled cohorts of every alarmed test lie on the good
	// side of its reference. IdleFor: seconds since the last cohort.
	Good    bool
	IdleFor int64
	// Removed, on minutes: the rule is not configured any more.
	Removed bool
	// Parent is the severity of the firing parent, or none.
	Parent schemas.Severity
}

// Next is the whole life cycle: inactive → firing → resolved (inactive again).
// A reason other than ReasonNone is a transition to be recorded; after one the
// incident is firing, or resolved if the new state is inactive.
func (in Incident) Next(ob Observation) (Incident, Reason) {
	if !ob.Minute {
		return in.alarm(ob)
	}
	if !in.Firing() || ob.At <= in.ChangedAt {
		// A flush may bring the cohorts of several minutes before the minutes
		// themselves: what was decided on a later `at` remains.
		return in, ReasonNone
	}
	in.Good++
	if !ob.Good {
		in.Good = 0
	}
	switch {
	case ob.Removed:
		return Incident{}, ReasonRuleRemoved
	case in.Good >= goodMinutes:
		return Incident{}, ReasonRecovered
	case ob.IdleFor >= idleAfter:
		return Incident{}, ReasonNoCohorts
	case ob.At-in.AnnouncedAt >= repeatAfter && !suppresses(ob.Parent, in.Severity):
		in.ChangedAt, in.AnnouncedAt = ob.At, ob.At
		return in, ReasonStillFiring
	}
	return in, ReasonNone
}

func (in Incident) alarm(ob Observation) (Incident, Reason) {
	if severityRank(ob.Alarm) <= severityRank(in.Severity) {
		return in, ReasonNone
	}
	reason := ReasonRaised
	if !in.Firing() {
		in, reason = Incident{OpenedAt: ob.At}, ReasonOpened
	}
	in.Severity, in.ChangedAt, in.Good = ob.Alarm, ob.At, 0
	if suppresses(ob.Parent, ob.Alarm) {
		in.AnnouncedAt = 0
		return in, ReasonSuppressed
	}
	in.AnnouncedAt = ob.At
	return in, reason
}

// suppresses reports whether a firing parent keeps its child quiet: only if it
// is at least as severe. When the parent resolves, a child that was never
// announced is due at the next minute, see Next.
func suppresses(parent, child schemas.Severity) bool {
	return severityRank(parent) > 0 && severityRank(parent) >= severityRank(child)
}
