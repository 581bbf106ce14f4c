package sink

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/sink/clickhouse"
)

// TestFetchErrors: an error that passes by itself must not end the sink. Dialling
// a broker whose machine is off times out; kgo hands that error on, unlike a
// refused connection.
func TestFetchErrors(t *testing.T) {
	timeout := &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	for name, c := range map[string]struct {
		err    error
		passes bool
	}{
		"dial timeout":      {fmt.Errorf("unable to dial: %w", timeout), true},
		"leader moved":      {kerr.NotLeaderForPartition, true},
		"unknown topic id":  {kerr.UnknownTopicID, true},
		"offset not there":  {kerr.OffsetOutOfRange, false},
		"not allowed":       {kerr.TopicAuthorizationFailed, false},
		"records are lost":  {&kgo.ErrDataLoss{Topic: "t"}, false},
		"client was closed": {kgo.ErrClientClosed, false},
	} {
		if got := classify(c.err) != clickhouse.ClassPermanent; got != c.passes {
			t.Errorf("%s: passes %v", name, got)
		}
	}
}
