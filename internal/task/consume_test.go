package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/bluetick/bluetick/schemas"
)

func TestFetchError(t *testing.T) {
	const (
		ends = iota
		retries
		stops
		refuses
	)
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"the poll's own deadline", fmt.Errorf("poll: %w", context.DeadlineExceeded), ends},
		{"the stop", context.Canceled, ends},
		{"leader moved", kerr.NotLeaderForPartition, retries},
		{"connection lost", io.ErrUnexpectedEOF, retries},
		{"offset out of range", kerr.OffsetOutOfRange, refuses},
		{"data loss", &kgo.ErrDataLoss{Topic: "in"}, refuses},
		{"client closed", kgo.ErrClientClosed, stops},
		{"not allowed", kerr.TopicAuthorizationFailed, stops},
	} {
		t.Run(c.name, func(t *testing.T) {
			fatal, retry := fetchError(c.err, "in[3]", 7)
			var r *Refusal
			got := ends
			switch {
			case errors.As(fatal, &r):
				got = refuses
			case fatal != nil:
				got = stops
			case retry != nil:
				got = retries
			}
			if got != c.want {
				t.Errorf("got %v, %v (%d), want %d", fatal, retry, got, c.want)
			}
		})
	}
}

func TestToRecord(t *testing.T) {
	r := &kgo.Record{
		Offset: 4, Timestamp: time.UnixMilli(1500), Key: []byte("k"), Value: []byte("v"),
		Headers: []kgo.RecordHeader{{Key: "other", Value: []byte("x")}, {Key: schemas.HeaderSchema, Value: []byte("Thing/2")}},
	}
	for _, prev := range []string{"", "Thing/1", "Thing/2"} {
		got := toRecord(r, prev)
		if got.Offset != 4 || got.Timestamp != 1500 || got.Schema != "Thing/2" || string(got.Key) != "k" || string(got.Value) != "v" {
			t.Errorf("after %q: %+v", prev, got)
		}
	}
	if got := toRecord(&kgo.Record{}, "Thing/1"); got.Schema != "" {
		t.Errorf("a record without the header has schema %q", got.Schema)
	}
}

func TestOutlive(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	work, release := outlive(ctx, time.Millisecond)
	defer release()
	stop()
	<-work.Done()
	if !errors.Is(context.Cause(work), errStopTooLong) {
		t.Errorf("cause %v", context.Cause(work))
	}
	ctx, stop = context.WithCancel(t.Context())
	work, release = outlive(ctx, time.Hour)
	stop()
	if err := work.Err(); err != nil {
		t.Errorf("work ended with the stop: %v", err)
	}
	release()
	if work.Err() == nil {
		t.Error("work goes on after its release")
	}
}
