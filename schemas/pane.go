package schemas

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// Tuple is what a pane is grouped by. The tuple itself is on the wire, never
// an interned id.
type Tuple struct {
	Account  string
	Channel  Channel
	Sender   string
	Country  string
	Campaign string
	Template string
	Variant  string
	Segment  string
}

// Compare orders tuples field by field.
func (t Tuple) Compare(o Tuple) int {
	return cmp.Or(
		cmp.Compare(t.Account, o.Account), cmp.Compare(t.Channel, o.Channel),
		cmp.Compare(t.Sender, o.Sender), cmp.Compare(t.Country, o.Country),
		cmp.Compare(t.Campaign, o.Campaign), cmp.Compare(t.Template, o.Template),
		cmp.Compare(t.Variant, o.Variant), cmp.Compare(t.Segment, o.Segment),
	)
}

// Counts are the absolute counts of unique messages in a pane. The maps hold no
// zero values; nil and empty mean the same.
type Counts struct {
	// Sent is the number of known messages.
	Sent int64
	// Outcomes are the messages with each outcome, by its delay.
	Outcomes Histograms
	// Recovered is the number of messages that failed and were delivered too.
	Recovered int64
	// Late is the number of explicit outcome facts beyond the horizon, which
	// count nowhere else.
	Late int64
	// Failures counts the messages that failed and never recovered by category;
	// it sums to Failed.Total().
	Failures map[string]int64
	// CostMicros is the known cost per currency in millionths.
	CostMicros map[string]int64
	// Billable counts delivered messages per billing category the provider
	// charges for.
	Billable map[string]int64
}

// Add adds sign times o: +1 a contribution that enters, -1 one that leaves.
func (c *Counts) Add(o *Counts, sign int64) {
	c.Sent += sign * o.Sent
	for i := range c.Outcomes {
		c.Outcomes[i].Add(&o.Outcomes[i], sign)
	}
	c.Recovered += sign * o.Recovered
	c.Late += sign * o.Late
	addMap(&c.Failures, o.Failures, sign)
	addMap(&c.CostMicros, o.CostMicros, sign)
	addMap(&c.Billable, o.Billable, sign)
}

func addMap(dst *map[string]int64, src map[string]int64, sign int64) {
	for k, v := range src {
		if *dst == nil {
			*dst = map[string]int64{}
		}
		if n := (*dst)[k] + sign*v; n != 0 {
			(*dst)[k] = n
		} else {
			delete(*dst, k)
		}
	}
}

// Clone returns a copy that shares nothing.
func (c *Counts) Clone() Counts {
	o := *c
	o.Failures, o.CostMicros, o.Billable = maps.Clone(c.Failures), maps.Clone(c.CostMicros), maps.Clone(c.Billable)
	return o
}

// Pane is the absolute count, as one source partition of `events` knows it, of
// the messages sent in one minute with one tuple. A later version replaces an
// earlier one of the same (Epoch, Source, Minute, Tuple).
type Pane struct {
	Epoch uint32
	// Source is the partition of `events` that counted it.
	Source int32
	// Minute is the start of the send minute, in seconds since the epoch.
	Minute int64
	Tuple  Tuple
	// Version is the offset of the last record applied when the row was emitted.
	Version int64
	// DClock is the D-clock of the source partition at that record; it drives
	// forgetting downstream and nothing else.
	DClock Instant
	Counts Counts
}

// nonZero is m without its zeros, which Counts promises not to hold.
func nonZero(m map[string]int64) map[string]int64 {
	var out map[string]int64
	for k, v := range m {
		if v == 0 {
			continue
		}
		if out == nil {
			out = make(map[string]int64, len(m))
		}
		out[text(k)] = v
	}
	return out
}

// EncodePane returns the wire form of p.
func EncodePane(p *Pane) []byte {
	list := OutcomeList()
	return encodePane(p, list[:], p.Counts.Outcomes[:])
}

// encodePane writes the fields in the order of their numbers: those before the
// outcomes, the outcomes of list, those after them.
func encodePane(p *Pane, list []OutcomeInfo, hs []Histogram) []byte {
	c := &p.Counts
	b := appendMessage(make([]byte, 0, 256), &pb.Pane{
		Epoch: p.Epoch, Source: p.Source, Minute: p.Minute, Version: p.Version, DClock: int64(p.DClock),
		Tuple: &pb.Tuple{
			Account: text(p.Tuple.Account), Channel: text(string(p.Tuple.Channel)), Sender: text(p.Tuple.Sender),
			Country: text(p.Tuple.Country), Campaign: text(p.Tuple.Campaign), Template: text(p.Tuple.Template),
			Variant: text(p.Tuple.Variant), Segment: text(p.Tuple.Segment),
		},
		Sent: c.Sent,
	})
	b = appendHistograms(b, list, hs)
	return slices.Clip(appendMessage(b, &pb.Pane{
		Recovered: c.Recovered, Late: c.Late,
		Failures: nonZero(c.Failures), CostMicros: nonZero(c.CostMicros), Billable: nonZero(c.Billable),
	}))
}

// DecodePane reads the wire form.
func DecodePane(b []byte) (Pane, error) {
	var hs Histograms
	list := OutcomeList()
	p, err := decodePane(b, list[:], hs[:])
	if err != nil {
		return Pane{}, fmt.Errorf("decode pane: %w", err)
	}
	p.Counts.Outcomes = hs
	return p, nil
}

// decodePane reads the outcomes of list into hs and everything else into the
// pane.
func decodePane(b []byte, list []OutcomeInfo, hs []Histogram) (Pane, error) {
	rest, err := takeHistograms(b, list, hs)
	if err != nil {
		return Pane{}, err
	}
	var m pb.Pane
	if err := proto.Unmarshal(rest, &m); err != nil {
		return Pane{}, err
	}
	t := m.GetTuple()
	p := Pane{
		Epoch: m.Epoch, Source: m.Source, Minute: m.Minute, Version: m.Version, DClock: Instant(m.DClock),
		Tuple: Tuple{
			t.GetAccount(), Channel(t.GetChannel()), t.GetSender(), t.GetCountry(),
			t.GetCampaign(), t.GetTemplate(), t.GetVariant(), t.GetSegment(),
		},
		Counts: Counts{
			Sent: m.Sent, Recovered: m.Recovered, Late: m.Late,
			Failures: nonZero(m.Failures), CostMicros: nonZero(m.CostMicros), Billable: nonZero(m.Billable),
		},
	}
	switch {
	case p.Minute%60 != 0:
		err = fmt.Errorf("minute %d is not a whole minute", p.Minute)
	case p.Tuple.Account == "" || p.Tuple.Channel == "":
		err = errors.New("no account or channel")
	case p.Source < 0 || p.Version < 0:
		err = fmt.Errorf("source %d, version %d", p.Source, p.Version)
	}
	if err != nil {
		return Pane{}, err
	}
	return p, nil
}
