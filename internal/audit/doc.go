// Package audit compares the two ways bluetick counts: `panes`, which the
// message fold has built record by record, and `v_messages`, which ClickHouse
// computes from `events` by the same definitions in SQL.
//
// # What is compared
//
// v_messages rolled up to panes against panes, per source partition: all events
// of a message are in one partition, so each must agree on its own, and a message
// that two partitions count is noticed. An all-zero row equals no row.
//
// # The cut
//
// One side is always a little behind the other. The cut of a source partition is
// the least next offset of its Progress in every partition of `panes` and of the
// sink's own position in `events`: both tables hold the effect of every record
// before it. What later records touch is left out on both sides, and counted:
//
//   - rows of panes with a version at or after the cut;
//   - every pane of the account, channel and minute of any event of a message
//     that has an event at or after the cut. A message is always counted at the
//     minute of one of its own events, so this covers the pane it is in, the one
//     it was in without those events, and the one it will move to.
//
// Left out as well are the minutes of relapsed messages, which panes have
// forgotten in between, and, if events or panes have a TTL, what is so old that
// some of its events, or the pane itself, may have passed it.
//
// Once everything is drained nothing is left out. After a replay of old events
// only such an audit means anything.
package audit
