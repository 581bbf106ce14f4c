package topics_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/topics"
	"github.com/bluetick/bluetick/schemas"
)

// byName returns one of bluetick's topics.
func byName(t *testing.T, name string) schemas.Topic {
	t.Helper()
	for _, topic := range schemas.Topics(4) {
		if topic.Name == name {
			return topic
		}
	}
	t.Fatalf("no topic %s", name)
	return schemas.Topic{}
}

// sound returns settings that nothing is wrong with, changed as said; an empty
// value removes a setting.
func sound(topic schemas.Topic, change map[string]string) topics.Settings {
	values := map[string]string{
		"cleanup.policy":                 "delete",
		"compression.type":               "lz4",
		"max.message.bytes":              "5242880",
		"message.timestamp.type":         "CreateTime",
		"min.insync.replicas":            "2",
		"retention.bytes":                "-1",
		"retention.ms":                   strconv.FormatInt(topic.Retention.Milliseconds(), 10),
		"unclean.leader.election.enable": "false",
	}
	maps.Copy(values, change)
	maps.DeleteFunc(values, func(_, v string) bool { return v == "" })
	return topics.Settings{Replicas: 3, Values: values}
}

func TestCheck(t *testing.T) {
	type change = map[string]string
	for name, tc := range map[string]struct {
		topic    string
		change   change
		replicas int      // 0 means 3
		want     []string // one word of each finding's problem and remedy, in order
	}{
		"as created":                    {topic: schemas.TopicEvents},
		"kept for ever":                 {topic: schemas.TopicEvents, change: change{"retention.ms": "-1"}},
		"kept longer":                   {topic: schemas.TopicEvents, change: change{"retention.ms": "99999999999"}},
		"broker's time":                 {topic: schemas.TopicEvents, change: change{"message.timestamp.type": "LogAppendTime"}},
		"never cleaned":                 {topic: schemas.TopicEvents, change: change{"cleanup.policy": " "}},
		"compacted":                     {topic: schemas.TopicPanes, change: change{"cleanup.policy": "compact"}, want: []string{"compacted/delete the topic"}},
		"compacted and deleted":         {topic: schemas.TopicPanes, change: change{"cleanup.policy": "compact,delete"}, want: []string{"compacted/delete the topic"}},
		"deleted and compacted, spaced": {topic: schemas.TopicPanes, change: change{"cleanup.policy": "delete, compact"}, want: []string{"compacted/delete the topic"}},
		"unclean election":              {topic: schemas.TopicPanes, change: change{"unclean.leader.election.enable": "true"}, want: []string{"lost/unclean.leader.election.enable=false"}},
		"unclean election, loud":        {topic: schemas.TopicPanes, change: change{"unclean.leader.election.enable": "TRUE"}, want: []string{"lost/unclean.leader.election.enable=false"}},
		"one millisecond short":         {topic: schemas.TopicRaw, change: change{"retention.ms": "259199999"}, want: []string{"3 days/retention.ms=259200000"}},
		"nothing kept":                  {topic: schemas.TopicRaw, change: change{"retention.ms": "0"}, want: []string{"0 days/retention.ms=259200000"}},
		"deleted by size":               {topic: schemas.TopicRaw, change: change{"retention.bytes": "1000000000"}, want: []string{"by size/retention.bytes=-1"}},
		"bodies too large":              {topic: schemas.TopicRaw, change: change{"max.message.bytes": "1048588"}, want: []string{"refused/max.message.bytes=5242880"}},
		"dead letters too large":        {topic: schemas.TopicDeadLetters, change: change{"max.message.bytes": "5242879"}, want: []string{"refused/max.message.bytes=5242880"}},
		"panes are small":               {topic: schemas.TopicPanes, change: change{"max.message.bytes": "1048588"}},
		"batches too large":             {topic: schemas.TopicPanes, change: change{"max.message.bytes": "1000000"}, want: []string{"refused/max.message.bytes=1048588"}},
		"one of three acknowledges":     {topic: schemas.TopicEvents, change: change{"min.insync.replicas": "1"}, want: []string{"one replica/min.insync.replicas=2"}},
		"one of one acknowledges":       {topic: schemas.TopicEvents, change: change{"min.insync.replicas": "1"}, replicas: 1},
		"one of two acknowledges":       {topic: schemas.TopicEvents, change: change{"min.insync.replicas": "1"}, replicas: 2},
		"all three acknowledge":         {topic: schemas.TopicEvents, change: change{"min.insync.replicas": "3"}},
		"not numbers":                   {topic: schemas.TopicRaw, change: change{"retention.ms": "long", "retention.bytes": "much"}},

		"no cleanup set":    {topic: schemas.TopicPanes, change: change{"cleanup.policy": ""}},
		"no election set":   {topic: schemas.TopicPanes, change: change{"unclean.leader.election.enable": ""}},
		"no size set":       {topic: schemas.TopicPanes, change: change{"retention.bytes": ""}},
		"7 days are enough": {topic: schemas.TopicPanes, change: change{"retention.ms": ""}},
		"7 days are short":  {topic: schemas.TopicEvents, change: change{"retention.ms": ""}, want: []string{"not set/retention.ms="}},
		"1 MiB is enough":   {topic: schemas.TopicPanes, change: change{"max.message.bytes": ""}},
		"1 MiB is small":    {topic: schemas.TopicRaw, change: change{"max.message.bytes": ""}, want: []string{"not set/max.message.bytes=5242880"}},
		"no minimum set":    {topic: schemas.TopicPanes, change: change{"min.insync.replicas": ""}, want: []string{"not set/min.insync.replicas=2"}},

		"all at once": {
			topic: schemas.TopicRaw,
			change: change{
				"cleanup.policy": "compact", "unclean.leader.election.enable": "true", "retention.ms": "1",
				"retention.bytes": "1", "max.message.bytes": "1", "min.insync.replicas": "1",
			},
			want: []string{"compacted/", "lost/", "deleted after/", "by size/", "refused/", "one replica/"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			topic := byName(t, tc.topic)
			have := sound(topic, tc.change)
			if tc.replicas != 0 {
				have.Replicas = tc.replicas
			}
			got := topics.Check(topic, have)
			if len(got) != len(tc.want) {
				t.Fatalf("%d findings, want %d: %v", len(got), len(tc.want), got)
			}
			for i, f := range got {
				problem, remedy, _ := strings.Cut(tc.want[i], "/")
				if f.Topic != topic.Name || !strings.Contains(f.Problem, problem) || !strings.Contains(f.Remedy, remedy) {
					t.Errorf("finding %d is %v, want %q and remedy %q", i, f, problem, remedy)
				}
				if msg := f.Error(); !strings.Contains(msg, f.Topic) || !strings.Contains(msg, f.Problem) || !strings.Contains(msg, f.Remedy) {
					t.Errorf("message %q leaves something out", msg)
				}
			}
		})
	}
}

// A topic with nothing set at all is Kafka's default topic.
func TestCheckKafkaDefaults(t *testing.T) {
	for _, topic := range schemas.Topics(4) {
		got := topics.Check(topic, topics.Settings{Replicas: 1})
		want := 0
		if topic.Retention > 7*24*time.Hour {
			want++
		}
		if topic.Name == schemas.TopicRaw || topic.Name == schemas.TopicDeadLetters {
			want++
		}
		if len(got) != want {
			t.Errorf("%s: %v, want %d findings", topic.Name, got, want)
		}
	}
}
