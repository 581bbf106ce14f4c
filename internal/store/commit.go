package store

import (
	"context"
	"errors"

	"github.com/RaduBerinde/btreemap"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bluetick/bluetick/internal/invariant"
)

// syncBytes spreads the write-back of a large commit, so that its last sync
// does not wait for all of it.
const syncBytes = 512 << 10

func (s *Store) commitPath(fs vfs.FS) string { return fs.PathJoin(s.dir, "commit.sst") }

// Commit makes every dirty row and m durable as one atomic unit. When it
// returns nil they survive a power cut; when it returns an error the state on
// disk is the one before, and the Store must not be written any more.
func (s *Store) Commit(m Meta) error {
	s.enter()
	if err := s.damage.err(); err != nil {
		return s.failed("checkpoint", err) // found while merging, in the background
	}
	invariant.Check(!s.hasMeta || m.NextOffset >= s.meta.NextOffset,
		"I1: commit at %d after one at %d", m.NextOffset, s.meta.NextOffset)
	path := s.commitPath(s.opts.FS)
	if err := s.writeTable(path, m); err != nil {
		return s.failed("write checkpoint", err)
	}
	// Not the caller's context: an ingest must not be left half done.
	if err := s.db.Ingest(context.Background(), []string{path}); err != nil {
		return s.failed("ingest checkpoint", err)
	}
	s.meta, s.hasMeta = m, true
	for _, r := range s.dirty.Ascend(all()) {
		r.dirty = false
	}
	s.dirty.Clear(false)
	s.gone = nil
	return nil
}

// writeTable writes the overlay and m as one sorted, synced table. All its
// entries get one sequence number when it is ingested, and a range does not
// delete rows of its own number: the rows were set after it.
func (s *Store) writeTable(path string, m Meta) error {
	meta, err := encodeMeta(m)
	if err != nil {
		return err
	}
	f, err := s.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: syncBytes})
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f),
		s.opts.MakeWriterOptions(0, s.db.TableFormat()))
	// Close syncs the file; it must be called on every way out.
	return errors.Join(s.writeRows(w, meta), w.Close())
}

func all() (btreemap.LowerBound[string], btreemap.UpperBound[string]) {
	return btreemap.Min[string](), btreemap.Max[string]()
}

func (s *Store) writeRows(w *sstable.Writer, meta []byte) error {
	if err := w.Set([]byte(metaKey), meta); err != nil {
		return err
	}
	for _, g := range s.gone {
		if err := w.DeleteRange([]byte(g.lo), []byte(g.hi)); err != nil {
			return err
		}
	}
	for k, r := range s.dirty.Ascend(all()) {
		s.key = append(s.key[:0], k...)
		var err error
		if r.deleted {
			err = w.Delete(s.key)
		} else {
			err = w.Set(s.key, r.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
