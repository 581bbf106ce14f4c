package schemas

import (
	"strconv"
	"strings"
	"time"
)

// Topic is one Kafka topic as bluetick needs it. Settings that would corrupt
// results when changed (compaction, unclean leader election, too short a
// retention) are checked at start-up by internal/topics.
type Topic struct {
	Name string
	// Partitions is the count used when bluetick creates the topic; an
	// existing topic keeps its own, which is then fixed for the epoch.
	Partitions int32
	// Retention is the least time a record must stay readable.
	Retention time.Duration
	// Compression is the topic's compression.type ("producer" keeps what the
	// producer chose).
	Compression string
	// KeyedBy describes the record key: the rule every producer of the topic
	// follows and every consumer relies on.
	KeyedBy string
}

// Names of the topics. Partitioner: murmur2 over the key bytes, as every Kafka
// client has it. Keys are the text form of what KeyedBy describes; see EventKey
// for those of events.
const (
	TopicEvents      = "bluetick.events"
	TopicPanes       = "bluetick.panes"
	TopicRates       = "bluetick.rates"
	TopicAlerts      = "bluetick.alerts"
	TopicDeadLetters = "bluetick.dead-letters"
	TopicRaw         = "bluetick.raw"
)

// TopicIn is the name of a topic in an epoch. What is derived has topics of its own in
// each; the first has the plain names. Events, dead letters and raw bodies are of no
// epoch.
func TopicIn(topic string, epoch uint32) string {
	if epoch <= 1 || !derived(topic) {
		return topic
	}
	return topic + "." + strconv.FormatUint(uint64(epoch), 10)
}

// BaseTopic is the plain name of a topic of any epoch.
func BaseTopic(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 && derived(name[:i]) {
		return name[:i]
	}
	return name
}

func derived(topic string) bool {
	return topic == TopicPanes || topic == TopicRates || topic == TopicAlerts
}

// TopicsIn lists the topics of an epoch, as Topics does.
func TopicsIn(partitions int32, epoch uint32) []Topic {
	all := Topics(partitions)
	for i := range all {
		all[i].Name = TopicIn(all[i].Name, epoch)
	}
	return all
}

// Topics lists every topic with its settings. Partition counts are those given
// to it: 4 when embedded, 24 or more on servers.
//
// Retention of events is twice the horizon and a day, so that all state can be
// rebuilt from Kafka alone; of panes the longest window plus the longest age
// plus a day, times two for a long weekend. None is ever compacted: a stale
// owner's older row could be the one that is kept.
func Topics(partitions int32) []Topic {
	const day = 24 * time.Hour
	return []Topic{
		{TopicEvents, partitions, 2*HorizonDays*day + day, "producer", "message key, else contact key, else event id"},
		{TopicPanes, partitions, 6 * day, "producer", "account (Progress: every partition)"},
		{TopicRates, partitions, 6 * day, "producer", "account (Progress: every partition)"},
		{TopicAlerts, partitions, 90 * day, "producer", "account"},
		{TopicDeadLetters, partitions, 30 * day, "producer", "source"},
		{TopicRaw, partitions, 3 * day, "zstd", "source"},
	}
}
