// Package pipeline is the process: the stages of the line as parts that start
// and stop in order, the servers they work with, embedded or given, and the
// configuration of it all. The commands of cmd/bluetick choose a role; the demo
// runs the whole line on a clock of its own.
//
//   - config.go puts the sections of all owners together.
//   - kafka.go and clickhouse.go hold where the servers are and how to reach them;
//     nothing else does.
//   - wait.go waits for servers that have not started yet.
//   - process.go and stages.go start the parts, roles.go decides which.
//   - connect.go opens ClickHouse for a command that only asks.
//
// A Process belongs to one goroutine until it is announced. Each part that it
// starts registers its stop at once, so that a later failure leaks nothing; they
// stop in the reverse order of their start.
package pipeline
