// Package recorded has one test: a log of more than 100,000 events goes through
// the Machine of every fold with fixed flush points, and the digest of all rows
// that come out is kept in a golden file. A change that is meant to move code and
// no number must leave the file as it is; one that changes a number shows it in
// the diff. The log is made from a seed, so it is the same wherever it is made.
package recorded
