// Package kafkaerr sorts the answers of Kafka: what no repetition mends is a
// list, and everything else is tried again. A broker that is short of files,
// threads, memory or disk says so in words that no list foresees.
package kafkaerr

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Permanent says whether err is an answer of Kafka that stays the same until
// somebody changes a setting, a right or a topic, records that are lost, or the
// end of a client that we have closed.
func Permanent(err error) bool {
	if _, lost := errors.AsType[*kgo.ErrDataLoss](err); lost || errors.Is(err, kgo.ErrClientClosed) {
		return true
	}
	answer, ok := errors.AsType[*kerr.Error](err)
	if !ok {
		return false
	}
	switch answer {
	case kerr.OffsetOutOfRange, // retention has deleted it, or the topic is another
		kerr.CorruptMessage, kerr.UnsupportedForMessageFormat,
		kerr.InvalidTopicException, kerr.InvalidPartitions, kerr.InvalidReplicationFactor, kerr.InvalidConfig,
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed,
		kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState,
		kerr.UnsupportedVersion, kerr.InvalidRequest, kerr.PolicyViolation, kerr.SecurityDisabled,
		kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord:
		return !answer.Retriable // kgo refetches some of them by itself
	}
	return false
}
