package schemas

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas/pb"
)

// RetryGrace is how long after a door opened again, in seconds, what it could not
// take may still be on its way: providers try again, ever more seldom.
const RetryGrace = 3600

// Patience is how long, in seconds, a late or silent account is waited for. Silence
// is not for ever an excuse.
const Patience = 6 * 3600

// LagBuckets is the number of buckets of Lags: one per edge of the delay
// histogram, and one for what is beyond.
const LagBuckets = Buckets + 1

// LastReports is how many of an account's last reports Lags holds, of each source
// partition.
const LastReports = 200

// Lags counts an account's last reports by how late they came: bucket i holds
// those with edge(i-1) < 2 · (received_at - occurred_at) <= edge(i), with the edges
// of the delay histogram. So the prefix sum to an age is the number that came
// within half of it.
type Lags [LagBuckets]uint32

// LagBucket is the bucket of a lag in milliseconds.
func LagBucket(ms int64) int {
	for i, e := range Edges() {
		if 2*ms <= e*1000 {
			return i
		}
	}
	return Buckets
}

// Within is how many of the reports came within half of age, which is in seconds
// and one of Edges, and how many there are.
func (l *Lags) Within(age int64) (in, of uint32) {
	edges := Edges()
	for i, n := range l {
		of += n
		if i < Buckets && edges[i] <= age {
			in += n
		}
	}
	return in, of
}

// Reports is what one source partition knows of how an account's reports come.
// Advisory, like complete_to: it decides when a rate counts as heard, never what
// it is.
type Reports struct {
	Epoch   uint32
	Source  int32
	Account string
	// Version is the offset in `events` of the last record applied.
	Version int64
	// DClock is the source's D-clock there.
	DClock Instant
	// Newest is the latest occurred_at of any of the account's reports.
	Newest Instant
	Lags   Lags
}

// EncodeReports returns the wire form of r.
func EncodeReports(r *Reports) []byte {
	return marshal(&pb.Reports{
		Epoch: r.Epoch, Source: r.Source, Account: text(r.Account), Version: r.Version,
		DClock: int64(r.DClock), Newest: int64(r.Newest), Lags: r.Lags[:],
	})
}

// DecodeReports reads the wire form.
func DecodeReports(b []byte) (Reports, error) {
	var m pb.Reports
	if err := proto.Unmarshal(b, &m); err != nil {
		return Reports{}, fmt.Errorf("decode reports: %w", err)
	}
	if m.Account == "" || m.Source < 0 || m.Version < 0 || m.Newest < 0 || len(m.Lags) != LagBuckets {
		return Reports{}, fmt.Errorf("decode reports: account %q, source %d, version %d, newest %d, %d lags",
			m.Account, m.Source, m.Version, m.Newest, len(m.Lags))
	}
	r := Reports{m.Epoch, m.Source, m.Account, m.Version, Instant(m.DClock), Instant(m.Newest), Lags(m.Lags)}
	if _, of := r.Lags.Within(0); of > LastReports {
		return Reports{}, fmt.Errorf("decode reports: %d reports, at most %d", of, LastReports)
	}
	return r, nil
}
