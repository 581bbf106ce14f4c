package rollup

import (
	"fmt"
	"testing"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// benchTuples are the tuples of one account: campaigns × two variants × two
// countries, from two senders.
func benchTuples(campaigns int) []schemas.Tuple {
	var out []schemas.Tuple
	for c := range campaigns {
		for _, variant := range []string{"a", "b"} {
			for _, country := range []string{"NL", "BR"} {
				out = append(out, schemas.Tuple{
					Account: "bakery", Channel: schemas.ChannelWhatsApp, Sender: fmt.Sprintf("desk-%d", c%2),
					Country: country, Campaign: fmt.Sprintf("campaign-%03d", c), Template: "loaf", Variant: variant,
				})
			}
		}
	}
	return out
}

// benchPane is a plausible pane: most arrive at once, the rest trickles.
func benchPane(tuple schemas.Tuple, source int32, sent, version int64) *schemas.Pane {
	p := &schemas.Pane{Epoch: 1, Source: source, Minute: sent, Tuple: tuple, Version: version, DClock: schemas.Instant(sent * 1000)}
	c := &p.Counts
	c.Sent = 100 + version%7
	c.Outcomes[schemas.OutcomeDelivered] = schemas.Histogram{80, 9, 2, 1, 1, 1, 0, 1}
	c.Outcomes[schemas.OutcomeOpened] = schemas.Histogram{20, 20, 10, 5, 5, 3, 2, 1}
	c.Outcomes[schemas.OutcomeRead], c.Outcomes[schemas.OutcomeEngaged] = c.Outcomes[schemas.OutcomeOpened], schemas.Histogram{3, 4, 2, 1, 1}
	c.Outcomes[schemas.OutcomeClicked], c.Outcomes[schemas.OutcomeOptedOut] = c.Outcomes[schemas.OutcomeEngaged], schemas.Histogram{0, 1}
	c.Outcomes[schemas.OutcomeFailed] = schemas.Histogram{4}
	return p
}

// BenchmarkPane is what one pane that replaces another costs, decoding
// included, with all five groupings and a placed table.
func BenchmarkPane(b *testing.B) {
	f := open(b, Default(), benchState{})
	now := schemas.Instant(noon * 1000)
	tuples := benchTuples(10)
	if err := f.Apply(paneRecord(0, now, benchPane(tuples[0], 0, noon-3600, 0))); err != nil {
		b.Fatal(err)
	}
	if err := f.Apply(progressRecord(1, now, &schemas.Progress{
		Epoch: 1, Stage: schemas.StageMessage, Sources: 1, CompleteTo: now,
	})); err != nil {
		b.Fatal(err)
	}
	f.Drain(0)
	var records []task.Record
	for v := range int64(20) {
		for _, tuple := range tuples {
			for m := range int64(10) {
				records = append(records, paneRecord(2, now, benchPane(tuple, 0, noon-600+m*60, v)))
			}
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i == len(records) {
			i = 0
			b.StopTimer()
			clear(f.st.(benchState)) // or every later version would be an old one
			b.StartTimer()
		}
		if err := f.Apply(records[i]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "panes/s")
}

// BenchmarkDay is the demo as a whole: 26 hours, one account, every campaign
// sending in every minute, four panes a tuple and minute, one Progress a minute.
// It reports how many `at` and rates a second that makes in all.
func BenchmarkDay(b *testing.B) {
	for _, campaigns := range []int{5, 25} {
		tuples := benchTuples(campaigns)
		b.Run(fmt.Sprintf("series=%d", 2+2+3*campaigns), func(b *testing.B) {
			var ats, rates, panes int
			var records []task.Record
			for b.Loop() {
				f := open(b, Default(), benchState{})
				offset := int64(0)
				for m := range int64(26 * 60) {
					now := schemas.Instant((noon + m*60 + 60) * 1000)
					b.StopTimer()
					records = records[:0]
					for version := range int64(4) {
						for _, tuple := range tuples {
							// The newest minute, and three older ones whose outcomes trickle in.
							sent := noon + max(0, m-version*version*7)*60
							records = append(records, paneRecord(offset, now, benchPane(tuple, 0, sent, m)))
							offset++
						}
					}
					records = append(records, progressRecord(offset, now, &schemas.Progress{
						Epoch: 1, Stage: schemas.StageMessage, Sources: 1, NextOffset: offset, CompleteTo: now,
					}))
					offset++
					b.StartTimer()
					for _, r := range records {
						if err := f.Apply(r); err != nil {
							b.Fatal(err)
						}
					}
					panes += len(records) - 1
					rates += len(f.Drain(offset))
					ats++
				}
			}
			s := b.Elapsed().Seconds()
			b.ReportMetric(float64(ats)/s, "ats/s")
			b.ReportMetric(float64(rates)/s, "rates/s")
			b.ReportMetric(float64(panes)/s, "panes/s")
		})
	}
}

// BenchmarkClose is a single `at`: emit and step, with no pane in between.
func BenchmarkClose(b *testing.B) {
	const hours = 48
	for _, campaigns := range []int{5, 25} {
		b.Run(fmt.Sprintf("series=%d", 2+2+3*campaigns), func(b *testing.B) {
			f := open(b, Default(), benchState{})
			now := schemas.Instant(noon * 1000)
			fill := func(sent int64) {
				for _, tuple := range benchTuples(campaigns) {
					p := benchPane(tuple, 0, sent, 0)
					f.count(p)
				}
			}
			for m := range int64(hours * 60) {
				fill(noon - m*60)
			}
			f.table.place(noon)
			f.meta.next, f.meta.dclock = noon, now
			rates := 0
			b.ReportAllocs()
			for b.Loop() {
				f.closeTo(f.table.next, 1)
				rates += len(f.Drain(0))
				b.StopTimer()
				fill(f.table.next)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ats/s")
			b.ReportMetric(float64(rates)/b.Elapsed().Seconds(), "rates/s")
		})
	}
}

// benchState is the cheapest store.State: a map, no scan.
type benchState map[string][]byte

func (m benchState) Get(key []byte) ([]byte, bool, error) {
	v, ok := m[string(key)]
	return v, ok, nil
}

func (m benchState) Set(key, value []byte) { m[string(key)] = append([]byte(nil), value...) }

func (m benchState) Delete(key []byte)                                      { delete(m, string(key)) }
func (m benchState) DeleteRange(_, _ []byte) error                          { return nil }
func (m benchState) Scan(_, _ []byte, _ func(key, value []byte) bool) error { return nil }
