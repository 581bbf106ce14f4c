// Package golden compares what a test got with a file kept beside it. A missing
// file is a failure, so that a deleted one cannot pass unnoticed; running the
// tests with -update writes the files anew.
package golden

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The flag package keeps its flags for the whole process; this is set once when
// the test binary starts and only read afterwards.
var update = flag.Bool("update", false, "rewrite golden files")

// Assert compares got with the file at path, or with -update writes it.
func Assert(t testing.TB, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatalf("write golden file: %v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read golden file: %v (run with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}
