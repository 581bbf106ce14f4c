package schemas

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// Progress closes a flush: every row that records before NextOffset changed has
// been emitted and acknowledged before it. It is sent to every partition of
// the stage's output topic.
type Progress struct {
	Epoch uint32
	// Stage is StageMessage or StageRollup.
	Stage string
	// Source is the input partition, of Sources in all.
	Source  int32
	Sources int32
	// NextOffset is the first input offset not yet folded.
	NextOffset int64
	// CompleteTo is the instant up to which the source believes it has heard
	// everything; 0: it does not know. Advisory: it decides which `at` may close,
	// never what a count is.
	CompleteTo Instant
	// Shut are the newest shuttings of the door, in order and apart, at most
	// MaxShuttings.
	Shut []Shutting
}

// MaxShuttings bounds the shuttings that a Progress tells of: three days in which
// the door was shut twice an hour. Of more, the nearest are told as one.
const MaxShuttings = 144

// Shutting is a time [From, To) during which no door was open.
type Shutting struct{ From, To Instant }

// EncodeProgress returns the wire form of p.
func EncodeProgress(p *Progress) []byte {
	m := &pb.Progress{
		Epoch: p.Epoch, Stage: text(p.Stage), Source: p.Source, Sources: p.Sources,
		NextOffset: p.NextOffset, CompleteTo: int64(p.CompleteTo),
	}
	for _, s := range p.Shut {
		m.Shut = append(m.Shut, &pb.Shutting{From: int64(s.From), To: int64(s.To)})
	}
	return marshal(m)
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
	p := Progress{Epoch: m.Epoch, Stage: m.Stage, Source: m.Source, Sources: m.Sources, NextOffset: m.NextOffset, CompleteTo: Instant(m.CompleteTo)}
	if len(m.Shut) > MaxShuttings {
		return Progress{}, fmt.Errorf("decode progress: %d shuttings, at most %d", len(m.Shut), MaxShuttings)
	}
	var last Instant
	for _, s := range m.Shut {
		from, to := Instant(s.GetFrom()), Instant(s.GetTo())
		if from < last || to <= from {
			return Progress{}, fmt.Errorf("decode progress: a shutting from %d to %d after %d", from, to, last)
		}
		p.Shut, last = append(p.Shut, Shutting{from, to}), to
	}
	return p, nil
}
