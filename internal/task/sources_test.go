package task

import (
	"errors"
	"slices"
	"strings"
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
		{"complete to 0 is not known", []word{{0, 0, 0}, {1, 0, 900}}, none},
		{"known later", []word{{0, 0, 0}, {1, 0, 900}, {0, 0, 800}}, 800},
	} {
		var s Sources
		for _, w := range c.words {
			if _, err := s.Hear(&schemas.Progress{
				Source: w.source, Sources: 2, NextOffset: w.nextOffset, CompleteTo: w.completeTo,
			}); err != nil {
				t.Fatal(err)
			}
			s = RestoreSources(s.Status()) // a restart after each word changes nothing
		}
		got, ok := s.Watermark()
		if ok == (c.want == none) || ok && got != c.want {
			t.Errorf("%s: watermark %d, %t", c.name, got, ok)
		}
	}
}

func TestHearRefusesAnotherNumberOfSources(t *testing.T) {
	t.Parallel()
	hear := func(s *Sources, p schemas.Progress) string {
		p.Stage = schemas.StageMessage
		_, err := s.Hear(&p)
		if err == nil {
			return ""
		}
		if reject := (*Reject)(nil); !errors.As(err, &reject) || reject.Reason != ReasonSources {
			t.Errorf("%v is not a rejection for %s", err, ReasonSources)
		}
		return err.Error()
	}
	var s Sources
	for name, p := range map[string]schemas.Progress{
		"more than the limit": {Source: 0, Sources: MaxSources + 1},
		"none":                {Source: 0, Sources: 0},
		"one beyond the last": {Source: 2, Sources: 2},
		"one before 0":        {Source: -1, Sources: 2},
	} {
		if hear(&s, p) == "" {
			t.Errorf("%s: accepted", name)
		}
	}
	if s.Status() != nil {
		t.Errorf("a refused word changed the state: %+v", s.Status())
	}
	if text := hear(&s, schemas.Progress{Source: 0, Sources: 2, NextOffset: 1, CompleteTo: 10}); text != "" {
		t.Fatal(text)
	}
	for _, sources := range []int32{1, 3} {
		text := hear(&s, schemas.Progress{Source: 0, Sources: sources, NextOffset: 2, CompleteTo: 20})
		for _, want := range []string{"stage message", "sources after 2 in one epoch", "make the topics anew with the old number"} {
			if !strings.Contains(text, want) {
				t.Errorf("%d sources after 2: %q does not say %q", sources, text, want)
			}
		}
	}
	want := []SourceStatus{{Partition: 0, Heard: true, NextOffset: 1, CompleteTo: 10}, {Partition: 1}}
	if got := s.Status(); !slices.Equal(got, want) {
		t.Errorf("a refused word changed the state: %+v, want %+v", got, want)
	}
}

// What Status gives is the caller's own.
func TestStatusIsACopy(t *testing.T) {
	t.Parallel()
	var s Sources
	if _, err := s.Hear(&schemas.Progress{Source: 0, Sources: 1, NextOffset: 3, CompleteTo: 7}); err != nil {
		t.Fatal(err)
	}
	s.Status()[0].CompleteTo = 9
	if w, _ := s.Watermark(); w != 7 {
		t.Errorf("the watermark is %d after a change of the copy, want 7", w)
	}
}
