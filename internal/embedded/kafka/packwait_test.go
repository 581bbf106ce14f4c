package kafka

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchAll asks for the first partition from an offset on, once.
func fetchAll(t *testing.T, cl *kgo.Client, from int64, change func(*kmsg.FetchRequest)) *kmsg.FetchResponse {
	t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.SessionEpoch = 1<<20, -1
	wanted := kmsg.NewFetchRequestTopic()
	part := kmsg.NewFetchRequestTopicPartition()
	part.FetchOffset, part.PartitionMaxBytes = from, 1<<20
	wanted.Topic, wanted.Partitions = topic, append(wanted.Partitions, part)
	req.Topics = append(req.Topics, wanted)
	change(req)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	resp, err := cl.Broker(0).Request(ctx, req)
	if err != nil {
		t.Error(err)
		return &kmsg.FetchResponse{Topics: []kmsg.FetchResponseTopic{{Partitions: make([]kmsg.FetchResponseTopicPartition, 1)}}}
	}
	return resp.(*kmsg.FetchResponse)
}

// TestFetchOfOldSession goes on with a session that a build without packs gave
// out: its request names only what changed, so that it must begin anew.
func TestFetchOfOldSession(t *testing.T) {
	b, _ := filled(t, t.TempDir())
	pack(t, b, 3)
	cl := client(t, b.Addr(), kgo.MaxVersions(tailVersions()))
	for name, tc := range map[string]struct {
		id, epoch int32
		code      int16
	}{
		"goes on":    {7, 3, kerr.FetchSessionIDNotFound.Code},
		"is wanted":  {0, 0, 0},
		"is ended":   {7, -1, 0},
		"is not one": {0, -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			resp := fetchAll(t, cl, 0, func(req *kmsg.FetchRequest) { req.SessionID, req.SessionEpoch = tc.id, tc.epoch })
			if resp.ErrorCode != tc.code || resp.SessionID != 0 {
				t.Errorf("code %d, session %d, want code %d", resp.ErrorCode, resp.SessionID, tc.code)
			}
			if got := len(resp.Topics) > 0; got != (tc.code == 0) {
				t.Errorf("topics %v", resp.Topics)
			}
		})
	}
}

// TestLongWait waits for more than will come, from the end of the log. When the
// wait is over kfake looks for the records that came meanwhile: it must be over
// before the tail lets go of them (P2).
func TestLongWait(t *testing.T) {
	if mostWait >= sweepEvery {
		t.Errorf("a fetch waits for %v, and the tail may let go of a segment %v after it ended", mostWait, sweepEvery)
	}
	b, before := filledBroker(t, Config{Dir: t.TempDir(), mostWait: 100 * time.Millisecond})
	cl := client(t, b.Addr(), kgo.MaxVersions(tailVersions()))
	end := int64(len(before))
	resp := fetchAll(t, cl, end, func(req *kmsg.FetchRequest) {
		req.MaxWaitMillis, req.MinBytes = int32(time.Hour.Milliseconds()), 1<<20
	}) // it has a time limit of its own, far below an hour
	if part := resp.Topics[0].Partitions[0]; part.ErrorCode != 0 || part.HighWatermark != end {
		t.Errorf("code %d, end %d, want %d", part.ErrorCode, part.HighWatermark, end)
	}
}

// TestManyFetchesOfPacks has many readers ask for packed records again the moment
// they are answered. kfake once woke a request twice and stood still.
func TestManyFetchesOfPacks(t *testing.T) {
	b, _ := filled(t, t.TempDir())
	pack(t, b, 3)
	var readers sync.WaitGroup
	for range 16 {
		cl := client(t, b.Addr(), kgo.MaxVersions(tailVersions()))
		readers.Go(func() {
			for range 300 {
				resp := fetchAll(t, cl, 0, func(req *kmsg.FetchRequest) { req.MaxBytes = 1 })
				if part := resp.Topics[0].Partitions[0]; part.ErrorCode != 0 || len(part.RecordBatches) == 0 {
					t.Errorf("code %d, %d bytes", part.ErrorCode, len(part.RecordBatches))
				}
			}
		})
	}
	readers.Wait()
}
