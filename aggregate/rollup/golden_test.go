package rollup

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/schemas"
)

// dump is every row of the state as `key value` in hex.
func (m *memory) dump() []byte {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m.rows)) {
		fmt.Fprintf(&b, "%x %x\n", k, m.rows[k])
	}
	return []byte(b.String())
}

// The bytes of the state are a promise to the build that comes after: it opens
// what this one has written. Where this file must change, Logic changes with it,
// and docs/runbook.md explains what becomes of the old states.
func TestStateBytesGolden(t *testing.T) {
	t.Parallel()
	const path = "testdata/state.golden"
	s := newScript(t, lastMinutes())
	full := fullPane()
	full.Epoch, full.Minute, full.DClock = 1, noon, schemas.Instant(noon*1000+777)
	s.apply(paneRecord(s.offset, full.DClock+1, &full))
	s.pane(0, 0, 5, 10, 7)
	s.pane(1, 1, 300, 1_000_000, 2)
	s.pane(1, 1, 301, 999_999, 3)
	s.complete(1, 4000, 190)
	s.complete(0, 0, 130)
	if len(s.accounts()) == 0 {
		t.Fatal("no rate was closed: the state says too little")
	}
	s.restart()
	three := schemas.Progress{Epoch: 1, Stage: schemas.StageMessage, Source: 2, Sources: 3, CompleteTo: -1}
	other := newScript(t, lastMinutes()) // one source of three, before 1970; nothing closed
	other.apply(progressRecord(0, 0, &three))
	other.restart()
	golden.Assert(t, path, append(append(s.st.dump(), '\n'), other.st.dump()...))

	// The stored state opens, and nothing is written anew.
	was := s.st.dump()
	s.restart()
	if now := s.st.dump(); string(now) != string(was) {
		t.Errorf("opened and saved again:\n%s\nwas:\n%s", now, was)
	}
	s.f.saved = nil
	s.restart()
	if now := s.st.dump(); string(now) != string(was) {
		t.Errorf("read and written again:\n%s\nwas:\n%s", now, was)
	}
}
