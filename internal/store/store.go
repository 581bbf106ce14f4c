package store

import (
	"fmt"

	"github.com/RaduBerinde/btreemap"
	"github.com/cockroachdb/pebble/v2"

	"github.com/bluetick/bluetick/internal/invariant"
)

// Reader reads state as the owner sees it: uncommitted writes included.
type Reader interface {
	// Get returns the value of key. The slice is valid until the next call on
	// the store and must not be changed.
	Get(key []byte) (value []byte, ok bool, err error)
	// Scan calls fn for every key in [lo, hi) in key order until fn returns
	// false. fn must not call the store; its slices are valid during the call.
	// An empty lo is the first key, an empty hi the end.
	Scan(lo, hi []byte, fn func(key, value []byte) bool) error
}

// Writer changes state; nothing is durable before Commit.
type Writer interface {
	// Set and Delete copy what they are given.
	Set(key, value []byte)
	Delete(key []byte)
	// DeleteRange deletes every key in [lo, hi). It empties the read cache, so
	// it is for forgetting, not for single rows.
	DeleteRange(lo, hi []byte) error
}

// State is what a fold works on. One goroutine owns it.
type State interface {
	Reader
	Writer
}

// row is the newest value of one key. It is shared by the overlay and the cache.
type row struct {
	value   []byte
	deleted bool
	dirty   bool // it differs from Pebble and is in Store.dirty
}

// Store is the state of one task. Open makes one.
type Store struct {
	db   *pebble.DB
	opts *pebble.Options
	lock *pebble.Lock
	dir  string

	damage damage

	meta    Meta
	hasMeta bool

	dirty btree  // rows that differ from Pebble, in key order
	gone  spans  // deleted ranges; rows of dirty were set after them
	cache cache  // any row, found in one step
	lent  []byte // what the last Get returned, spoilt at the next call (invariants only)
	key   []byte // scratch of Scan

	scanning bool
}

type btree = *btreemap.BTreeMap[string, *row]

var _ State = (*Store)(nil)

// checkKey panics on a key that is the store's own: a fold that writes one is
// wrong in every run.
func checkKey(key []byte) {
	if len(key) == 0 || key[0] == 0 {
		panic(fmt.Sprintf("BUG: state key %x is empty or starts with byte 0", key))
	}
}

// enter spoils what the last Get lent, so that a test with invariants finds a
// fold that keeps it.
func (s *Store) enter() {
	if !invariant.Enabled {
		return
	}
	invariant.Check(!s.scanning, "the store is called from inside Scan")
	for i := range s.lent {
		s.lent[i] = 0xee
	}
	s.lent = nil
}

// find returns the row of key if it is in memory.
func (s *Store) find(key []byte) *row {
	if r := s.cache.get(key); r != nil {
		return r
	}
	if s.dirty.Len() == 0 {
		return nil
	}
	k, r, ok := s.dirty.Get(borrow(key))
	if !ok {
		return nil
	}
	s.cache.put(k, r)
	return r
}

// Get implements Reader.
func (s *Store) Get(key []byte) ([]byte, bool, error) {
	checkKey(key)
	s.enter()
	r := s.find(key)
	if r == nil {
		if s.gone.covers(key) {
			return nil, false, nil
		}
		v, closer, err := s.db.Get(key)
		if err == pebble.ErrNotFound {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, s.failed("read", err)
		}
		r = &row{value: append(make([]byte, 0, len(v)), v...)}
		if err := closer.Close(); err != nil {
			return nil, false, s.failed("read", err)
		}
		s.cache.put(string(key), r)
	}
	if r.deleted {
		return nil, false, nil
	}
	if invariant.Enabled {
		s.lent = append(make([]byte, 0, len(r.value)), r.value...)
		return s.lent, true, nil
	}
	return r.value, true, nil
}

// Set implements Writer.
func (s *Store) Set(key, value []byte) {
	r := s.write(key)
	if grown := len(value) - cap(r.value); grown > 0 {
		s.cache.grow(grown)
	}
	r.value, r.deleted = append(r.value[:0], value...), false
	s.enter() // at the end: value may be what Get lent
}

// Delete implements Writer.
func (s *Store) Delete(key []byte) {
	r := s.write(key)
	r.value, r.deleted = r.value[:0], true
	s.enter()
}

// write returns the row of key, made dirty.
func (s *Store) write(key []byte) *row {
	checkKey(key)
	r := s.find(key)
	if r != nil && r.dirty {
		return r
	}
	k := string(key)
	if r == nil {
		r = new(row)
		s.cache.put(k, r)
	}
	r.dirty = true
	s.dirty.ReplaceOrInsert(k, r)
	return r
}

// DeleteRange implements Writer.
func (s *Store) DeleteRange(lo, hi []byte) error {
	checkKey(lo)
	s.enter()
	if string(lo) >= string(hi) {
		return fmt.Errorf("delete range [%x, %x): it is empty", lo, hi)
	}
	var keys []string
	for k := range s.dirty.Ascend(btreemap.GE(string(lo)), btreemap.LT(string(hi))) {
		keys = append(keys, k)
	}
	for _, k := range keys {
		s.dirty.Delete(k)
	}
	s.gone.add(string(lo), string(hi))
	s.cache.clear()
	return nil
}

// Scan implements Reader.
func (s *Store) Scan(lo, hi []byte, fn func(key, value []byte) bool) (err error) {
	s.enter()
	if len(lo) == 0 || lo[0] == 0 {
		lo = []byte{1}
	}
	upper := btreemap.Max[string]()
	if len(hi) > 0 {
		if string(lo) >= string(hi) {
			return nil
		}
		upper = btreemap.LT(string(hi))
	} else {
		hi = nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return s.failed("scan", err)
	}
	defer func() {
		s.scanning = false
		if cerr := it.Close(); err == nil && cerr != nil {
			err = s.failed("scan", cerr)
		}
	}()
	s.scanning = true
	m := merge{it: it, gone: s.gone, fn: fn}
	m.ok = it.First()
	for k, r := range s.dirty.Ascend(btreemap.GE(string(lo)), upper) {
		if !m.below(k) {
			return s.failed("scan", m.err)
		}
		if m.ok && string(it.Key()) == k {
			m.ok = it.Next()
		}
		if r.deleted {
			continue
		}
		s.key = append(s.key[:0], k...)
		if !fn(s.key, r.value) {
			return nil
		}
	}
	m.below("")
	return s.failed("scan", m.err)
}

// merge is the Pebble side of a Scan.
type merge struct {
	it   *pebble.Iterator
	ok   bool
	gone spans
	fn   func(key, value []byte) bool
	err  error
}

// below hands Pebble's rows before limit (all if empty) to fn; false means stop.
func (m *merge) below(limit string) bool {
	for m.ok && (limit == "" || string(m.it.Key()) < limit) {
		if end, in := m.gone.covering(m.it.Key()); in {
			m.ok = m.it.SeekGE([]byte(end))
			continue
		}
		v, err := m.it.ValueAndErr()
		if err != nil {
			m.err = err
			return false
		}
		if !m.fn(m.it.Key(), v) {
			return false
		}
		m.ok = m.it.Next()
	}
	return true
}

// Dirty is the number of rows and ranges the next Commit will write.
func (s *Store) Dirty() int { return s.dirty.Len() + len(s.gone) }

// Meta is what the last Commit wrote; false if there was none.
func (s *Store) Meta() (Meta, bool) { return s.meta, s.hasMeta }
