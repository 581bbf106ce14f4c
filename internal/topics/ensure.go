package topics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/bluetick/bluetick/internal/retry"
	"github.com/bluetick/bluetick/schemas"
)

const (
	// usualReplicas is how many replicas a topic gets where the cluster has at least
	// as many brokers: one may fail while another is restarted.
	usualReplicas = 3
	// readyTimeout bounds the wait for the leaders of created topics, which a
	// loaded cluster elects within seconds.
	readyTimeout = 30 * time.Second
	// readyPoll is how often the wait asks again.
	readyPoll = 50 * time.Millisecond
)

// Options are what Ensure may do.
type Options struct {
	// Create makes missing topics; without it they are findings.
	Create bool
	// ReplicationFactor of created topics; 0 means 3, or the number of brokers
	// when there are fewer.
	ReplicationFactor int16
}

// State is what Ensure found of one topic.
type State struct {
	Name string
	// Partitions is the count the topic has, which may not be the wanted one.
	Partitions int
	// Replicas is the smallest number of replicas that one of its partitions has.
	Replicas int
	// Created is true if this call made it.
	Created bool
}

// Report is what Ensure found and did.
type Report struct {
	// Topics has the topics that exist now, in the order they were asked for.
	Topics []State
	// Findings has everything wrong with them, and the missing ones.
	Findings []Finding
}

// Ensure creates the missing ones of want, when it may, and checks all of them.
// The error joins every finding (errors.As with a Finding finds the first), or
// tells what could not be asked or done. Several processes may call it at once.
//
// A client remembers for its MetadataMinAge (kgo's default is 5 s) that a topic
// was missing, so a second call with the same client may take that long.
func Ensure(ctx context.Context, adm *kadm.Client, want []schemas.Topic, opts Options) (Report, error) {
	if len(want) == 0 {
		return Report{}, nil // Kafka takes no names for all names
	}
	created := map[string]bool{}
	if opts.Create {
		var err error
		if created, err = createMissing(ctx, adm, want, opts.ReplicationFactor); err != nil {
			return Report{}, err
		}
	}
	names := make([]string, len(want))
	for i, t := range want {
		names[i] = t.Name
	}
	details, err := ready(ctx, adm, names, opts.Create)
	if err != nil {
		return Report{}, err
	}
	settings, err := describe(ctx, adm, details)
	if err != nil {
		return Report{}, err
	}
	var r Report
	for _, t := range want {
		s, ok := settings[t.Name]
		if !ok {
			r.Findings = append(r.Findings, Finding{Topic: t.Name, Problem: "it does not exist", Remedy: "create it with `bluetick topics`"})
			continue
		}
		r.Topics = append(r.Topics, State{Name: t.Name, Partitions: len(details[t.Name].Partitions), Replicas: s.Replicas, Created: created[t.Name]})
		r.Findings = append(r.Findings, Check(t, s)...)
	}
	errs := make([]error, len(r.Findings))
	for i, f := range r.Findings {
		errs[i] = f
	}
	return r, errors.Join(errs...)
}

// createMissing makes the topics that do not exist and returns which it made.
func createMissing(ctx context.Context, adm *kadm.Client, want []schemas.Topic, replicas int16) (map[string]bool, error) {
	have, err := adm.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	if replicas == 0 {
		brokers, err := adm.ListBrokers(ctx)
		if err != nil {
			return nil, fmt.Errorf("list brokers: %w", err)
		}
		replicas = int16(min(usualReplicas, len(brokers)))
	}
	created := map[string]bool{}
	for _, t := range want {
		if have.Has(t.Name) {
			continue
		}
		res, err := adm.CreateTopic(ctx, t.Partitions, replicas, wanted(t, replicas), t.Name)
		switch {
		case errors.Is(err, kerr.TopicAlreadyExists): // another process was faster; it is checked like any other
		case err != nil && res.ErrMessage != "":
			return nil, fmt.Errorf("create topic %s with %d replicas: %w: %s", t.Name, replicas, err, res.ErrMessage)
		case err != nil:
			return nil, fmt.Errorf("create topic %s with %d replicas: %w", t.Name, replicas, err)
		default:
			created[t.Name] = true
		}
	}
	return created, nil
}

// ready returns the topics that exist. With all it waits until each of them is
// known to the cluster and has a leader for every partition: a broker may answer
// before it has heard of a topic made a moment ago.
func ready(ctx context.Context, adm *kadm.Client, names []string, all bool) (kadm.TopicDetails, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		details, err := adm.ListTopics(ctx, names...)
		if err != nil {
			return nil, fmt.Errorf("list topics: %w", err)
		}
		var waitFor error
		for name, d := range details {
			switch {
			case errors.Is(d.Err, kerr.UnknownTopicOrPartition):
				delete(details, name)
				if all {
					waitFor = fmt.Errorf("topic %s: %w", name, d.Err)
				}
			case d.Err != nil && !kerr.IsRetriable(d.Err):
				return nil, fmt.Errorf("look up topic %s: %w", name, d.Err)
			case leaderless(d) != nil:
				waitFor = leaderless(d)
			}
		}
		if waitFor == nil {
			return details, nil
		}
		if err := retry.Pause(ctx, readyPoll); err != nil {
			return nil, fmt.Errorf("wait for topics to become ready: %w: %w", err, waitFor)
		}
	}
}

// leaderless names a partition of a topic that cannot be used yet.
func leaderless(d kadm.TopicDetail) error {
	if d.Err != nil {
		return fmt.Errorf("topic %s: %w", d.Topic, d.Err)
	}
	for _, p := range d.Partitions.Sorted() {
		if p.Err != nil {
			return fmt.Errorf("topic %s partition %d: %w", d.Topic, p.Partition, p.Err)
		}
	}
	return nil
}

// describe returns the settings of the topics by name.
func describe(ctx context.Context, adm *kadm.Client, details kadm.TopicDetails) (map[string]Settings, error) {
	out := make(map[string]Settings, len(details))
	if len(details) == 0 {
		return out, nil
	}
	configs, err := adm.DescribeTopicConfigs(ctx, details.Names()...)
	if err != nil {
		return nil, fmt.Errorf("read topic settings: %w", err)
	}
	for _, rc := range configs {
		if rc.Err != nil {
			return nil, fmt.Errorf("read settings of topic %s: %w", rc.Name, rc.Err)
		}
		s := Settings{Replicas: replicas(details[rc.Name]), Values: make(map[string]string, len(rc.Configs))}
		for _, c := range rc.Configs {
			if c.Value != nil {
				s.Values[c.Key] = *c.Value
			}
		}
		out[rc.Name] = s
	}
	return out, nil
}

// replicas returns the smallest number of replicas of a topic's partitions.
func replicas(d kadm.TopicDetail) int {
	least := 0
	for _, p := range d.Partitions {
		if least == 0 || len(p.Replicas) < least {
			least = len(p.Replicas)
		}
	}
	return least
}
