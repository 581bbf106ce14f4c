package kafkaerr

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestPermanent(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"out of range":        {kerr.OffsetOutOfRange, true},
		"not allowed":         {fmt.Errorf("fetch: %w", kerr.TopicAuthorizationFailed), true},
		"wrong password":      {kerr.SaslAuthenticationFailed, true},
		"leader moved":        {kerr.NotLeaderForPartition, false},
		"broker does not say": {kerr.UnknownServerError, false},
		"its disk":            {kerr.KafkaStorageError, false},
		"throttled":           {kerr.ThrottlingQuotaExceeded, false},
		"code of tomorrow":    {&kerr.Error{Message: "NEW", Code: 999}, false},
		"no answer":           {errors.New("connection reset"), false},
	} {
		if got := Permanent(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
