// Package alert is the third fold: it reads `rates` and decides which of them
// are worth waking somebody up for.
//
// # Promise
//
// For messages that behave independently, a rule whose rates are where they
// should be raises on average at most its budget of false alarms ("1 per
// account per 90d"), however many series it watches and however often it
// looks. Every alarm is told to every receiver at least once, with the same
// key each time, or leaves a dead letter; one that is too old to be news is
// recorded and not told.
//
// # How
//
// Each minute's cohort of a series is judged once at each of the rule's ages
// (fold.go), when its reports have been heard: the roll-up marks rows of which some
// may still be on their way, and sends them again (held.go). An alarm comes late
// then, never false. The judgement is made by a sequential test per age and tier (statistic.go). The results of
// the tests move one incident per (rule, series): inactive → firing → resolved
// (incident.go). Each transition is an absolute, versioned row in `alerts`.
//
// # Order of effects
//
//  1. Apply decides a transition at offset o and puts it into the outbox.
//  2. Drain emits its row, version 2·o; the runtime waits for the acknowledgement.
//  3. Act shows it to all receivers side by side (receiver.Tell) and returns the
//     row again as notified, version 2·o+1, or a dead letter for each receiver
//     that gave up; the runtime waits for that acknowledgement.
//  4. Save and the checkpoint: the outbox in it is what has not passed step 3.
//
// What a crash leaves: before 2, nothing, and the same record decides the same
// transition again; between 2 and 3, a row without its notification, which
// comes after the replay of the records since the checkpoint; between 3 and 4,
// the same with a repeated notification of the same key. A clean stop in step 3
// leaves the transition in the checkpoint's outbox.
//
// # Invariants
//
//   - N1 a cohort enters each test of its series at most once.
//   - N2 a transition is a function of the log and the configuration alone: the
//     processing clock decides only whether it is told.
//   - N3 a transition leaves the outbox only when it was told, given up with a
//     dead letter, set aside with a reason on its row, or overtaken by the next
//     of its incident at the same record.
//   - N4 rows of one incident with equal versions are equal.
//   - N5 the end of an incident is told only if its firing was told, or at least
//     tried.
//   - N6 which series are watched is a function of the log and the configuration
//     alone, and an account that holds no more than its share of the places loses
//     none to another (places.go).
//
// The configuration is read anew at every start: a test whose reference changed
// starts anew, and an incident whose rule is gone is resolved.
package alert
