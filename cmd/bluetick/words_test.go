package main

import (
	"strings"
	"testing"

	"github.com/bluetick/bluetick/ingest"
	"github.com/bluetick/bluetick/schemas"
)

func TestWordsInForce(t *testing.T) {
	plain := ingest.Source{Name: "plain"}
	shop := ingest.Source{Name: "shop", OptOut: schemas.WordChange{Remove: []string{"cancel"}}}
	club := ingest.Source{Name: "club", OptIn: schemas.WordChange{Add: []string{"join"}}}
	odd := ingest.Source{Name: "odd", OptOut: schemas.WordChange{Remove: []string{"xyzzy"}}}
	for _, c := range []struct {
		name, source string
		sources      []ingest.Source
		problem      string
		text         string
		want         schemas.EventType
	}{
		{"no source", "", nil, "", "cancel", schemas.TypeOptedOut},
		{"the only one with words", "", []ingest.Source{plain, shop}, "", "cancel", 0},
		{"the one asked for", "club", []ingest.Source{shop, club}, "", "JOIN!", schemas.TypeOptedIn},
		{"one without words asked for", "plain", []ingest.Source{plain, shop}, "", "cancel", schemas.TypeOptedOut},
		{"two with words", "", []ingest.Source{shop, club}, "--source", "", 0},
		{"unknown", "none", []ingest.Source{shop}, "no such source", "", 0},
		{"a mistake", "", []ingest.Source{odd}, `source "odd": opt_out, opt_in: opt-out word "xyzzy"`, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			words, err := (&wordsCmd{Source: c.source}).inForce(c.sources)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := words.Meaning(c.text); got != c.want {
				t.Errorf("%q: got %d, want %d", c.text, got, c.want)
			}
		})
	}
}

func TestPrintWords(t *testing.T) {
	words, err := schemas.ParseOptOutWords([]byte("en: {out: [stop], in: [start]}\nfr: {out: [stop, arrêt]}"))
	if err == nil {
		words, err = words.With(schemas.WordChange{Add: []string{"no \u202emore"}}, schemas.WordChange{})
	}
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := printWords(&b, words); err != nil {
		t.Fatal(err)
	}
	const want = `meaning  language  word
opt_out  fr        arrêt
opt_out  (yours)   no \u202emore
opt_out  en,fr     stop
opt_in   en        start
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestJudgeLines(t *testing.T) {
	words, err := schemas.DefaultOptOutWords()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := judgeLines(&b, strings.NewReader("STOP 🛑\nstart\n\nplease stop by\nhow much?\nthe \x1bend\n"), words); err != nil {
		t.Fatal(err)
	}
	const want = "opt_out STOP 🛑\nopt_in  start\n-       \nmay_be  please stop by\n-       how much?\nmay_be  the \\x1bend\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	if err := judgeLines(&b, strings.NewReader(strings.Repeat("x", 1<<17)), words); err == nil {
		t.Error("a line too long to be read is no error")
	}
}
