// Package schemas holds the nouns of bluetick: what travels through Kafka and
// is stored in ClickHouse. Stages never import each other; they meet here.
//
//	type        topic                  written by           read by
//	Event       bluetick.events        ingest               aggregate/message, sink
//	Pane        bluetick.panes         aggregate/message    aggregate/rollup, sink
//	Progress    bluetick.panes, rates  internal/task        rollup, alert, sink
//	Rate        bluetick.rates         aggregate/rollup     alert, sink
//	Transition  bluetick.alerts        alert                sink
//	DeadLetter  bluetick.dead-letters  every stage          sink
//
// Every value is Protobuf (bluetick.proto); the record header "schema" names
// the message and its version. Decoding rejects, it never guesses.
package schemas

//go:generate go run ../internal/protogen . bluetick.proto pb
