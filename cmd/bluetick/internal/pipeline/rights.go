package pipeline

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// Right is what a role must be allowed on one resource of Kafka. A role that is given
// its rights and no others cannot write what another one writes: panes and rates
// are believed, so who may write them matters.
type Right struct {
	// Role is the command: ingest, aggregate, sink, alert or topics.
	Role string
	// Resource is "topic" or "group", Name which one.
	Resource, Name string
	// Operations as Kafka calls them.
	Operations []string
}

// Operations of rights.
const (
	opCreate   = "Create"
	opDescribe = "Describe"
	opConfigs  = "DescribeConfigs"
	opRead     = "Read"
	opWrite    = "Write"
)

// work is what a role reads and writes.
type work struct {
	role          string
	reads, writes []string
	// stages show their lag in a group.
	stages []string
}

func works() []work {
	return []work{
		{role: "ingest", reads: []string{schemas.TopicEvents}, writes: []string{schemas.TopicEvents, schemas.TopicDeadLetters, schemas.TopicRaw}},
		{
			role: "aggregate", reads: []string{schemas.TopicEvents, schemas.TopicPanes},
			writes: []string{schemas.TopicPanes, schemas.TopicRates, schemas.TopicDeadLetters},
			stages: []string{schemas.StageMessage, schemas.StageRollup},
		},
		{role: "sink", reads: []string{schemas.TopicEvents, schemas.TopicPanes, schemas.TopicRates, schemas.TopicAlerts, schemas.TopicDeadLetters}},
		{
			role: "alert", reads: []string{schemas.TopicRates},
			writes: []string{schemas.TopicAlerts, schemas.TopicDeadLetters}, stages: []string{schemas.StageAlert},
		},
		{role: "topics"},
	}
}

// Rights are those of every role, in the order of roles and topics. Each looks at
// every topic and its settings when it starts; topics creates them. A role needs no
// right to create as long as all topics are there.
func Rights() []Right {
	var rights []Right
	for _, w := range works() {
		for _, t := range schemas.Topics(1) {
			ops := []string{opDescribe, opConfigs}
			if slices.Contains(w.reads, t.Name) {
				ops = append(ops, opRead)
			}
			if slices.Contains(w.writes, t.Name) {
				ops = append(ops, opWrite)
			}
			if w.role == "topics" {
				ops = append(ops, opCreate)
			}
			rights = append(rights, Right{w.role, "topic", t.Name, ops})
		}
		for _, stage := range w.stages {
			rights = append(rights, Right{w.role, "group", task.GroupName(stage, firstEpoch), []string{opDescribe, opRead}})
		}
	}
	return rights
}

// WriteACLs writes the rights as commands of Kafka's own kafka-acls.sh. user is the
// principal of a role, in which {role} stands for its name. A host that may
// connect is not restricted.
func WriteACLs(out io.Writer, brokers, user string) error {
	var text strings.Builder
	role := ""
	for _, r := range Rights() {
		if r.Role != role {
			if role != "" {
				text.WriteString("\n")
			}
			role = r.Role
			fmt.Fprintf(&text, "# bluetick %s\n", role)
		}
		fmt.Fprintf(&text, "kafka-acls.sh --bootstrap-server %s --add --force --allow-principal '%s'", brokers, strings.ReplaceAll(user, "{role}", role))
		for _, op := range r.Operations {
			text.WriteString(" --operation " + op)
		}
		fmt.Fprintf(&text, " --%s '%s'\n", r.Resource, r.Name)
	}
	_, err := io.WriteString(out, text.String())
	return err
}
