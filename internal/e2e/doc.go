// Package e2e tests the built binary as a user sees it: from outside, over
// HTTP, SQL and the Kafka protocol, with kill -9 in the middle.
package e2e
