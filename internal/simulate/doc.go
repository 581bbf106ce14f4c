// Package simulate posts signed Meta webhooks over HTTP as a real account
// would: campaigns in waves, true delays, duplicates, disorder, bodies of 1 to
// 1,000 updates.
//
// What it posts is a pure function of (seed, start, virtual time). Time is cut
// into blocks; the bodies of a block depend on nothing but the plan. What was
// acknowledged is kept in a journal, so that
//
//	S1  a restart resumes at the journal's greatest block and first posts again
//	    what before it was not acknowledged;
//	S2  Truth counts exactly the acknowledged bodies, from the plan's own
//	    knowledge, never from what the pipeline made of them.
//
// A crash between an answer and its journal record posts the body again; the
// pipeline counts it once, and so does Truth.
package simulate
