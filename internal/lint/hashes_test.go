package lint

import (
	"slices"
	"testing"
)

// TestHashes: an unkeyed hash of a phone number, or of anything else that can be
// guessed, is that number. Every package of production code that can make one is
// here with what it hashes and why that needs no key; another one has to be
// thought about first (docs/decisions/0047-digests-under-the-pepper.md).
func TestHashes(t *testing.T) {
	known := map[string]string{
		"schemas":                 "ids of messages, which have 64 unpredictable bits, of events, which hold only keyed contacts, and of series, whose names stand beside them",
		"ingest":                  "values of an account under a seed of the process; they stay in memory",
		"ingest/provider":         "only under the pepper, and two tokens that are compared and forgotten",
		"ingest/provider/meta":    "only under the app secret",
		"sink/clickhouse":         "the text of a migration",
		"internal/simulate":       "invented people, and signatures under the app secret",
		"internal/embedded/kafka": "the checksum of a batch of the log, beside the batch",
	}
	hashes := []string{"crypto/sha256", "crypto/sha1", "crypto/md5", "crypto/sha512", "crypto/sha3", "hash/maphash", "hash/fnv", "hash/crc32", "hash/crc64", "github.com/cespare/xxhash/v2"}
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if slices.Contains(hashes, imported) && known[p.ImportPath] == "" {
				t.Errorf("%s imports %s: can what it hashes be guessed? then under the pepper; if not, say here why", p.ImportPath, imported)
			}
		}
	}
}
