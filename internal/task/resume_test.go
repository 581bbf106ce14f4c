package task

import (
	"errors"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/internal/store"
)

func TestResume(t *testing.T) {
	want := store.Meta{
		Epoch: 2, Topic: "in", TopicID: [16]byte{7}, ClusterID: "alpha", LogicVersion: "v3", Partition: 1, Partitions: 4,
	}
	at := func(next int64, change func(*store.Meta)) *store.Meta {
		m := want
		m.NextOffset = next
		if change != nil {
			change(&m)
		}
		return &m
	}
	for _, c := range []struct {
		name   string
		found  *store.Meta
		log    bounds
		next   int64
		reason RefusalReason
		remedy string
	}{
		{"no state, whole log", nil, bounds{0, 90}, 0, "", ""},
		{"no state, empty log", nil, bounds{0, 0}, 0, "", ""},
		{"no state, truncated log", nil, bounds{1, 90}, 0, RefuseNoState, "put back the state folder"},
		{"state inside the log", at(40, nil), bounds{10, 90}, 40, "", ""},
		{"state at the log's start", at(10, nil), bounds{10, 90}, 10, "", ""},
		{"state at the log's end", at(90, nil), bounds{10, 90}, 90, "", ""},
		{"log begins after the state", at(9, nil), bounds{10, 90}, 0, RefuseLogTruncated, "put back a newer state folder"},
		{"log ends before the state", at(91, nil), bounds{10, 90}, 0, RefuseBeyondEnd, "check the broker addresses"},
		{"other epoch", at(40, func(m *store.Meta) { m.Epoch = 1 }), bounds{0, 90}, 0, RefuseOtherEpoch, "own folder"},
		{"other topic", at(40, func(m *store.Meta) { m.Topic = "out" }), bounds{0, 90}, 0, RefuseOtherTopic, "put the folders back"},
		{"other partition", at(40, func(m *store.Meta) { m.Partition = 2 }), bounds{0, 90}, 0, RefuseOtherTopic, "put the folders back"},
		{"topic made again", at(40, func(m *store.Meta) { m.TopicID = [16]byte{8} }), bounds{0, 90}, 0, RefuseOtherTopic, "rebuild"},
		{"other cluster", at(40, func(m *store.Meta) { m.ClusterID = "beta" }), bounds{0, 90}, 0, RefuseOtherCluster, "broker addresses"},
		{"other logic", at(40, func(m *store.Meta) { m.LogicVersion = "v2" }), bounds{0, 90}, 0, RefuseOtherLogic, "rebuild"},
		{"more partitions", at(40, func(m *store.Meta) { m.Partitions = 2 }), bounds{0, 90}, 0, RefuseOtherPartitions, "old number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var found store.Meta
			if c.found != nil {
				found = *c.found
			}
			next, err := resume(found, c.found != nil, want, c.log, "/data/state", false)
			if c.reason == "" {
				if err != nil || next != c.next {
					t.Fatalf("got %d, %v; want %d", next, err, c.next)
				}
				return
			}
			var r *Refusal
			if !errors.As(err, &r) || r.Reason != c.reason || !strings.Contains(r.Text, c.remedy) || !strings.HasPrefix(r.Text, "in[1]: ") {
				t.Fatalf("got %v, want %s with %q", err, c.reason, c.remedy)
			}
		})
	}
	t.Run("a rebuild begins where the log begins", func(t *testing.T) {
		for _, from := range []int64{0, 7} {
			if next, err := resume(store.Meta{}, false, want, bounds{from, 90}, "/data/state", true); err != nil || next != from {
				t.Errorf("got %d, %v; want %d", next, err, from)
			}
		}
		if next, err := resume(*at(40, nil), true, want, bounds{10, 90}, "/data/state", true); err != nil || next != 40 {
			t.Errorf("with a state: %d, %v; want 40", next, err)
		}
	})
	t.Run("embedded: the cluster id means nothing", func(t *testing.T) {
		embedded := want
		embedded.ClusterID = ""
		if _, err := resume(*at(40, nil), true, embedded, bounds{0, 90}, "/data/state", false); err != nil {
			t.Fatal(err)
		}
	})
}
