package sink

import (
	"fmt"

	"github.com/bluetick/bluetick/sink/clickhouse"
)

// partitionLog is what Kafka holds of one partition: records [start, end).
type partitionLog struct {
	topic     string
	topicID   string
	partition int32
	start     int64
	end       int64
}

// resume decides where to start reading: at the position, or, without one, at
// the start of the log. warning names what is lost where it goes on all the same;
// an error comes with its remedy.
func resume(at clickhouse.Position, known bool, log partitionLog, acceptGap bool) (offset int64, warning string, err error) {
	name := fmt.Sprintf("%s[%d]", log.topic, log.partition)
	switch {
	case !known && log.start > 0:
		return log.start, "no position yet and the log does not start at 0: older records are not in ClickHouse", nil
	case !known:
		return 0, "", nil
	case at.TopicID != log.topicID:
		return 0, "", fmt.Errorf("%s: the position in ClickHouse is of the topic with id %s, but this one has %s: it was made anew. "+
			"Use another database (clickhouse.database), or the Kafka this one was filled from", name, at.TopicID, log.topicID)
	case at.Next > log.end:
		return 0, "", fmt.Errorf("%s: the position in ClickHouse is offset %d, but the log ends at %d: it has lost records. "+
			"Restore the log, or use another database (clickhouse.database)", name, at.Next, log.end)
	case at.Next < log.start && !acceptGap:
		return 0, "", fmt.Errorf("%s: offsets %d to %d were deleted by retention before they came to ClickHouse. "+
			"Start once with sink: {accept_gap: true} in the file of --config to go on without them", name, at.Next, log.start-1)
	case at.Next < log.start:
		return log.start, fmt.Sprintf("offsets %d to %d are not in ClickHouse: deleted by retention before", at.Next, log.start-1), nil
	default:
		return at.Next, "", nil
	}
}
