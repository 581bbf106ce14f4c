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
	// everything. Advisory: it decides which `at` may close, never what a count is.
	CompleteTo Instant
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
