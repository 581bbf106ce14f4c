package message

import (
	"encoding/binary"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

func numbered(i int) schemas.Key {
	var k schemas.Key
	binary.LittleEndian.PutUint64(k[:], uint64(i)) // not uniform: the filter must mix
	return k
}

func TestFilter(t *testing.T) {
	const keys, strangers = 100_000, 200_000
	digests := make([]uint64, keys)
	grown := newFilter(0)
	for i := range digests {
		k := numbered(i)
		digests[i] = digest(&k)
		grown.add(digests[i])
	}
	built := filterOf(digests)
	for name, f := range map[string]*filter{"grown key by key": &grown, "built at once": &built} {
		t.Run(name, func(t *testing.T) {
			for i, h := range digests {
				if !f.has(h) {
					t.Fatalf("key %d was added and is denied", i)
				}
			}
			wrong := 0
			for i := range strangers {
				k := numbered(keys + i)
				if f.has(digest(&k)) {
					wrong++
				}
			}
			// Three segments of 0.06 to 0.1 % each when grown.
			if rate := float64(wrong) / strangers; rate > 0.005 {
				t.Errorf("%.2f %% false yes, want at most 0.5 %%", 100*rate)
			}
		})
	}
	if n := len(built.segments); n != 1 {
		t.Errorf("a filter built at once has %d segments", n)
	}
	empty := newFilter(0)
	if k := numbered(1); empty.has(digest(&k)) {
		t.Error("an empty filter says yes")
	}
}
