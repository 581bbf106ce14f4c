package alert

import (
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

func TestIncidentNext(t *testing.T) {
	const t0 = 600_000
	warn, page := schemas.SeverityWarn, schemas.SeverityPage
	firing := Incident{Severity: warn, OpenedAt: t0, ChangedAt: t0, AnnouncedAt: t0}
	with := func(f func(*Incident)) Incident {
		in := firing
		f(&in)
		return in
	}
	cases := []struct {
		name   string
		from   Incident
		ob     Observation
		want   Incident
		reason Reason
	}{
		{"a quiet cohort opens nothing", Incident{}, Observation{At: t0}, Incident{}, ReasonNone},
		{"an alarm opens", Incident{}, Observation{At: t0, Alarm: warn}, firing, ReasonOpened},
		{
			"an alarm under a firing parent opens quietly",
			Incident{},
			Observation{At: t0, Alarm: warn, Parent: page},
			Incident{Severity: warn, OpenedAt: t0, ChangedAt: t0},
			ReasonSuppressed,
		},
		{"a milder parent does not keep a page quiet", Incident{}, Observation{At: t0, Alarm: page, Parent: warn}, with(func(in *Incident) { in.Severity = page }), ReasonOpened},
		{"the same severity again says nothing", firing, Observation{At: t0 + 60, Alarm: warn}, firing, ReasonNone},
		{
			"a greater severity raises the same incident", with(func(in *Incident) { in.Good = 12 }),
			Observation{At: t0 + 60, Alarm: page},
			Incident{Severity: page, OpenedAt: t0, ChangedAt: t0 + 60, AnnouncedAt: t0 + 60},
			ReasonRaised,
		},
		{
			"raised under a parent of that severity, a reminder is due when the parent ends", firing,
			Observation{At: t0 + 60, Alarm: page, Parent: page},
			Incident{Severity: page, OpenedAt: t0, ChangedAt: t0 + 60},
			ReasonSuppressed,
		},
		{"a milder alarm does not lower it", with(func(in *Incident) { in.Severity = page }), Observation{At: t0 + 60, Alarm: warn}, with(func(in *Incident) { in.Severity = page }), ReasonNone},
		{"a minute of an inactive one says nothing", Incident{}, Observation{At: t0, Minute: true, Good: true}, Incident{}, ReasonNone},
		{"a minute before the last change does not count", firing, Observation{At: t0, Minute: true, Good: true}, firing, ReasonNone},
		{"a good minute counts", firing, Observation{At: t0 + 60, Minute: true, Good: true}, with(func(in *Incident) { in.Good = 1 }), ReasonNone},
		{"a bad minute starts the count anew", with(func(in *Incident) { in.Good = 29 }), Observation{At: t0 + 60, Minute: true}, firing, ReasonNone},
		{"the thirtieth good minute resolves", with(func(in *Incident) { in.Good = 29 }), Observation{At: t0 + 60, Minute: true, Good: true}, Incident{}, ReasonRecovered},
		{"an idle day resolves", firing, Observation{At: t0 + 60, Minute: true, IdleFor: 86400}, Incident{}, ReasonNoCohorts},
		{"an almost idle day does not", firing, Observation{At: t0 + 60, Minute: true, IdleFor: 86340}, firing, ReasonNone},
		{"a rule that is gone resolves", firing, Observation{At: t0 + 60, Minute: true, Removed: true}, Incident{}, ReasonRuleRemoved},
		{
			"a day after the last word a reminder", firing,
			Observation{At: t0 + 86400, Minute: true},
			with(func(in *Incident) { in.ChangedAt, in.AnnouncedAt = t0+86400, t0+86400 }), ReasonStillFiring,
		},
		{"not a minute before", firing, Observation{At: t0 + 86340, Minute: true}, firing, ReasonNone},
		{"no reminder under a firing parent", firing, Observation{At: t0 + 86400, Minute: true, Parent: warn}, firing, ReasonNone},
		{
			"the parent has ended: the suppressed one speaks", with(func(in *Incident) { in.AnnouncedAt = 0 }),
			Observation{At: t0 + 60, Minute: true},
			with(func(in *Incident) { in.ChangedAt, in.AnnouncedAt = t0+60, t0+60 }), ReasonStillFiring,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, reason := c.from.Next(c.ob)
			if got != c.want || reason != c.reason {
				t.Errorf("got %+v %q, want %+v %q", got, reason, c.want, c.reason)
			}
		})
	}
}
