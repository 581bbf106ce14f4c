// Package message is the first fold: it joins the events of each message and
// counts the message in its pane.
//
// # Promise
//
// After any prefix of a partition of `events`, every pane is exactly the sum of
// the contributions of the messages that are known from the events of that
// prefix: whatever their order, however often repeated, wherever the process
// was killed on the way.
//
// # The algebra
//
// A State is a product of small joins, each commutative, associative and
// idempotent, each with "nothing known" as its neutral element:
//
//	fact          least (clamped, time in whole seconds)
//	failure       least (clamped, time, code, category); its category counts
//	field         best (not "(other)", source, decoder revision, earliest origin,
//	              least value)
//	charge        best (amount known, latest origin, billable, least category,
//	              currency and amount)
//	identity      least (account, channel); all events of a message agree
//
// where an origin is (occurred_at in milliseconds, event id) and an empty value
// takes no part. Join is therefore a join too: J(s, e) applied over a set of
// events depends on the set alone.
//
// A time that lay ahead of our clock was clamped to it: it says when we heard, not
// when it occurred. So one that was not clamped beats it, of a copy of the same
// event (a provider's retry, once our clock is right) as of another event.
//
// Copies of one event need not be equal: a provider's own id does not cover the
// content, and a record can lose a field on the way. They are joined like events
// of different ids, field by field. A fact has the least time any copy gives it,
// a field that one copy lacks is taken from another, and where two copies differ
// in the value alone the least value counts. No copy is kept or dropped as a
// whole: which one came first depends on the order, and the State does not
// remember ids. v_messages and the brute force of the tests follow the same rule.
//
// Everything else is derived:
//
//	State ─derive─▶ outcome ─addOutcome─▶ ± one pane
//
// derive and addOutcome are pure functions of the State, so a pane, which gets
// +outcome for each State that enters and −outcome for each that leaves, is a
// sum over present States and has no history.
//
// Whether a message is known, and its send time, are read from all facts. Then
// each outcome fact later than the horizon is counted late and treated as absent.
// A late fact can still make a message known: dispatched and, 40 days on, read is
// a known message with one late outcome and no other.
//
// Example. At 10:00 a delivered arrives, right after it a failed of 09:58, then
// the sent of 09:57:50:
//
//	delivered 10:00     known, send 10:00   pane 10:00: sent 1, delivered +1@1m
//	failed    09:58     send 09:58, moves   pane 10:00: zeros
//	                                        pane 09:58: sent 1, delivered +1@5m,
//	                                        failed +1@1m −1@5m, recovered 1
//	sent      09:57:50  send 09:57:50       pane 09:58: zeros; pane 09:57: the same
//	                                        buckets, delays 130 s and 10 s
//
// # Where a message lies
//
// A row's home is the later of the D-clock's day at first sight and the send
// day, and never moves back. The row is looked up from the newest day back,
// each day asked through a Bloom filter that is rebuilt when the fold opens.
// When the D-clock's day is horizon + 10 + 10 days past a home, the day is
// deleted as a range. A day of panes is deleted when the greatest home of the
// messages that were in it is past in the same way, a tuple when the greatest
// home of the messages that had it is, and no older day of panes is left.
//
// A message that is heard of again after it was forgotten is a new one and is
// counted again; audit lists it as relapsed.
//
// A pane that was changed and then forgotten before the next drain is drained
// with the counts it had; if it is counted anew before that, with the new ones
// alone, so that what is emitted does not depend on when the runtime flushes.
//
// # What is complete, and how accounts report
//
// Heartbeats of the doors say up to when everything taken in is in the log, and when
// no door was open (doors.go); Progress carries both. Of each account the fold keeps
// how its newest reports came (reports.go), and tells the roll-up at most once a
// minute. Both are advisory: no count depends on them. They are functions of the
// records in their order, so a replay says the same.
//
// # Layout
//
//	m | home day | message key → State: seen, clamped, tuple id, times relative to the first, origins
//	p | minute | tuple id      → Counts
//	x | tuple                  → id, last home
//	q | day of minutes         → last home
//	a | account                → how its reports come
//	d                          → D-clock, next tuple id
//	h                          → what the heartbeats said
//
// Messages are written as they change; panes, D-clock and next tuple id are
// held by the Fold and written by Save. The filters, the numbers per day and
// both directions of the tuple table are derived from the rows at open.
//
// # Invariants
//
//   - M1 engaged ⊆ opened ⊆ delivered ⊆ sent, read ⊆ opened, opted_out ⊆
//     opened, and what contains an outcome is true no later than it.
//   - M2 withheld ⊆ failed, in the same bucket.
//   - M3 recovered exactly if failed and delivered, no earlier than both.
//   - M4 an orphan counts nowhere.
//   - M5 no pane counts less than nothing, at any age, and a message leaves
//     only a pane it is in.
//   - M6 delivered + failed + pending = sent at every age, the parts do not
//     exceed their wholes, the categories sum to failed.
//   - M7 a message has one row, and its home is not before its send day.
//   - M8 a pane and a tuple are remembered as long as every message that has
//     touched them.
//
// M1 to M6 are asserted where outcomes are derived and panes are drained, M7
// and M8 where rows are written; the tests name them.
//
// # What a crash leaves
//
// The store holds exactly the fold of a prefix (I1 of the runtime): Save and the
// commit of the store follow one another without an Apply between, so messages
// and panes are of one offset. Everything in memory is either in the store or
// derived from it, except for the set of dirty panes, which is empty at a
// checkpoint because the runtime drains before it.
package message
