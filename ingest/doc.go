// Package ingest is the door for webhooks. Its promise: an answer of 200 (or
// another one below 400) to a webhook means that every event of it is
// acknowledged by all in-sync replicas.
//
// A request goes through these steps, in this order and in one goroutine, the
// one net/http gives it. What differs between providers is behind the interfaces
// of package provider; which providers there are is handed in.
//
//	source     known, and the method is one its provider takes    404 405
//	handshake  if it is one, the provider's answer ends it here    200 400 403
//	claim      a signature is there; whose it is, is not known yet  401
//	read       encoding, size, rate, room in memory                400 408 413 415 503
//	verify     signature over the request as received              401
//	slot       one of MaxConcurrent                                503
//	decode     events and dead letters                             never fails
//	clock      the door trusts its own                             503
//	produce    all of them, and the raw body if wanted             503
//	reply      200, or what the provider wants to be answered
//
// A stranger can hold a connection and, while room is plenty, the bytes it has
// sent. It holds no slot, it is cut off when it is slow, and where memory runs
// out the oldest sender makes room (room.go), which a provider never is.
//
// Invariants
//
//	G1: nothing of a body is parsed before its signature is verified.
//	G2: a webhook is answered with 200, or its provider's reply, only after the
//	    acknowledgement of every record.
//	G3: an authentic body is refused only for reasons that a retry can mend;
//	    what can never be decoded is a dead letter and is answered with 200.
//	G4: no phone number, provider id or text of a person is in a log line, a
//	    metric, an error or an event.
//	G5: a source with Accounts makes events of these alone; what names another
//	    account is a dead letter, and the rest of the body counts.
//	G6: whatever was accepted with a received_at before what a heartbeat says is in
//	    the log before it; a door that refuses authentic bodies writes none.
//	G7: nothing is stamped by a clock that the door doubts (clockwatch.go).
//
// While it is open a door writes heartbeats into every partition of events
// (heartbeat.go): without them no minute would ever be complete.
//
// A crash at any step leaves a request without an answer; the provider sends
// the body again. What had been written before is then written twice with equal
// event ids, which every consumer takes for one.
package ingest
