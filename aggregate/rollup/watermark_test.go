package rollup

import (
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

func TestWatermark(t *testing.T) {
	t.Parallel()
	type word struct {
		source     int32
		nextOffset int64
		completeTo schemas.Instant
	}
	const none = schemas.Instant(-1)
	for _, c := range []struct {
		name  string
		words []word
		want  schemas.Instant
	}{
		{"nothing heard", nil, none},
		{"one of two heard", []word{{0, 5, 900}}, none},
		{"one of two heard, often", []word{{0, 5, 900}, {0, 6, 1000}, {0, 7, 1100}}, none},
		{"the least of both", []word{{0, 5, 900}, {1, 9, 700}}, 700},
		{"a stalled source holds it", []word{{0, 5, 900}, {1, 9, 700}, {0, 6, 5000}, {0, 9, 90_000}}, 700},
		{"an idle source moves it: same offset, later word", []word{{0, 5, 900}, {1, 0, 700}, {1, 0, 800}}, 800},
		{"a smaller next offset is not news", []word{{0, 5, 900}, {1, 9, 700}, {1, 8, 950}}, 700},
		{"complete_to never goes back", []word{{0, 5, 900}, {1, 9, 700}, {1, 10, 600}}, 700},
		{"a restarted source is believed once it has caught up", []word{{0, 5, 900}, {1, 9, 700}, {1, 4, 750}, {1, 9, 800}}, 800},
		{"a source at offset 0 has been heard", []word{{0, 0, 900}, {1, 0, 900}}, 900},
		{"a first word before 1970", []word{{0, 0, -5}, {1, 0, 900}}, -5},
	} {
		var s sources
		for _, w := range c.words {
			if _, err := s.hear(&schemas.Progress{
				Source: w.source, Sources: 2, NextOffset: w.nextOffset, CompleteTo: w.completeTo,
			}); err != nil {
				t.Fatal(err)
			}
		}
		got, ok := s.watermark()
		if ok == (c.want == none) || ok && got != c.want {
			t.Errorf("%s: watermark %d, %t", c.name, got, ok)
		}
	}
}

func TestHearRefusesAnotherNumberOfSources(t *testing.T) {
	t.Parallel()
	var s sources
	if _, err := s.hear(&schemas.Progress{Source: 0, Sources: maxSources + 1}); err == nil {
		t.Error("more sources than the limit are accepted")
	}
	if _, err := s.hear(&schemas.Progress{Source: 0, Sources: 2, NextOffset: 1, CompleteTo: 10}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.hear(&schemas.Progress{Source: 0, Sources: 3, NextOffset: 2, CompleteTo: 20}); err == nil {
		t.Error("3 sources after 2 are accepted")
	}
	if s.heard[0] != (source{1, 10}) || len(s.heard) != 2 {
		t.Errorf("a refused word changed the state: %+v", s.heard)
	}
}
