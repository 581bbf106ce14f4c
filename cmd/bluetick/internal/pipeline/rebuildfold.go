package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// fold waits until everything that the events say has come through: folded, rolled
// up, judged, and in ClickHouse. No door is open, so the events end.
func (r Rebuild) fold(ctx context.Context, p *Process, conn driver.Conn) error {
	ends, err := p.Ends(ctx, schemas.TopicEvents)
	if err != nil {
		return err
	}
	bar := newBar(r, total(ends))
	tick := time.NewTicker(barEvery)
	defer tick.Stop()
	f := following{p: p, conn: conn, ends: ends}
	for {
		done, err := f.through(ctx)
		if err != nil {
			return err
		}
		bar.show(folded(p.Status(schemas.StageMessage)), f.waits, done)
		if done {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-p.Failed():
			return err
		case <-ctx.Done():
			bar.end()
			return errors.New("stopped; `bluetick rebuild` goes on from here, and the build before goes on as if nothing had been")
		}
	}
}

func total(ends map[int32]int64) (n int64) {
	for _, end := range ends {
		n += end
	}
	return n
}

func folded(all []task.Status) (n int64) {
	for _, s := range all {
		n += s.NextOffset
	}
	return n
}

// following is how far the line has followed the events. Each stage is asked once
// the one before it has nothing more to say: its Progress comes after its rows.
type following struct {
	p    *Process
	conn driver.Conn
	ends map[int32]int64 // of events
	// waits is what is waited for now.
	waits string
}

func (f *following) through(ctx context.Context) (bool, error) {
	panes, rates := f.in(schemas.TopicPanes), f.in(schemas.TopicRates)
	if f.waits = "events are folded"; !caughtUp(f.p.Status(schemas.StageMessage), f.ends, 0) {
		return false, nil
	}
	paneEnds, err := f.p.Ends(ctx, panes)
	if err != nil {
		return false, err
	}
	if f.waits = "minutes are rolled up"; !f.rolledUp() || !caughtUp(f.p.Status(schemas.StageRollup), paneEnds, restless) {
		return false, nil
	}
	rateEnds, err := f.p.Ends(ctx, rates)
	if err != nil {
		return false, err
	}
	if f.waits = "rates are judged"; !caughtUp(f.p.Status(schemas.StageAlert), rateEnds, restless) {
		return false, nil
	}
	f.waits = "ClickHouse has it all"
	for _, topic := range []string{schemas.TopicEvents, panes, rates, f.in(schemas.TopicAlerts)} {
		ends, err := f.p.Ends(ctx, topic)
		if err != nil {
			return false, err
		}
		if ok, err := f.sunk(ctx, topic, ends); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (f *following) in(topic string) string { return schemas.TopicIn(topic, f.p.Epoch()) }

// restless is how many records a stage may be behind and count as at the end: each
// goes on reporting its progress every few seconds.
const restless = 64

// caughtUp reports whether every partition has folded what was there, but for slack
// records, and its rows are acknowledged.
func caughtUp(all []task.Status, ends map[int32]int64, slack int64) bool {
	for _, s := range all {
		if s.Dirty > 0 || s.NextOffset < max(s.EndOffset, ends[s.Partition])-slack {
			return false
		}
	}
	return len(all) > 0
}

// rolledUp reports whether every minute that the message fold says is complete has
// closed.
func (f *following) rolledUp() bool {
	var complete schemas.Instant
	for i, s := range f.p.Status(schemas.StageMessage) {
		if i == 0 || s.CompleteTo < complete {
			complete = s.CompleteTo
		}
	}
	all := f.p.Status(schemas.StageRollup)
	for _, s := range all {
		if s.Dirty > 0 || s.CompleteTo/60_000 < complete/60_000 {
			return false
		}
	}
	return len(all) > 0
}

// sunk reports whether the sink has inserted what is in the topic.
func (f *following) sunk(ctx context.Context, topic string, ends map[int32]int64) (bool, error) {
	rows, err := f.conn.Query(ctx, "SELECT source, max(version) FROM progress WHERE stage = ? GROUP BY source", schemas.StageSink+"/"+topic)
	if err != nil {
		return false, fmt.Errorf("read the positions of the sink: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	reached := map[int32]int64{}
	for rows.Next() {
		var source int32
		var next uint64
		if err := rows.Scan(&source, &next); err != nil {
			return false, fmt.Errorf("read the positions of the sink: %w", err)
		}
		reached[source] = int64(next)
	}
	for partition, end := range ends {
		if reached[partition] < end-restless || topic == schemas.TopicEvents && reached[partition] < end {
			return false, rows.Err()
		}
	}
	return true, rows.Err()
}

const (
	barEvery  = 500 * time.Millisecond
	lineEvery = 10 * time.Second // where there is no terminal
	barWidth  = 30
)

// bar shows how far it is, over itself on a terminal.
type bar struct {
	r     Rebuild
	total int64
	began time.Time
	last  time.Time
}

func newBar(r Rebuild, total int64) *bar { return &bar{r: r, total: total, began: Wall()} }

func (b *bar) show(done int64, waits string, end bool) {
	now := Wall()
	if !b.r.Terminal {
		if now.Sub(b.last) >= lineEvery || end {
			b.last = now
			b.r.say("%s", b.text(done, waits, now))
		}
		return
	}
	full := barWidth
	if b.total > 0 {
		full = min(barWidth, int(int64(barWidth)*done/b.total))
	}
	fmt.Fprintf(b.r.Out, "\r\x1b[K[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), b.text(done, waits, now))
	if end {
		b.end()
	}
}

func (b *bar) text(done int64, waits string, now time.Time) string {
	percent := 100.0
	if b.total > 0 {
		percent = 100 * float64(min(done, b.total)) / float64(b.total)
	}
	text := fmt.Sprintf("%d of %d records, %.1f %%, waiting until %s", min(done, b.total), b.total, percent, waits)
	if took := now.Sub(b.began); done > 0 && done < b.total && took > 2*time.Second {
		text += fmt.Sprintf(", %s left", time.Duration(float64(took)*float64(b.total-done)/float64(done)).Round(time.Second))
	}
	return text
}

// end leaves the line of the bar.
func (b *bar) end() {
	if b.r.Terminal {
		fmt.Fprintln(b.r.Out)
	}
}
