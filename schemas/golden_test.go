package schemas

import (
	_ "embed"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

//go:embed testdata/wire.txt
var wireVectors string

// vector is one value of one codec with its name in testdata/wire.txt.
type vector struct {
	name   string
	encode func() []byte
	// decode reads bytes and returns how the value differs from the one encoded.
	decode func([]byte) (diff string, err error)
}

func vectorOf[T any](name string, value T, encode func(*T) []byte, decode func([]byte) (T, error)) vector {
	return vector{
		name:   name,
		encode: func() []byte { return encode(&value) },
		decode: func(b []byte) (string, error) {
			got, err := decode(b)
			return cmp.Diff(value, got, cmpopts.EquateEmpty()), err
		},
	}
}

// wirePane has another histogram for every outcome, so that no two can be
// mistaken for each other.
func wirePane() Pane {
	p := fullPane()
	p.Counts.Outcomes[OutcomeDelivered] = Histogram{5, 1}
	p.Counts.Outcomes[OutcomeOpened] = Histogram{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	p.Counts.Outcomes[OutcomeRead] = Histogram{2: 3}
	p.Counts.Outcomes[OutcomeClicked] = Histogram{3: 4}
	p.Counts.Outcomes[OutcomeReplied] = Histogram{4: 5}
	p.Counts.Outcomes[OutcomeEngaged] = Histogram{5: 300}
	p.Counts.Outcomes[OutcomeOptedOut] = Histogram{11: 1}
	p.Counts.Outcomes[OutcomeFailed] = Histogram{0, 2, -1}
	p.Counts.Outcomes[OutcomeWithheld] = Histogram{0, 1, -1}
	return p
}

// unmarked is an event as it was written before marks were.
func unmarked(e Event) Event {
	e.MayBeOptOut = false
	e.ID = EventID(&e)
	return e
}

func leastEvent() Event {
	e := Event{Type: TypeSent, Channel: ChannelWhatsApp, Account: "a", OccurredAt: 1000, ReceivedAt: 1000}
	e.ID = EventID(&e)
	return e
}

func fullRate() Rate {
	return Rate{1, fullSeries(), 60, 1800, 1_790_000_040, 5, 1_790_000_000_000, Totals{10, ByOutcome{9, 8, 7, 6, 5, 4, 3, 2, 1}}, false}
}

func unheardRate() Rate {
	r := fullRate()
	r.Unheard = true
	return r
}

func shutProgress() Progress {
	return Progress{1, StageMessage, 2, 4, 77, 1_790_000_000_000, []Shutting{{1_789_990_000_000, 1_789_990_060_000}, {1_789_999_000_000, 1_789_999_900_000}}}
}

func fullHeartbeat() Heartbeat {
	return Heartbeat{Key{1, 2, 3}, 1_790_000_000_000, 1_790_000_060_000, 1_790_000_059_000, 10_000, 15_000, true}
}

func fullReports() Reports {
	return Reports{1, 3, "acc", 77, 1_790_000_000_000, 1_790_000_060_000, Lags{150, 3, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1}}
}

func fullTransition() Transition {
	return Transition{1, "opt-out-swell", fullSeries(), 1_790_000_040, 1_790_000_100, StateFiring, SeverityPage, "opened", "opt_out_rate", 900, 60, 1800, 0.03, "project default", 9.5, 9.2, 1_789_999_980, "SELECT 1", true, 11, 1_790_000_000_000}
}

func fullDeadLetter() DeadLetter {
	return DeadLetter{"ingest", "main", "meta", "bad_timestamp", "timestamp is no number", "/entry/0", 1_790_000_000_000, []byte{1}, Key{}, ""}
}

func digestedDeadLetter() DeadLetter {
	d := fullDeadLetter()
	d.Digest = Key{9, 8, 7}
	return d
}

func accountedDeadLetter() DeadLetter {
	d := digestedDeadLetter()
	d.Account = "acc"
	return d
}

// vectors lists one value at least for every codec: one with every field set,
// and one with as few as the decoder allows.
func vectors() []vector {
	return []vector{
		vectorOf("event", fullEvent(), EncodeEvent, DecodeEvent),
		vectorOf("event without a mark", unmarked(fullEvent()), EncodeEvent, DecodeEvent),
		vectorOf("event with the least", leastEvent(), EncodeEvent, DecodeEvent),
		vectorOf("pane", wirePane(), EncodePane, DecodePane),
		vectorOf("pane with the least", Pane{Tuple: Tuple{Account: "a", Channel: "c"}}, EncodePane, DecodePane),
		vectorOf("progress", Progress{1, StageMessage, 2, 4, 77, 1_790_000_000_000, nil}, EncodeProgress, DecodeProgress),
		vectorOf("progress with shuttings", shutProgress(), EncodeProgress, DecodeProgress),
		vectorOf("progress with the least", Progress{Stage: StageRollup, Sources: 1}, EncodeProgress, DecodeProgress),
		vectorOf("rate", fullRate(), EncodeRate, DecodeRate),
		vectorOf("rate not heard", unheardRate(), EncodeRate, DecodeRate),
		vectorOf("rate with the least", Rate{Series: Series{Account: "a", Grouping: GroupAccount}, Window: 60}, EncodeRate, DecodeRate),
		vectorOf("transition", fullTransition(), EncodeTransition, DecodeTransition),
		vectorOf("transition with the least", Transition{Rule: "r", State: StateResolved, Series: Series{Account: "a", Grouping: GroupAccount}}, EncodeTransition, DecodeTransition),
		vectorOf("heartbeat", fullHeartbeat(), EncodeHeartbeat, DecodeHeartbeat),
		vectorOf("heartbeat with the least", Heartbeat{Door: Key{1}, Opened: 1, At: 1, Patience: 1}, EncodeHeartbeat, DecodeHeartbeat),
		vectorOf("reports", fullReports(), EncodeReports, DecodeReports),
		vectorOf("reports with the least", Reports{Account: "a"}, EncodeReports, DecodeReports),
		vectorOf("dead letter", fullDeadLetter(), EncodeDeadLetter, DecodeDeadLetter),
		vectorOf("dead letter with a digest", digestedDeadLetter(), EncodeDeadLetter, DecodeDeadLetter),
		vectorOf("dead letter with an account", accountedDeadLetter(), EncodeDeadLetter, DecodeDeadLetter),
		vectorOf("dead letter with the least", DeadLetter{Stage: "s", Reason: "r"}, EncodeDeadLetter, DecodeDeadLetter),
	}
}

// TestWireVectors holds the bytes on the wire fixed. Records stay in Kafka for
// months: what a build writes, every later one must read, and an equal value
// must stay equal bytes.
func TestWireVectors(t *testing.T) {
	want := map[string]string{}
	for line := range strings.Lines(wireVectors) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("testdata/wire.txt: line %q, want name: hex", line)
		}
		want[name] = digits
	}
	for _, v := range vectors() {
		t.Run(v.name, func(t *testing.T) {
			if got := hex.EncodeToString(v.encode()); got != want[v.name] {
				t.Errorf("encoded to\n%s: %s\nwant\n%s", v.name, got, want[v.name])
			}
			b, err := hex.DecodeString(want[v.name])
			if err != nil {
				t.Fatal(err)
			}
			if diff, err := v.decode(b); err != nil || diff != "" {
				t.Errorf("decoded with error %v, difference (-want +got)\n%s", err, diff)
			}
		})
		delete(want, v.name)
	}
	for name := range want {
		t.Errorf("testdata/wire.txt: %q belongs to no vector", name)
	}
}
