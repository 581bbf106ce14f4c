package kafka

import (
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Another client than franz-go reads the packs and the tail behind them, and finds
// a time (P2).
func TestPacksForKafkaGo(t *testing.T) {
	b, before := filled(t, t.TempDir())
	pack(t, b, 3)
	reader := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{b.Addr()}, Topic: topic, Partition: 0, MaxWait: 100 * time.Millisecond})
	defer reader.Close()
	read := func(want kept) {
		t.Helper()
		m, err := reader.ReadMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Offset != want.Offset || m.Time.UnixMilli() != want.Millis || string(m.Key) != string(want.Key) || string(m.Value) != string(want.Value) || len(m.Headers) != len(want.Headers) {
			t.Fatalf("read offset %d, %q, want %d, %q", m.Offset, m.Key, want.Offset, want.Key)
		}
	}
	for _, from := range []int64{0, 7, int64(len(before)) / 2} {
		if err := reader.SetOffset(from); err != nil {
			t.Fatal(err)
		}
		for _, want := range before[from:] {
			read(want)
		}
	}
	conn, err := kafkago.DialLeader(t.Context(), "tcp", b.Addr(), topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	first, last, err := conn.ReadOffsets()
	if err != nil || first != 0 || last != int64(len(before)) {
		t.Errorf("the log is %d to %d: %v", first, last, err)
	}
	for _, r := range []kept{before[0], before[len(before)/3]} {
		want := timesOf(t, b.Addr(), []kept{r})[r.Millis]
		if got, err := conn.ReadOffset(time.UnixMilli(r.Millis)); err != nil || got != want {
			t.Errorf("time %d: offset %d, %v, want %d", r.Millis, got, err, want)
		}
	}
}

// A group goes on in the packs where it has committed, after a restart too.
func TestGroupGoesOnInPacks(t *testing.T) {
	dir := t.TempDir()
	b, before := filled(t, dir)
	pack(t, b, 3)
	const at = 11
	var commit kadm.Offsets
	commit.AddOffset(topic, 0, at, -1)
	if res, err := kadm.NewClient(client(t, b.Addr())).CommitOffsets(t.Context(), "g", commit); err != nil || res.Error() != nil {
		t.Fatal(err, res.Error())
	}
	if packed := b.packs.mu.logs[place{topic, 0}].end(); packed <= at {
		t.Fatalf("packed to %d", packed)
	}
	for range 2 {
		member := client(t, b.Addr(), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
		var got []kept
		for len(got) < len(before)-at {
			fetches := member.PollFetches(t.Context())
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				got = append(got, kept{r.Offset, r.Timestamp.UnixMilli(), r.Attrs.TimestampType(), r.Key, r.Value, r.Headers})
			})
		}
		if diff := differ(before[at:], got); diff != "" {
			t.Error(diff)
		}
		member.Close()
		b = open(t, Config{Dir: killed(t, dir)})
	}
}
