// Package provider is the seam between the door for webhooks and the messaging
// providers that send them: requests in, events out, no I/O and no clock.
// Everything personal (phone numbers, provider ids, names, texts) ends here;
// what leaves are pseudonyms and dimensions.
//
// Decoding is permissive. Unknown fields, types and statuses are never errors:
// they become events of TypeOther with their raw name, or are counted as ignored
// if they hold nothing to keep. What cannot become an event although it should
// (no message id, no readable time) becomes a dead letter and does not spoil the
// rest of its body.
//
// # Adding a provider
//
// A provider is a package of its own below this one; package meta is the
// example. It implements two interfaces:
//
//   - Provider has a name and opens one configured source: it checks the
//     source's settings and prepares what each request needs.
//   - Endpoint answers the requests of that source. The door asks it in this
//     order: is the method allowed (Methods), is this the provider's handshake
//     (Handshake), is it signed at all (Claim, before the body is read), is it
//     authentic (Verify), what does it say (Decode). Verify must not parse the
//     body beyond what the signature needs. Result.Reply is the answer if the
//     provider asks for one other than a plain 200, such as an empty 204 or a
//     redirect. The door sends it once Kafka has everything.
//
// The command line hands the door a Registry with one instance of each provider;
// that list is the only one.
//
// # What this package gives
//
//   - Decoder is the general half of decoding: it counts and bounds the items of
//     a body, writes dead letters, clamps times, refuses what is too old and makes
//     the event's id. A provider describes itself to it with a Dialect.
//   - Decoder.Person makes pseudonyms of the identities an item names, and
//     Decoder.Public keeps them out of every text that leaves. Name everybody an
//     item names before its texts are made public.
//   - Decoder.MessageKey hashes a message id without a key, so that it can be found
//     in SQL: of the id, 64 bits must be beyond guessing.
//   - Decoder.Callback reads campaign, variant and so on out of the data that a
//     sender attached to its message.
//   - Clean, MaskTitle, CanonicalPhone, the JSON functions and SameToken read
//     what providers write.
//
// A provider whose requests carry no time takes Request.ReceivedAt as the time
// of the event and must then set Item.OwnID to the provider's own id of the
// event. Otherwise its retries would be new events.
//
// # Tests that every provider must pass
//
// Package providertest has them: Check is for each result, Claim for each
// signature, Retry and Concurrent are for each provider. Each provider adds golden
// files, fuzz targets for decoding and privacy, and a table for its signatures.
package provider
