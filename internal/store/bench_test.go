package store_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bluetick/bluetick/internal/store"
)

const benchKeys = 1_000_000

// benchKey is a message key in one of eight days, 19 bytes.
func benchKey(b []byte, i uint64) []byte {
	b = append(b[:0], 'm', 0, byte(i%8))
	b = binary.BigEndian.AppendUint64(b, i*0x9e3779b97f4a7c15)
	return binary.BigEndian.AppendUint64(b, i)
}

func benchStore(b *testing.B, cacheBytes int64) *store.Store {
	b.Helper()
	s, err := store.Open(store.Options{Dir: b.TempDir(), CacheBytes: cacheBytes})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { shut(b, s) })
	var key, value [32]byte
	for i := range uint64(benchKeys) {
		s.Set(benchKey(key[:0], i), value[:24])
	}
	if err := s.Commit(store.Meta{}); err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	for _, c := range []struct {
		name       string
		cacheBytes int64
		absent     uint64
	}{
		{"cached", 1 << 30, 0},
		{"pebble", 1, 0},
		{"absent", 1, 1 << 32},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := benchStore(b, c.cacheBytes)
			r := rand.New(rand.NewPCG(1, 2))
			var key [32]byte
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.Get(benchKey(key[:0], c.absent+r.Uint64N(benchKeys))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSet writes random keys of 1 M; every millionth write commits outside
// the clock, so the overlay is half full on average.
func BenchmarkSet(b *testing.B) {
	s := benchStore(b, 64<<20)
	r := rand.New(rand.NewPCG(1, 2))
	var key, value [32]byte
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		s.Set(benchKey(key[:0], r.Uint64N(benchKeys)), value[:24])
		if n++; n%benchKeys == 0 {
			b.StopTimer()
			if err := s.Commit(store.Meta{}); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
}

// BenchmarkCommit makes 100,000 rows of 1 M durable.
func BenchmarkCommit(b *testing.B) {
	s := benchStore(b, 64<<20)
	r := rand.New(rand.NewPCG(1, 2))
	var key, value [32]byte
	const rows = 100_000
	for b.Loop() {
		b.StopTimer()
		for range rows {
			s.Set(benchKey(key[:0], r.Uint64N(benchKeys)), value[:24])
		}
		b.StartTimer()
		if err := s.Commit(store.Meta{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
