package recorded

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bluetick/bluetick/aggregate/message"
	"github.com/bluetick/bluetick/aggregate/rollup"
	"github.com/bluetick/bluetick/alert"
	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// span is a time in minutes from the first midnight.
type span struct{ from, to int }

// gap is a story of one account: a steady campaign of two messages a minute, and
// each day at ten a launch of 3,000 within five minutes, whose reports meet a
// closed door, a broken proxy or a late provider.
type gap struct {
	days int // 0 is 1
	// shut are when no door is open; refused, when webhooks reach none although
	// the door is open. The provider then tries again every `again` minutes.
	shut, refused []span
	again         int
	// lateBy is by how many minutes what occurs meanwhile is reported late.
	late   span
	lateBy int
	// collapses: of the launches a quarter is delivered instead of all but a few.
	collapses bool
	// alone: there is no steady campaign; silent: nothing is sent at all.
	alone, silent bool
}

const (
	launchAt = 10 * 60 // minutes after midnight
	launched = 3000
)

func (g *gap) length() int { return max(g.days, 1)*1440 + 720 }

func in(spans []span, at schemas.Instant) bool {
	return slices.ContainsFunc(spans, func(s span) bool {
		return start()+schemas.Instant(s.from)*minute <= at && at < start()+schemas.Instant(s.to)*minute
	})
}

// arrives is when a report that occurred at `at` is taken.
func (g *gap) arrives(at schemas.Instant) schemas.Instant {
	to := at + second
	if in([]span{g.late}, at) {
		to += schemas.Instant(g.lateBy) * minute
	}
	for in(g.shut, to) || in(g.refused, to) {
		to += schemas.Instant(g.again) * minute
	}
	return to
}

// events are all reports, in the order in which they are taken.
func (g *gap) events() []schemas.Event {
	rng := rand.New(rand.NewPCG(seed, 0x676170))
	var out []schemas.Event
	send := func(name string, at schemas.Instant, delivered float64) {
		e := schemas.Event{
			Type: schemas.TypeSent, Channel: schemas.ChannelWhatsApp, Account: "shop", Sender: "line",
			MessageKey: schemas.MessageKey(schemas.ChannelWhatsApp, "shop", fmt.Sprint(name, len(out))),
			Dimensions: schemas.Dimensions{Campaign: name}, DimensionSource: schemas.DimensionCallback,
		}
		report := func(t schemas.EventType, at schemas.Instant) {
			e.Type, e.OccurredAt, e.ReceivedAt = t, at, g.arrives(at)
			e.ID = schemas.EventID(&e)
			out = append(out, e)
		}
		report(schemas.TypeSent, at)
		if rng.Float64() < delivered {
			at += second + schemas.Instant(rng.ExpFloat64()*float64(40*second))
			report(schemas.TypeDelivered, at)
			if rng.Float64() < 0.6 {
				report(schemas.TypeRead, at+schemas.Instant(rng.ExpFloat64()*float64(20*minute)))
			}
		}
	}
	for m := 0; m < g.length() && !g.silent; m++ {
		at := start() + schemas.Instant(m)*minute
		if !g.alone {
			for range 2 {
				send("steady", at+schemas.Instant(rng.Int64N(int64(minute))), 0.985)
			}
		}
		if m%1440 >= launchAt && m%1440 < launchAt+5 && m < max(g.days, 1)*1440 {
			delivered := 0.985
			if g.collapses {
				delivered = 0.25
			}
			for range launched / 5 {
				send("launch", at+schemas.Instant(rng.Int64N(int64(minute))), delivered)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b schemas.Event) int { return cmp.Compare(a.ReceivedAt, b.ReceivedAt) })
	return out
}

// gapLine is the three folds one after the other, as the pipeline runs them.
type gapLine struct {
	t        *testing.T
	now      schemas.Instant
	next     int64
	message  *task.Machine
	rollup   *task.Machine
	alert    *task.Machine
	panes    *tape
	rates    *tape
	told     *told
	from     [2]int // what the roll-up and the alerts have read of their tapes
	doors    int
	opened   schemas.Instant
	unheard  int
	gullible bool                      // the alerts take every row for heard
	judgedAt map[int64]schemas.Instant // of the launch at 30 minutes, by `at`
}

// told is a receiver that remembers.
type told struct {
	line *gapLine
	all  []string // minutes since midnight, rule, series, reason
}

func (r *told) Name() string { return "told" }

func (r *told) Send(_ context.Context, n receiver.Notification) error {
	if n.State == schemas.StateFiring && n.Reason == "opened" {
		r.all = append(r.all, fmt.Sprintf("%d %s %s %s", (r.line.now-start())/minute, n.Rule, n.Grouping, n.Campaign))
	}
	return nil
}

func newGapLine(t *testing.T) *gapLine {
	l := &gapLine{t: t, panes: &tape{}, rates: &tape{}, judgedAt: map[int64]schemas.Instant{}}
	l.told = &told{line: l}
	l.message = machine(t, input{schemas.StageMessage, schemas.TopicEvents, 0, 1}, message.NewFold(), l.panes)
	l.rollup = machine(t, input{schemas.StageRollup, schemas.TopicPanes, 0, 1}, rollup.NewFold(rollup.Default()), l.rates)
	l.alert = machine(t, input{schemas.StageAlert, schemas.TopicRates, 0, 1}, alert.NewFold(alertConfig(t), alert.Deps{
		Now: func() time.Time { return l.now.Time() }, Log: slog.New(slog.DiscardHandler), Receivers: []receiver.Receiver{l.told},
	}), &tape{})
	return l
}

// play lets the clock run from the first event, with a heartbeat every five seconds
// while a door is open, and everything passed on twice a minute.
func (l *gapLine) play(g *gap) {
	events := g.events()
	end := start() + schemas.Instant(g.length())*minute
	for l.now = start(); l.now < end; l.now += 5 * second {
		for len(events) > 0 && events[0].ReceivedAt <= l.now {
			e := &events[0]
			l.apply(schemas.SchemaEvent, schemas.EventKey(e), schemas.EncodeEvent(e), e.ReceivedAt)
			events = events[1:]
		}
		l.beat(!in(g.shut, l.now))
		if (l.now-start())%(30*second) == 0 {
			l.pass()
		}
	}
}

func (l *gapLine) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *gapLine) apply(schema string, key, value []byte, at schemas.Instant) {
	l.check(l.message.Apply(task.Record{Offset: l.next, Timestamp: at, Schema: schema, Key: key, Value: value}))
	l.next++
}

// beat writes a heartbeat. A door that opens again is another run of it.
func (l *gapLine) beat(open bool) {
	if !open {
		l.opened = 0
		return
	}
	if l.opened == 0 {
		l.doors++
		l.opened = l.now
	}
	l.apply(schemas.SchemaHeartbeat, nil, schemas.EncodeHeartbeat(&schemas.Heartbeat{
		Door: schemas.Key{1, byte(l.doors)}, Opened: l.opened, At: l.now, Settling: int64(10 * second), Patience: int64(15 * second),
	}), l.now)
}

// pass flushes the folds, one after the other.
func (l *gapLine) pass() {
	ctx := context.Background()
	flush := func(m *task.Machine, progress bool) {
		_, err := m.Flush(ctx)
		l.check(err)
		if progress {
			_, err = m.Progress(ctx)
			l.check(err)
		}
	}
	flush(l.message, true)
	for i, m := range []*task.Machine{l.rollup, l.alert} {
		tape := []*tape{l.panes, l.rates}[i]
		for _, r := range tape.records[l.from[i]:] {
			r.Timestamp = l.now
			if i == 1 && r.Schema == schemas.SchemaRate {
				r.Value = l.look(r.Value)
			}
			l.check(m.Apply(r))
		}
		l.from[i] = len(tape.records)
		flush(m, i == 0)
	}
}

// look notes when each minute of a launch was judged at 30 minutes, and returns
// what the alerts are to see of it.
func (l *gapLine) look(value []byte) []byte {
	r, err := schemas.DecodeRate(value)
	l.check(err)
	if l.gullible {
		r.Unheard = false
		return schemas.EncodeRate(&r)
	}
	switch {
	case r.Window != 60 || r.Age != 1800 || r.Series.Grouping != schemas.GroupCampaign || r.Series.Campaign != "launch":
	case r.Unheard:
		l.unheard++
	default:
		if _, ok := l.judgedAt[r.At]; ok {
			l.t.Errorf("the minute of %d is heard twice", r.At)
		}
		l.judgedAt[r.At] = l.now
	}
	return value
}
