package store

import (
	"encoding/json"
	"fmt"

	"github.com/bluetick/bluetick/schemas"
)

// metaKey sorts before every key of a fold.
const metaKey = "\x00meta"

// layout is the version of what this package itself writes.
const layout = 1

// Meta tells which log prefix the state is the fold of, and to what it belongs.
// It is written with the rows in one atomic unit.
type Meta struct {
	Epoch uint32 `json:"epoch"`
	// Topic, TopicID and ClusterID name the log; an id of zero or "" is unknown.
	Topic     string   `json:"topic"`
	TopicID   [16]byte `json:"topic_id"`
	ClusterID string   `json:"cluster_id"`
	// LogicVersion names the fold's logic, horizon and edges.
	LogicVersion string `json:"logic_version"`
	// Partition of Partitions of the topic.
	Partition  int32 `json:"partition"`
	Partitions int32 `json:"partitions"`
	// NextOffset is the first offset whose record is not in the state.
	NextOffset int64           `json:"next_offset"`
	DClock     schemas.Instant `json:"d_clock"`
}

type wireMeta struct {
	Layout int `json:"layout"`
	Meta
}

func encodeMeta(m Meta) ([]byte, error) {
	b, err := json.Marshal(wireMeta{Layout: layout, Meta: m})
	if err != nil {
		return nil, fmt.Errorf("encode state meta: %w", err)
	}
	return b, nil
}

func decodeMeta(b []byte) (Meta, error) {
	var w wireMeta
	if err := json.Unmarshal(b, &w); err != nil {
		return Meta{}, fmt.Errorf("%w: decode meta: %w", ErrDamaged, err)
	}
	if w.Layout != layout {
		return Meta{}, fmt.Errorf("state layout is %d and this build reads %d: run the build that wrote it, or rebuild (docs/runbook.md)", w.Layout, layout)
	}
	if w.NextOffset < 0 {
		return Meta{}, fmt.Errorf("%w: next offset %d is negative", ErrDamaged, w.NextOffset)
	}
	return w.Meta, nil
}
