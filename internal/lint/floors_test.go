package lint

import (
	"strings"
	"testing"
)

// floors are the levels of docs/architecture.md, from the ground up: a package
// imports its own floor and those below. The first name that fits counts.
func floors() []struct {
	floor int
	names []string
} {
	return []struct {
		floor int
		names []string
	}{
		{0, []string{"schemas"}},
		{2, []string{"internal/task"}},
		{1, []string{"internal"}},
		{3, []string{"ingest/provider/meta", "ingest/provider/providertest", "alert/receiver", "sink/clickhouse"}},
		{2, []string{"ingest/provider"}},
		{4, []string{"ingest", "aggregate", "alert", "sink"}},
		{5, []string{"cmd"}},
	}
}

func floorOf(path string) (int, bool) {
	for _, f := range floors() {
		if under(path, f.names...) {
			return f.floor, true
		}
	}
	return 0, false
}

// TestNothingClimbs checks that no package imports one of a higher floor, and
// that every package has a floor.
func TestNothingClimbs(t *testing.T) {
	for _, p := range packages(t) {
		from, ok := floorOf(p.ImportPath)
		if !ok {
			t.Errorf("%s is on no floor: where does it belong?", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			own, ok := strings.CutPrefix(imported, module)
			if !ok {
				continue
			}
			if to, ok := floorOf(own); ok && to > from {
				t.Errorf("%s (floor %d) imports %s (floor %d): arrows go down", p.ImportPath, from, own, to)
			}
		}
	}
}
