package schemas

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/bluetick/bluetick/schemas/pb"
)

// TestOutcomeListIsTheProto ties the list to bluetick.proto, from which readers
// in other languages take the fields.
func TestOutcomeListIsTheProto(t *testing.T) {
	pane, rate := (&pb.Pane{}).ProtoReflect().Descriptor().Fields(), (&pb.Rate{}).ProtoReflect().Descriptor().Fields()
	for _, o := range OutcomeList() {
		f := pane.ByNumber(o.PaneField)
		if f == nil || string(f.Name()) != o.Name || f.Kind() != protoreflect.Sint64Kind || !f.IsPacked() {
			t.Errorf("%s: Pane has no packed sint64 of that name at %d: %v", o.Name, o.PaneField, f)
		}
		f = rate.ByNumber(o.RateField)
		if f == nil || string(f.Name()) != o.Name || f.Kind() != protoreflect.Int64Kind || f.IsList() {
			t.Errorf("%s: Rate has no int64 of that name at %d: %v", o.Name, o.RateField, f)
		}
	}
}

// TestGeneratedCodeAgrees: what we write by the list, the generated code reads
// and writes as the same bytes.
func TestGeneratedCodeAgrees(t *testing.T) {
	extreme := wirePane()
	extreme.Counts.Outcomes[OutcomeWithheld] = Histogram{math.MinInt64, math.MaxInt64}
	for name, p := range map[string]Pane{"full": wirePane(), "extreme": extreme, "least": {Tuple: Tuple{Account: "a", Channel: "c"}}} {
		b := EncodePane(&p)
		var m pb.Pane
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(b, marshal(&m)); d != "" || len(m.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("pane, %s: (-ours +generated)\n%s", name, d)
		}
		if len(m.OptedOut) > 0 && m.OptedOut[11] != p.Counts.Outcomes[OutcomeOptedOut][11] {
			t.Errorf("pane, %s: opted_out %v", name, m.OptedOut)
		}
	}
	r := fullRate()
	r.Totals.Outcomes[OutcomeRead] = -7
	var m pb.Rate
	if err := proto.Unmarshal(EncodeRate(&r), &m); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(EncodeRate(&r), marshal(&m)); d != "" || m.Read != -7 {
		t.Errorf("rate: read %d (-ours +generated)\n%s", m.Read, d)
	}
}

// TestHistogramForms are the ways Protobuf lets a list be written.
func TestHistogramForms(t *testing.T) {
	least := EncodePane(&Pane{Tuple: Tuple{Account: "a", Channel: "c"}})
	field := OutcomeList()[OutcomeRead].PaneField
	packed := func(b []byte, values ...uint64) []byte {
		var body []byte
		for _, v := range values {
			body = protowire.AppendVarint(body, v)
		}
		return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), body)
	}
	single := func(b []byte, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
	}
	twelve := least
	for v := range uint64(Buckets) {
		twelve = single(twelve, 2*v)
	}
	numbers := Histogram{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	for name, c := range map[string]struct {
		wire []byte
		want Histogram
		bad  bool
	}{
		"absent":                 {least, Histogram{}, false},
		"one by one":             {twelve, numbers, false},
		"in two parts":           {packed(packed(least, 0, 2, 4, 6), 8, 10, 12, 14, 16, 18, 20, 22), numbers, false},
		"empty":                  {packed(least), Histogram{}, false},
		"a bucket short":         {packed(least, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20), Histogram{}, true},
		"a bucket too many":      {single(twelve, 0), Histogram{}, true},
		"a number cut short":     {protowire.AppendBytes(protowire.AppendTag(least, field, protowire.BytesType), []byte{0x80}), Histogram{}, true},
		"another type of number": {protowire.AppendFixed64(protowire.AppendTag(least, field, protowire.Fixed64Type), 1), Histogram{}, false},
		"cut short behind":       {append(twelve[:len(twelve):len(twelve)], 0x80), Histogram{}, true},
	} {
		p, err := DecodePane(c.wire)
		if (err != nil) != c.bad || p.Counts.Outcomes[OutcomeRead] != c.want {
			t.Errorf("%s: %v, error %v; want %v, an error: %v", name, p.Counts.Outcomes[OutcomeRead], err, c.want, c.bad)
		}
		// The generated code is the second opinion, except for the number of
		// buckets.
		var m pb.Pane
		if gen := proto.Unmarshal(c.wire, &m); gen != nil && err == nil {
			t.Errorf("%s: we read what the generated code refuses: %v", name, gen)
		}
	}
}

// TestTenthOutcome: one more row in the list puts an outcome on the wire of panes
// and rates. A reader with the shorter list reads everything else.
func TestTenthOutcome(t *testing.T) {
	nine := OutcomeList()
	ten := append(nine[:len(nine):len(nine)], OutcomeInfo{"converted", "Messages that led to a purchase", 22, 18})
	p := wirePane()
	hs := append(p.Counts.Outcomes[:len(nine):len(nine)], Histogram{4, 0, 1, 11: -1})
	wire := encodePane(&p, ten, hs)
	got := make([]Histogram, len(ten))
	if _, err := decodePane(wire, ten, got); err != nil || !cmp.Equal(got, hs) {
		t.Errorf("pane: error %v (-want +got)\n%s", err, cmp.Diff(hs, got))
	}
	if old, err := DecodePane(wire); err != nil || !cmp.Equal(old, p) {
		t.Errorf("pane read by the list of nine: error %v (-want +got)\n%s", err, cmp.Diff(p, old))
	}
	r := fullRate()
	ns := append(r.Totals.Outcomes[:len(nine):len(nine)], 77)
	wire = encodeRate(&r, ten, ns)
	gotTotals := make([]int64, len(ten))
	if _, err := decodeRate(wire, ten, gotTotals); err != nil || !cmp.Equal(gotTotals, ns) {
		t.Errorf("rate: error %v (-want +got)\n%s", err, cmp.Diff(ns, gotTotals))
	}
	if old, err := DecodeRate(wire); err != nil || !cmp.Equal(old, r) {
		t.Errorf("rate read by the list of nine: error %v (-want +got)\n%s", err, cmp.Diff(r, old))
	}
}

// TestBases: the value of a base and its columns agree.
func TestBases(t *testing.T) {
	totals := Totals{1000, ByOutcome{900, 800, 700, 600, 500, 400, 300, 200, 100}}
	column := map[string]int64{ColumnSent: totals.Sent, "": 0}
	for o, n := range totals.Outcomes {
		column[Outcome(o).String()] = n
	}
	seen := map[string]bool{}
	for _, m := range MeasureList() {
		of, less := m.Base.Columns()
		if got, want := m.Base.Of(&totals), column[of]-column[less]; got != want || want == 0 {
			t.Errorf("%s divides by %d in Go, by %d in SQL", m.Name, got, want)
		}
		if seen[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name] = true
	}
}

// TestBenchmarksNameMeasures: a benchmark of a metric that nobody computes is a
// typing error, unless it is kept for comparison only.
func TestBenchmarksNameMeasures(t *testing.T) {
	rows, err := LoadBenchmarks()
	if err != nil {
		t.Fatal(err)
	}
	measures := map[string]bool{}
	for _, m := range MeasureList() {
		measures[m.Name] = true
	}
	for _, b := range rows {
		if !measures[b.Metric] && (b.Channel == "" || b.Channel == ChannelWhatsApp) && b.Kind != "vendor claim" && b.Kind != "guide" {
			t.Errorf("%s of %s: no such measure", b.Metric, b.Source)
		}
	}
}

// TestMemoryOutlastsTheHorizon: the days that guard against counting twice. The
// door takes events of up to MaxEventAge; the fold must still remember a message
// when the last outcome that counts comes in that late.
func TestMemoryOutlastsTheHorizon(t *testing.T) {
	if MemoryDays < HorizonDays+MaxEventAgeDays || MemoryDays >= RememberDays {
		t.Errorf("remembers %d days for certain and %d at most, horizon %d, events up to %d", MemoryDays, RememberDays, HorizonDays, MaxEventAgeDays)
	}
	if MaxEventAge.Hours() != 24*MaxEventAgeDays || RememberDays != 50 || MemoryDays != 49 {
		t.Errorf("event age %s, %d and %d days: a change is a new epoch and a new message.Logic", MaxEventAge, RememberDays, MemoryDays)
	}
}
