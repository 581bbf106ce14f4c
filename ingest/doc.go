// Package ingest is the door for webhooks. Its promise: an answer of 200 means
// that every event of the body is acknowledged by all in-sync replicas.
//
// One request goes through verify, decode, produce, in this order and in one
// goroutine, the one net/http gives it:
//
//	limits     method, source, free slot, encoding, size     404 405 408 413 415 503
//	verify     signature over the body as received           401
//	decode     events and dead letters (package provider)    never fails
//	produce    all of them, and the raw body if wanted       503
//
// Invariants
//
//	G1: nothing of a body is parsed before its signature is verified.
//	G2: 200 is answered only after the acknowledgement of every record.
//	G3: an authentic body is refused only for reasons that a retry can mend;
//	    what can never be decoded is a dead letter and is answered with 200.
//	G4: no phone number, provider id or text of a person is in a log line, a
//	    metric, an error or an event.
//
// A crash at any step leaves a request without an answer; the provider sends
// the body again. What had been written before is then written twice with equal
// event ids, which every consumer takes for one.
package ingest
