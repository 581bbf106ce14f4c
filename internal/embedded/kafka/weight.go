package kafka

import (
	"io/fs"
	"os"
)

const (
	// tailEntry is what kfake keeps in memory for a batch, measured (docs/decisions/0042).
	tailEntry = 78
	// warnWeight is when the log's memory is told loudly: a third of what the
	// heaviest load that the embedded broker is meant for may need.
	warnWeight = 100 << 20
)

// Weight is what the log costs in memory.
type Weight struct {
	// TailBatches are the batches that kfake keeps, PackedBatches those of packs.
	TailBatches, PackedBatches int64
	// Bytes is the memory for both.
	Bytes int64
}

// Weight measures what the log costs in memory. It looks at the names and sizes
// of files only.
func (b *Broker) Weight() Weight {
	var w Weight
	data := os.DirFS(b.packs.dir)
	indexes, _ := fs.Glob(data, "partitions/*/*.idx") // the pattern is well-formed
	for _, path := range indexes {
		if info, err := fs.Stat(data, path); err == nil {
			w.TailBatches += info.Size() / indexEntry
		}
	}
	b.packs.mu.RLock()
	defer b.packs.mu.RUnlock()
	for _, l := range b.packs.mu.logs {
		for _, f := range l.files {
			w.PackedBatches += int64(len(f.batches))
		}
	}
	w.Bytes = w.TailBatches*tailEntry + w.PackedBatches*packEntry
	return w
}

// weigh warns when the log's memory has doubled above warnWeight since it did.
// Owned by the sweeper.
func (b *Broker) weigh() {
	w := b.Weight()
	if w.Bytes < warnWeight {
		b.warned = 0
		return
	}
	if w.Bytes < 2*b.warned {
		return
	}
	b.warned = w.Bytes
	b.log.Warn("the embedded kafka's log needs much memory: give bluetick a real Kafka before it needs more, or send fewer and larger webhooks",
		"bytes", w.Bytes, "tail_batches", w.TailBatches, "packed_batches", w.PackedBatches)
}
