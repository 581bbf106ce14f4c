package message

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bluetick/bluetick/schemas"
)

// This file counts a set of events straight from the definitions, with none of
// the production code's join, derivation or counting: lists are sorted, times
// are looked up in lists, every delay is compared with the edges.

// cohortKey is a pane.
type cohortKey struct {
	minute int64
	tuple  schemas.Tuple
}

var bruteEdges = []int64{
	60, 5 * 60, 15 * 60, 30 * 60, 3600, 2 * 3600, 4 * 3600, 8 * 3600,
	24 * 3600, 72 * 3600, 7 * 24 * 3600, 30 * 24 * 3600,
}

const bruteHorizon = 30 * 24 * 3600

// bruteForce returns the panes of all events, zero panes left out. Every copy
// of an event is looked at, equal or not: no count below is of events.
func bruteForce(events []schemas.Event) map[cohortKey]schemas.Counts {
	byMessage := map[schemas.Key][]schemas.Event{}
	for _, e := range events {
		if e.MessageKey != (schemas.Key{}) {
			byMessage[e.MessageKey] = append(byMessage[e.MessageKey], e)
		}
	}
	panes := map[cohortKey]schemas.Counts{}
	for _, list := range byMessage {
		if key, counts, ok := bruteMessage(list); ok {
			sum := panes[key]
			sum.Add(&counts, 1)
			panes[key] = sum
		}
	}
	return panes
}

// bruteTimes returns the seconds of the events of a type, earliest first; those of
// clamped events only if there are no others.
func bruteTimes(list []schemas.Event, t schemas.EventType) []int64 {
	var at, guesses []int64
	for _, e := range list {
		second := (int64(e.OccurredAt) - int64(e.OccurredAt)%1000) / 1000
		switch {
		case e.Type != t:
		case e.Clamped:
			guesses = append(guesses, second)
		default:
			at = append(at, second)
		}
	}
	if len(at) == 0 {
		at = guesses
	}
	slices.Sort(at)
	return at
}

func bruteMessage(list []schemas.Event) (cohortKey, schemas.Counts, bool) {
	first := map[schemas.EventType]int64{}
	for _, t := range []schemas.EventType{
		schemas.TypeDispatched, schemas.TypeSent, schemas.TypeDelivered, schemas.TypeRead,
		schemas.TypeFailed, schemas.TypeClicked, schemas.TypeReplied, schemas.TypeOptedOut,
	} {
		if at := bruteTimes(list, t); len(at) > 0 {
			first[t] = at[0]
		}
	}
	sent, isSent := first[schemas.TypeSent]
	dispatched, isDispatched := first[schemas.TypeDispatched]
	delivered, isDelivered := first[schemas.TypeDelivered]
	failed, isFailed := first[schemas.TypeFailed]
	if !isSent && !isDelivered && !isFailed && !(isDispatched && len(first) >= 2) {
		return cohortKey{}, schemas.Counts{}, false
	}
	var send int64
	switch {
	case isSent:
		send = sent
	case isDispatched:
		send = dispatched
	case isDelivered && isFailed:
		send = slices.Min([]int64{delivered, failed})
	case isDelivered:
		send = delivered
	default:
		send = failed
	}
	key := cohortKey{minute: send - send%60, tuple: bruteTuple(list)}
	return key, bruteCounts(list, first, send), true
}

func bruteCounts(list []schemas.Event, first map[schemas.EventType]int64, send int64) schemas.Counts {
	c := schemas.Counts{Sent: 1}
	delete(first, schemas.TypeDispatched)
	delete(first, schemas.TypeSent)
	for t, at := range maps.Clone(first) {
		if at-send > bruteHorizon {
			c.Late++
			delete(first, t)
		}
	}
	least := func(types ...schemas.EventType) (int64, bool) {
		var at []int64
		for _, t := range types {
			if v, ok := first[t]; ok {
				at = append(at, v)
			}
		}
		if len(at) == 0 {
			return 0, false
		}
		return slices.Min(at), true
	}
	put := func(h *schemas.Histogram, n, at int64) {
		for i := range bruteEdges {
			if at-send <= bruteEdges[i] {
				h[i] += n
				return
			}
		}
	}
	count := func(h *schemas.Histogram, types ...schemas.EventType) (int64, bool) {
		at, ok := least(types...)
		if ok {
			put(h, 1, at)
		}
		return at, ok
	}
	del, isDelivered := count(&c.Outcomes[schemas.OutcomeDelivered], schemas.TypeDelivered, schemas.TypeRead, schemas.TypeClicked, schemas.TypeReplied, schemas.TypeOptedOut)
	count(&c.Outcomes[schemas.OutcomeOpened], schemas.TypeRead, schemas.TypeClicked, schemas.TypeReplied, schemas.TypeOptedOut)
	count(&c.Outcomes[schemas.OutcomeRead], schemas.TypeRead)
	count(&c.Outcomes[schemas.OutcomeClicked], schemas.TypeClicked)
	count(&c.Outcomes[schemas.OutcomeReplied], schemas.TypeReplied)
	count(&c.Outcomes[schemas.OutcomeEngaged], schemas.TypeClicked, schemas.TypeReplied)
	count(&c.Outcomes[schemas.OutcomeOptedOut], schemas.TypeOptedOut)
	if fail, ok := count(&c.Outcomes[schemas.OutcomeFailed], schemas.TypeFailed); ok {
		category := bruteCategory(list)
		withheld := slices.Contains([]string{"marketing_cap", "experiment", "recipient_stopped"}, category)
		if withheld {
			put(&c.Outcomes[schemas.OutcomeWithheld], 1, fail)
		}
		if isDelivered {
			c.Recovered = 1
			put(&c.Outcomes[schemas.OutcomeFailed], -1, max(fail, del))
			if withheld {
				put(&c.Outcomes[schemas.OutcomeWithheld], -1, max(fail, del))
			}
		} else {
			c.Failures = map[string]int64{category: 1}
		}
	}
	if cost := bruteCost(list); cost != nil {
		if cost.HasAmount && cost.Micros != 0 {
			c.CostMicros = map[string]int64{cost.Currency: cost.Micros}
		}
		if cost.Billable && isDelivered {
			c.Billable = map[string]int64{cost.Category: 1}
		}
	}
	return c
}

// bruteCategory: of several failures the earliest second, of one second the
// least code, of one code the least name; clamped ones after all others.
func bruteCategory(list []schemas.Event) string {
	var fails []schemas.Event
	for _, e := range list {
		if e.Type == schemas.TypeFailed {
			if e.Failure == nil {
				e.Failure = &schemas.Failure{}
			}
			fails = append(fails, e)
		}
	}
	name := func(e schemas.Event) string {
		if e.Failure.Category == "" {
			return "other"
		}
		return e.Failure.Category
	}
	slices.SortFunc(fails, func(a, b schemas.Event) int {
		if a.Clamped != b.Clamped {
			if a.Clamped {
				return 1
			}
			return -1
		}
		if sa, sb := int64(a.OccurredAt)/1000, int64(b.OccurredAt)/1000; sa != sb {
			return int(sa - sb)
		}
		if a.Failure.Code != b.Failure.Code {
			return int(int64(a.Failure.Code) - int64(b.Failure.Code))
		}
		return strings.Compare(name(a), name(b))
	})
	return name(fails[0])
}

// later orders events by (occurred_at, id).
func later(a, b schemas.Event) int {
	if a.OccurredAt != b.OccurredAt {
		return int(a.OccurredAt - b.OccurredAt)
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}

func bruteCost(list []schemas.Event) *schemas.Cost {
	var known, unknown []schemas.Event
	for _, e := range list {
		switch {
		case e.Cost == nil:
		case e.Cost.HasAmount:
			known = append(known, e)
		default:
			unknown = append(unknown, e)
		}
	}
	if len(known) == 0 {
		known = unknown
	}
	if len(known) == 0 {
		return nil
	}
	slices.SortFunc(known, func(a, b schemas.Event) int {
		if d := later(b, a); d != 0 {
			return d
		}
		return strings.Compare(spelled(a.Cost), spelled(b.Cost))
	})
	return known[0].Cost
}

// spelled writes a cost so that texts compare as costs of unequal copies of one
// event do: billable, then the least category, currency and amount.
func spelled(c *schemas.Cost) string {
	text := "1 "
	if c.Billable {
		text = "0 "
	}
	text += c.Category + "\x00"
	if c.HasAmount {
		text += c.Currency + "\x00" + fmt.Sprintf("%020d", uint64(c.Micros)+1<<63)
	}
	return text
}

func bruteTuple(list []schemas.Event) schemas.Tuple {
	own := func(e schemas.Event) int {
		if e.Type == schemas.TypeDispatched {
			return 3
		}
		return 1
	}
	told := func(e schemas.Event) int { return int(e.DimensionSource) }
	t := schemas.Tuple{Account: list[0].Account, Channel: list[0].Channel}
	t.Sender = bruteField(list, own, func(e schemas.Event) string { return e.Sender })
	t.Country = bruteField(list, own, func(e schemas.Event) string { return e.Country })
	t.Campaign = bruteField(list, told, func(e schemas.Event) string { return e.Dimensions.Campaign })
	t.Template = bruteField(list, told, func(e schemas.Event) string { return e.Dimensions.Template })
	t.Variant = bruteField(list, told, func(e schemas.Event) string { return e.Dimensions.Variant })
	t.Segment = bruteField(list, told, func(e schemas.Event) string { return e.Dimensions.Segment })
	return t
}

func bruteField(list []schemas.Event, source func(schemas.Event) int, value func(schemas.Event) string) string {
	var with, other []schemas.Event
	for _, e := range list {
		switch value(e) {
		case "":
		case "(other)":
			other = append(other, e)
		default:
			with = append(with, e)
		}
	}
	if len(with) == 0 {
		with = other
	}
	if len(with) == 0 {
		return ""
	}
	slices.SortFunc(with, func(a, b schemas.Event) int {
		if source(a) != source(b) {
			return source(b) - source(a)
		}
		if a.SourceRevision != b.SourceRevision {
			return int(b.SourceRevision) - int(a.SourceRevision)
		}
		if d := later(a, b); d != 0 {
			return d
		}
		return strings.Compare(value(a), value(b)) // copies of one event that disagree
	})
	return value(with[0])
}
