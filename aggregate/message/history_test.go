package message

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/schemas"
)

// TestHistories runs testdata/histories/*.txt. A line is
//
//	event <message> <type> <time> [key=value ...]   a fact, received at once
//	advance <time>                                  an event that names no message
//	flush | checkpoint | crash                      what the runtime does
//	panes | rows | stats                            what to print
//
// with times as <day>d<hh:mm:ss> after 1 March 2026. `flush` and `checkpoint`
// print the rows they emit, `panes` all rows of the consumer that count
// something, `rows` the number of rows in the state. Keys of an event: received
// (a time), account, sender, country, campaign, template, variant, segment,
// source (identity, callback, dispatched), revision, failure (code/category),
// cost (category[/amount/currency], billable).
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("histories: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h := history{r: newRig(t)}
			for line := range strings.Lines(string(script)) {
				line = strings.TrimRight(line, "\n")
				fmt.Fprintln(&h.out, line)
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					h.line(t, strings.Fields(line))
				}
			}
			golden.Assert(t, strings.TrimSuffix(file, ".txt")+".golden", h.out.Bytes())
		})
	}
}

type history struct {
	r   *rig
	out bytes.Buffer
}

func (h *history) line(t *testing.T, w []string) {
	t.Helper()
	switch w[0] {
	case "event":
		h.r.feed(parseEvent(t, w[1:]))
	case "advance":
		h.r.feed(clockEvent(parseTime(t, w[1])))
	case "flush":
		h.print(h.r.flush())
	case "checkpoint":
		h.print(h.r.flush())
		h.r.checkpoint()
	case "crash":
		h.r.crash()
	case "panes":
		var rows []schemas.Pane
		for k := range h.r.panes() {
			rows = append(rows, h.r.rows[k])
		}
		h.print(rows)
	case "rows":
		fmt.Fprintf(&h.out, "  messages %d, panes %d, pane days %d, tuples %d\n", h.r.st.count(prefixMessage),
			h.r.st.count(prefixPane), h.r.st.count(prefixPaneDay), h.r.st.count(prefixTuple))
	case "stats":
		fmt.Fprintf(&h.out, "  %+v\n", h.r.fold.Stats())
	default:
		t.Fatalf("unknown line %q", w)
	}
}

// print writes one line per row, in the order of minute and tuple.
func (h *history) print(rows []schemas.Pane) {
	slices.SortFunc(rows, func(a, b schemas.Pane) int {
		return cmp.Or(cmp.Compare(a.Minute, b.Minute), a.Tuple.Compare(b.Tuple))
	})
	for _, p := range rows {
		fmt.Fprintf(&h.out, "  v%d %s %s:%s\n", p.Version, showMinute(p.Minute), showTuple(p.Tuple), showCounts(&p.Counts))
	}
}

func showMinute(minute int64) string {
	m := minute - historyStart
	return fmt.Sprintf("%dd%02d:%02d", m/daySeconds, m%daySeconds/3600, m%3600/60)
}

func showTuple(t schemas.Tuple) string {
	return strings.Join([]string{t.Account, string(t.Channel), t.Sender, t.Country, t.Campaign, t.Template, t.Variant, t.Segment}, "/")
}

func showCounts(c *schemas.Counts) string {
	var b strings.Builder
	add := func(name string, n int64) {
		if n != 0 {
			fmt.Fprintf(&b, " %s=%d", name, n)
		}
	}
	add("sent", c.Sent)
	for i, h := range c.Outcomes {
		name := schemas.Outcome(i).String()
		for j, n := range h {
			if n != 0 {
				fmt.Fprintf(&b, " %s%+d@%s", name, n, [schemas.Buckets]string{"1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "24h", "72h", "7d", "30d"}[j])
			}
		}
	}
	add("recovered", c.Recovered)
	add("late", c.Late)
	for _, m := range []struct {
		name string
		m    map[string]int64
	}{{"failures", c.Failures}, {"cost_micros", c.CostMicros}, {"billable", c.Billable}} {
		for _, k := range slices.Sorted(maps.Keys(m.m)) {
			add(m.name+"["+k+"]", m.m[k])
		}
	}
	if b.Len() == 0 {
		return " zeros"
	}
	return b.String()
}

// historyStart is the first second of 1 March 2026.
const historyStart = 1_772_323_200

func parseTime(t *testing.T, s string) schemas.Instant {
	t.Helper()
	d, clock, ok := strings.Cut(s, "d")
	days, err1 := strconv.Atoi(d)
	at, err2 := time.Parse("15:04:05", clock)
	if !ok || err1 != nil || err2 != nil {
		t.Fatalf("time %q, want <day>d<hh:mm:ss>", s)
	}
	sec := int64(historyStart + days*daySeconds + at.Hour()*3600 + at.Minute()*60 + at.Second())
	return schemas.Instant(sec * 1000)
}

func parseEvent(t *testing.T, w []string) schemas.Event {
	t.Helper()
	if len(w) < 3 {
		t.Fatalf("event %q, want message, type, time", w)
	}
	at := parseTime(t, w[2])
	e := schemas.Event{Channel: schemas.ChannelWhatsApp, Account: "shop", Sender: "line-1", OccurredAt: at, ReceivedAt: at, DimensionSource: schemas.DimensionCallback}
	for e.Type = schemas.TypeOther; e.Type.String() != w[1]; e.Type++ {
		if !e.Type.Valid() {
			t.Fatalf("unknown type %q", w[1])
		}
	}
	for _, pair := range w[3:] {
		if pair == "billable" {
			e.Cost.Billable = true
			continue
		}
		k, v, ok := strings.Cut(pair, "=")
		if !ok {
			t.Fatalf("%q, want key=value", pair)
		}
		setField(t, &e, k, v)
	}
	e.MessageKey = schemas.MessageKey(e.Channel, e.Account, w[0])
	return withID(e)
}

func setField(t *testing.T, e *schemas.Event, k, v string) {
	t.Helper()
	texts := map[string]*string{
		"account": &e.Account, "sender": &e.Sender, "country": &e.Country, "campaign": &e.Dimensions.Campaign,
		"template": &e.Dimensions.Template, "variant": &e.Dimensions.Variant, "segment": &e.Dimensions.Segment,
	}
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("%s=%s: %v", k, v, err)
		}
		return n
	}
	switch k {
	case "received":
		e.ReceivedAt = parseTime(t, v)
	case "revision":
		e.SourceRevision = uint8(number(v))
	case "source":
		s, ok := map[string]schemas.DimensionSource{
			"identity": schemas.DimensionIdentity, "callback": schemas.DimensionCallback, "dispatched": schemas.DimensionDispatched,
		}[v]
		if !ok {
			t.Fatalf("unknown source %q", v)
		}
		e.DimensionSource = s
	case "failure":
		code, category, _ := strings.Cut(v, "/")
		e.Failure = &schemas.Failure{Code: int32(number(code)), Category: category}
	case "cost":
		p := strings.Split(v, "/")
		e.Cost = &schemas.Cost{Category: p[0]}
		if len(p) == 3 {
			e.Cost.HasAmount, e.Cost.Micros, e.Cost.Currency = true, number(p[1]), p[2]
		}
	default:
		if texts[k] == nil {
			t.Fatalf("unknown key %q", k)
		}
		*texts[k] = v
	}
}
