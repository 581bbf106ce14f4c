package schemas

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// text makes s valid UTF-8, which Protobuf demands of strings.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func histogramOut(h *Histogram) []int64 {
	if *h == (Histogram{}) {
		return nil
	}
	return h[:]
}

func histogramIn(name string, v []int64, h *Histogram) error {
	if len(v) != 0 && len(v) != Buckets {
		return fmt.Errorf("%s has %d buckets, want %d", name, len(v), Buckets)
	}
	copy(h[:], v)
	return nil
}

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
	c := &p.Counts
	return marshal(&pb.Pane{
		Epoch: p.Epoch, Source: p.Source, Minute: p.Minute, Version: p.Version, DClock: int64(p.DClock),
		Tuple: &pb.Tuple{
			Account: text(p.Tuple.Account), Channel: text(string(p.Tuple.Channel)), Sender: text(p.Tuple.Sender),
			Country: text(p.Tuple.Country), Campaign: text(p.Tuple.Campaign), Template: text(p.Tuple.Template),
			Variant: text(p.Tuple.Variant), Segment: text(p.Tuple.Segment),
		},
		Sent: c.Sent, Delivered: histogramOut(&c.Delivered), Opened: histogramOut(&c.Opened), Read: histogramOut(&c.Read),
		Clicked: histogramOut(&c.Clicked), Replied: histogramOut(&c.Replied), Engaged: histogramOut(&c.Engaged),
		OptedOut: histogramOut(&c.OptedOut), Failed: histogramOut(&c.Failed), Withheld: histogramOut(&c.Withheld),
		Recovered: c.Recovered, Late: c.Late,
		Failures: nonZero(c.Failures), CostMicros: nonZero(c.CostMicros), Billable: nonZero(c.Billable),
	})
}

// DecodePane reads the wire form.
func DecodePane(b []byte) (Pane, error) {
	var m pb.Pane
	if err := proto.Unmarshal(b, &m); err != nil {
		return Pane{}, fmt.Errorf("decode pane: %w", err)
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
	c := &p.Counts
	err := errors.Join(
		histogramIn("delivered", m.Delivered, &c.Delivered), histogramIn("opened", m.Opened, &c.Opened),
		histogramIn("read", m.Read, &c.Read), histogramIn("clicked", m.Clicked, &c.Clicked),
		histogramIn("replied", m.Replied, &c.Replied), histogramIn("engaged", m.Engaged, &c.Engaged),
		histogramIn("opted_out", m.OptedOut, &c.OptedOut), histogramIn("failed", m.Failed, &c.Failed),
		histogramIn("withheld", m.Withheld, &c.Withheld),
	)
	switch {
	case err != nil:
	case p.Minute%60 != 0:
		err = fmt.Errorf("minute %d is not a whole minute", p.Minute)
	case p.Tuple.Account == "" || p.Tuple.Channel == "":
		err = errors.New("no account or channel")
	case p.Source < 0 || p.Version < 0:
		err = fmt.Errorf("source %d, version %d", p.Source, p.Version)
	}
	if err != nil {
		return Pane{}, fmt.Errorf("decode pane: %w", err)
	}
	return p, nil
}

// EncodeProgress returns the wire form of p.
func EncodeProgress(p *Progress) []byte {
	return marshal(&pb.Progress{
		Epoch: p.Epoch, Stage: text(p.Stage), Source: p.Source, Sources: p.Sources,
		NextOffset: p.NextOffset, CompleteTo: int64(p.CompleteTo),
	})
}

// DecodeProgress reads the wire form.
func DecodeProgress(b []byte) (Progress, error) {
	var m pb.Progress
	if err := proto.Unmarshal(b, &m); err != nil {
		return Progress{}, fmt.Errorf("decode progress: %w", err)
	}
	if m.Stage == "" || m.Source < 0 || m.Source >= m.Sources || m.NextOffset < 0 {
		return Progress{}, fmt.Errorf("decode progress: stage %q, source %d of %d, next offset %d", m.Stage, m.Source, m.Sources, m.NextOffset)
	}
	return Progress{m.Epoch, m.Stage, m.Source, m.Sources, m.NextOffset, Instant(m.CompleteTo)}, nil
}

func seriesOut(s *Series) *pb.Series {
	return &pb.Series{
		Account: text(s.Account), Grouping: text(string(s.Grouping)), Channel: text(string(s.Channel)),
		Sender: text(s.Sender), Campaign: text(s.Campaign), Variant: text(s.Variant),
	}
}

func seriesIn(m *pb.Series) (Series, error) {
	s := Series{m.GetAccount(), Grouping(m.GetGrouping()), Channel(m.GetChannel()), m.GetSender(), m.GetCampaign(), m.GetVariant()}
	switch s.Grouping {
	case GroupAccount, GroupChannel, GroupSender, GroupCampaign, GroupCampaignVariant:
	default:
		return Series{}, fmt.Errorf("unknown grouping %q", s.Grouping)
	}
	if s.Account == "" {
		return Series{}, errors.New("no account")
	}
	return s, nil
}

// EncodeRate returns the wire form of r.
func EncodeRate(r *Rate) []byte {
	t := &r.Totals
	return marshal(&pb.Rate{
		Epoch: r.Epoch, Series: seriesOut(&r.Series), Window: r.Window, Age: r.Age, At: r.At,
		Version: r.Version, DClock: int64(r.DClock),
		Sent: t.Sent, Delivered: t.Delivered, Opened: t.Opened, Read: t.Read, Clicked: t.Clicked, Replied: t.Replied,
		Engaged: t.Engaged, OptedOut: t.OptedOut, Failed: t.Failed, Withheld: t.Withheld,
	})
}

// DecodeRate reads the wire form.
func DecodeRate(b []byte) (Rate, error) {
	var m pb.Rate
	if err := proto.Unmarshal(b, &m); err != nil {
		return Rate{}, fmt.Errorf("decode rate: %w", err)
	}
	s, err := seriesIn(m.Series)
	if err != nil {
		return Rate{}, fmt.Errorf("decode rate: %w", err)
	}
	if m.At%60 != 0 || m.Window == 0 || m.Version < 0 {
		return Rate{}, fmt.Errorf("decode rate: at %d, window %d, version %d", m.At, m.Window, m.Version)
	}
	return Rate{
		Epoch: m.Epoch, Series: s, Window: m.Window, Age: m.Age, At: m.At, Version: m.Version, DClock: Instant(m.DClock),
		Totals: Totals{
			Sent: m.Sent, Delivered: m.Delivered, Opened: m.Opened, Read: m.Read, Clicked: m.Clicked, Replied: m.Replied,
			Engaged: m.Engaged, OptedOut: m.OptedOut, Failed: m.Failed, Withheld: m.Withheld,
		},
	}, nil
}

// EncodeTransition returns the wire form of t.
func EncodeTransition(t *Transition) []byte {
	return marshal(&pb.Transition{
		Epoch: t.Epoch, Rule: text(t.Rule), Series: seriesOut(&t.Series), OpenedAt: t.OpenedAt, At: t.At,
		State: text(string(t.State)), Severity: text(string(t.Severity)), Reason: text(t.Reason), Metric: text(t.Metric),
		N: t.N, K: t.K, Age: t.Age, Reference: t.Reference, ReferenceSource: text(t.ReferenceSource),
		Statistic: t.Statistic, Threshold: t.Threshold, Since: t.Since, Sql: text(t.SQL), Notified: t.Notified,
		Version: t.Version, DClock: int64(t.DClock),
	})
}

// DecodeTransition reads the wire form.
func DecodeTransition(b []byte) (Transition, error) {
	var m pb.Transition
	if err := proto.Unmarshal(b, &m); err != nil {
		return Transition{}, fmt.Errorf("decode transition: %w", err)
	}
	s, err := seriesIn(m.Series)
	if err != nil {
		return Transition{}, fmt.Errorf("decode transition: %w", err)
	}
	if m.Rule == "" || m.State == "" || m.Version < 0 {
		return Transition{}, fmt.Errorf("decode transition: rule %q, state %q, version %d", m.Rule, m.State, m.Version)
	}
	return Transition{
		Epoch: m.Epoch, Rule: m.Rule, Series: s, OpenedAt: m.OpenedAt, At: m.At,
		State: IncidentState(m.State), Severity: Severity(m.Severity), Reason: m.Reason, Metric: m.Metric,
		N: m.N, K: m.K, Age: m.Age, Reference: m.Reference, ReferenceSource: m.ReferenceSource,
		Statistic: m.Statistic, Threshold: m.Threshold, Since: m.Since, SQL: m.Sql, Notified: m.Notified,
		Version: m.Version, DClock: Instant(m.DClock),
	}, nil
}

// EncodeDeadLetter returns the wire form of d.
func EncodeDeadLetter(d *DeadLetter) []byte {
	return marshal(&pb.DeadLetter{
		Stage: text(d.Stage), Source: text(d.Source), Provider: text(d.Provider), Reason: text(d.Reason),
		Detail: text(d.Detail), Where: text(d.Where), ReceivedAt: int64(d.ReceivedAt), Item: d.Item,
	})
}

// DecodeDeadLetter reads the wire form.
func DecodeDeadLetter(b []byte) (DeadLetter, error) {
	var m pb.DeadLetter
	if err := proto.Unmarshal(b, &m); err != nil {
		return DeadLetter{}, fmt.Errorf("decode dead letter: %w", err)
	}
	if m.Stage == "" || m.Reason == "" {
		return DeadLetter{}, errors.New("decode dead letter: no stage or reason")
	}
	return DeadLetter{m.Stage, m.Source, m.Provider, m.Reason, m.Detail, m.Where, Instant(m.ReceivedAt), m.Item}, nil
}
