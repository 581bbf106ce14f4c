//go:build !testcontainers

package kafkatest

import "testing"

// byDefault is what a test gets when the environment asks for nothing.
func byDefault(t testing.TB) *Cluster {
	t.Helper()
	return embedded(t)
}
