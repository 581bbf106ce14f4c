// Package store keeps the state of one task: a write-back cache over one
// Pebble directory, made durable together with the next offset by Commit.
package store

// Reader reads state as the owner sees it: uncommitted writes included.
type Reader interface {
	// Get returns the value of key. The slice is valid until the next call on
	// the store and must not be changed.
	Get(key []byte) (value []byte, ok bool, err error)
	// Scan calls fn for every key in [lo, hi) in key order until fn returns
	// false. fn must not write to the store; its slices are valid during the call.
	Scan(lo, hi []byte, fn func(key, value []byte) bool) error
}

// Writer changes state; nothing is durable before Commit.
type Writer interface {
	Set(key, value []byte)
	Delete(key []byte)
	// DeleteRange deletes every key in [lo, hi).
	DeleteRange(lo, hi []byte) error
}

// State is what a fold works on. One goroutine owns it.
type State interface {
	Reader
	Writer
}
