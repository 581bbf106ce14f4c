package audit

import (
	"fmt"
	"testing"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

// TestEarlierEpoch: an epoch is audited from its first minute on. What an earlier
// one counts is frozen, so it is no difference, and it hides none.
func TestEarlierEpoch(t *testing.T) {
	conn := database(t)
	h := &history{}
	for n, day := range []int{0, 40} {
		h.add(0, schemas.Event{
			Type: schemas.TypeSent, Channel: schemas.ChannelWhatsApp, Account: "acme",
			MessageKey: schemas.MessageKey(schemas.ChannelWhatsApp, "acme", fmt.Sprint(n)),
			OccurredAt: schemas.InstantOf(start().AddDate(0, 0, day)),
		})
	}
	h.insertEvents(t, conn)
	first := start().AddDate(0, 0, 31)
	var panes clickhouse.Panes
	for _, p := range h.panes(h.end()) {
		if p.Minute < first.Unix() {
			p.Epoch, p.Counts.Sent = epoch-1, 5 // counted otherwise
		}
		panes = append(panes, p)
	}
	insert(t, conn, panes, progress(h.end(), h.end()))
	if r := run(t, conn); r.Differences == 0 || r.Since.Unix() != 0 {
		t.Errorf("the epoch counts all minutes and lacks one: %+v", r)
	}
	if err := conn.Exec(t.Context(), "INSERT INTO epochs (sequence, epoch, first_minute) VALUES (2, ?, ?)", uint32(epoch), first); err != nil {
		t.Fatal(err)
	}
	if r := run(t, conn); r.Differences != 0 || r.Compared != 1 || !r.Since.Equal(first) {
		t.Errorf("from its first minute on: %+v", r)
	}
	chtest.Truncate(t, conn, "panes")
	for i := range panes {
		panes[i].Counts.Sent = 3
	}
	insert(t, conn, panes)
	if r := run(t, conn); r.Differences != 1 {
		t.Errorf("a wrong number of its own: %+v", r)
	}
}
