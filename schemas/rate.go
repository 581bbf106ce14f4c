package schemas

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// Totals are plain counts of unique messages at one age.
type Totals struct {
	Sent     int64
	Outcomes ByOutcome
}

// Rate is what was known at At about the cohorts of one series with a send
// minute in [At-Age-Window, At-Age), with their outcomes up to Age. It is
// emitted once and never revised.
type Rate struct {
	Epoch  uint32
	Series Series
	// Window and Age are in seconds. Age 0 means "so far".
	Window uint32
	Age    uint32
	// At is a whole minute in seconds since the epoch.
	At int64
	// Version is the offset in `panes` of the Progress record that closed At, or at
	// which it had been heard.
	Version int64
	// DClock is the roll-up's D-clock at that record; of a rate that was Unheard
	// before, the watermark there if that is later: since then it is news.
	DClock Instant
	Totals Totals
	// Unheard marks a rate whose cohorts' reports may still be on their way: the
	// door was shut, the provider is late, or the account silent (docs/metrics.md).
	Unheard bool
}

// EncodeRate returns the wire form of r.
func EncodeRate(r *Rate) []byte {
	list := OutcomeList()
	return encodeRate(r, list[:], r.Totals.Outcomes[:])
}

func encodeRate(r *Rate, list []OutcomeInfo, ns []int64) []byte {
	b := appendMessage(make([]byte, 0, 128), &pb.Rate{
		Epoch: r.Epoch, Series: seriesOut(&r.Series), Window: r.Window, Age: r.Age, At: r.At,
		Version: r.Version, DClock: int64(r.DClock), Sent: r.Totals.Sent, Unheard: r.Unheard,
	})
	return slices.Clip(appendTotals(b, list, ns))
}

// DecodeRate reads the wire form.
func DecodeRate(b []byte) (Rate, error) {
	var ns ByOutcome
	list := OutcomeList()
	r, err := decodeRate(b, list[:], ns[:])
	if err != nil {
		return Rate{}, fmt.Errorf("decode rate: %w", err)
	}
	r.Totals.Outcomes = ns
	return r, nil
}

// decodeRate reads the outcomes of list into ns and everything else into the
// rate.
func decodeRate(b []byte, list []OutcomeInfo, ns []int64) (Rate, error) {
	rest, err := takeTotals(b, list, ns)
	if err != nil {
		return Rate{}, err
	}
	var m pb.Rate
	if err := proto.Unmarshal(rest, &m); err != nil {
		return Rate{}, err
	}
	s, err := seriesIn(m.Series)
	if err != nil {
		return Rate{}, err
	}
	if m.At%60 != 0 || m.Window == 0 || m.Version < 0 {
		return Rate{}, fmt.Errorf("at %d, window %d, version %d", m.At, m.Window, m.Version)
	}
	return Rate{
		Epoch: m.Epoch, Series: s, Window: m.Window, Age: m.Age, At: m.At, Version: m.Version, DClock: Instant(m.DClock),
		Totals: Totals{Sent: m.Sent}, Unheard: m.Unheard,
	}, nil
}
