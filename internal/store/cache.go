package store

import "unsafe"

// rowOverhead is what a cached row costs beyond its key and value: two map
// slots (half-full on average), the row and two allocation headers.
const rowOverhead = 128

// cache holds rows in two generations. It may forget any row: dirty ones are in
// Store.dirty as well.
type cache struct {
	young, old map[string]*row
	bytes      int64 // estimate for young
	limit      int64 // bytes at which young becomes old: half of the whole
}

func newCache(bytes int64) cache {
	return cache{young: map[string]*row{}, limit: bytes / 2}
}

func (c *cache) get(key []byte) *row {
	if r := c.young[string(key)]; r != nil {
		return r
	}
	r := c.old[string(key)]
	if r != nil {
		c.put(string(key), r)
	}
	return r
}

func (c *cache) put(key string, r *row) {
	c.young[key] = r
	c.grow(len(key) + cap(r.value) + rowOverhead)
}

// grow notes that a row of young is n bytes larger.
func (c *cache) grow(n int) {
	c.bytes += int64(n)
	if c.bytes > c.limit {
		c.old, c.young, c.bytes = c.young, make(map[string]*row, len(c.young)), 0
	}
}

func (c *cache) clear() {
	c.young, c.old, c.bytes = map[string]*row{}, nil, 0
}

// borrow views b as a string for one look-up, which keeps neither.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
