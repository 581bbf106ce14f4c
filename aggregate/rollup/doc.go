// Package rollup is the second fold: it reads the topic `panes` and writes the
// topic `rates`.
//
// # Promise
//
// For every whole minute `at` that is complete, every series with data and
// every configured (window, age) it emits one Rate: the messages of the series
// with a send minute in [at-age-window, at-age), and what had become of them by
// the time each was `age` old. Age 0 means "so far": all that is known. A rate
// states what was known when its `at` closed. It is emitted once, and once more if
// it was not heard then. What is known today is always in the panes themselves.
//
// # From panes to series
//
// A pane is one source partition's absolute count of one minute and tuple. Per
// (source, minute, tuple) the fold keeps the one of greatest version, and a
// cohort of a series is the sum of the panes of all sources and of all tuples
// that belong to it. A pane that replaces another moves its cohorts by the
// difference; a cohort moves the running sum of every span (window, age) that
// covers its minute; a step of `at` adds the minute that comes of age and takes
// away the one that leaves. All are integers: the sums are exact, whatever the
// order.
//
// # When an `at` closes
//
// Each source partition reports in Progress how far it is complete. The watermark
// is the least of them; there is none until each of Progress.Sources has been
// heard, and one that stalls holds it: a missing rate is better than a wrong one.
// An idle source does not stall, it goes on sending Progress. A Progress that
// brings the watermark to or beyond `at` closes it: the rows take the values at
// that record, its offset as version, and the D-clock there.
//
// The first `at` ever is the minute after the earliest pane, or after the
// watermark if there is no pane. After an outage one Progress can complete
// thousands of `at`; Config.MaxRowsPerProgress bounds what it closes, the rest
// is closed by the Progress records that follow, with the values at those. The
// bound depends on the log alone, never on when rows were drained. A complete_to
// is believed: a source whose clock runs ahead closes its `at` early.
//
// # Heard or not
//
// Whether the reports of a cohort can all be in is judged per account and age
// (hearing.go): by the shuttings of the door, which Progress tells of, and by how the
// account's reports come, which each source tells in Reports. Cohorts are heard in
// order, so what is known of an account is one `at` for each age (account.heardTo).
// Rates beyond it are marked; once it has passed them they are emitted again, with the
// values of then. All `at` that a record closes are judged at its watermark.
//
// The cohorts that what is pending needs stay in memory with it, and are forgotten
// with their panes at the latest.
//
// # Forgetting
//
// The D-clock is the running maximum of min(the pane's D-clock, the record's
// timestamp). A pane whose minute lies more than Config.Keep before it (rounded
// down to the hour) is deleted, and one that arrives later is ignored.
// Where the watermark was held back for more than a day, a rate that would need
// a forgotten minute is not emitted at all.
//
// # Invariants
//
//   - R1: the cohort of (series, minute) is the sum, over all (source, tuple) of the
//     series, of the pane of greatest version (I4). Other epochs count nowhere.
//   - R2: the sum of (series, span) is the sum of its cohorts in the span's
//     interval at table.next.
//   - R3: what is in memory (table) is a function of what is in the store (panes
//     and meta), so a restart continues as if there had been none.
//   - R4: `at` close in order, each at exactly one record of the log; a replay
//     closes it at the same record with the same bytes (I2).
//   - R5: no rate includes a minute before meta.completeFrom.
//   - R6: the state is never saved while a closed rate waits to be drained (I3).
//   - R7: of an account and age, heardTo never falls; a rate is marked exactly if its
//     `at` is beyond, and comes again exactly once, in the order of `at`, at a greater
//     version.
//
// # What a crash leaves
//
// Panes and reports go to the store as they are applied, meta and hearing at Save, and nothing is
// durable before the runtime commits both with the next offset. A crash before
// Drain, after it, or after the acknowledgement but before the commit leaves
// the state of the last commit: the replay applies the same records, closes the
// same `at` and emits the same rows again (R4). A crash after the commit loses
// nothing, because nothing was waiting (R6).
//
// # Cost
//
// Per pane: one look-up, five series, fourteen sums each. Per `at` and series: two
// look-ups and additions a span. Memory: some 450 bytes per series and minute
// with data within Config.Reach, about 1.3 KB per series, and the rows of at
// most one flush. A series without data within Config.Reach takes none.
package rollup
