package schemas

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

//go:embed optout_words.yaml
var optOutWordsYAML []byte

const (
	// maxOptOutWord bounds a word, in bytes of its normal form.
	maxOptOutWord = 128
	// maxOptOutText bounds the text, in bytes, that is compared with the words: it
	// leaves room for politeness and emoji around one.
	maxOptOutText = 512
	// maxMayBe bounds the texts that may be an opt-out, in characters. Longer ones
	// are letters about something else.
	maxMayBe = 60
)

// OptOutWords recognises the texts by which a person leaves or comes back. It is
// immutable and safe for concurrent use; the zero value knows no word.
type OptOutWords struct {
	words map[string]OptOutWord // by normal form
	// polite are the normal forms of politeness, longest first.
	polite []string
	// held are the words to leave as runs of letters and digits with one space
	// between them, mostRuns the most runs one of them has.
	held     map[string]bool
	mostRuns int
}

// OptOutWord is one word of a list.
type OptOutWord struct {
	// Text is the word as the list has it.
	Text string
	// Meaning is TypeOptedOut or TypeOptedIn.
	Meaning EventType
	// Languages are the languages it is listed for (ISO 639-1), in order; none for
	// one the operator added.
	Languages []string
}

// WordChange is what an operator changes about one of the two lists.
type WordChange struct {
	Add    []string `yaml:"add"`
	Remove []string `yaml:"remove"`
}

// wordLists are the lists of one language.
type wordLists struct {
	Out    []string `yaml:"out"`
	In     []string `yaml:"in"`
	Polite []string `yaml:"polite"`
}

// DefaultOptOutWords are the words of optout_words.yaml.
func DefaultOptOutWords() (*OptOutWords, error) { return ParseOptOutWords(optOutWordsYAML) }

// ParseOptOutWords reads lists in the form of optout_words.yaml. A word that is
// empty after normalising, too long, or both out and in is an error.
func ParseOptOutWords(data []byte) (*OptOutWords, error) {
	lists := map[string]wordLists{}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&lists); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("parse opt-out words: %w", err)
	}
	w := &OptOutWords{words: map[string]OptOutWord{}}
	var errs []error
	for _, language := range slices.Sorted(maps.Keys(lists)) {
		l := lists[language]
		errs = append(errs, w.add(TypeOptedOut, language, l.Out)...)
		errs = append(errs, w.add(TypeOptedIn, language, l.In)...)
		for _, p := range l.Polite {
			n := normalWord(p)
			if n == "" {
				errs = append(errs, fmt.Errorf("politeness %q: nothing is left of it after normalising", p))
			}
			w.polite = append(w.polite, n)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.SortFunc(w.polite, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	w.polite = slices.Compact(w.polite)
	w.index()
	return w, nil
}

// With returns the words after an operator's changes: first both lists lose
// words, then they gain some. Removing what is not there is an error, since it
// removes nothing.
func (w *OptOutWords) With(out, in WordChange) (*OptOutWords, error) {
	next := &OptOutWords{words: maps.Clone(w.words), polite: w.polite}
	if next.words == nil {
		next.words = map[string]OptOutWord{}
	}
	errs := slices.Concat(
		next.remove(TypeOptedOut, out.Remove), next.remove(TypeOptedIn, in.Remove),
		next.add(TypeOptedOut, "", out.Add), next.add(TypeOptedIn, "", in.Add))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	next.index()
	return next, nil
}

func (w *OptOutWords) add(meaning EventType, language string, words []string) []error {
	var errs []error
	for _, word := range words {
		n := normalWord(word)
		known, found := w.words[n]
		switch {
		case n == "" || len(n) > maxOptOutWord:
			errs = append(errs, fmt.Errorf("opt-out word %q: want 1 to %d bytes after normalising", word, maxOptOutWord))
			continue
		case found && known.Meaning != meaning:
			errs = append(errs, fmt.Errorf("opt-out word %q: in both lists; remove it from the other one", word))
			continue
		case !found:
			known = OptOutWord{Text: word, Meaning: meaning}
		}
		if language != "" && !slices.Contains(known.Languages, language) {
			known.Languages = append(slices.Clip(known.Languages), language)
		}
		w.words[n] = known
	}
	return errs
}

func (w *OptOutWords) remove(meaning EventType, words []string) []error {
	var errs []error
	for _, word := range words {
		n := normalWord(word)
		if known, found := w.words[n]; !found || known.Meaning != meaning {
			errs = append(errs, fmt.Errorf("opt-out word %q: cannot be removed, it is not in the list (`bluetick words` prints it)", word))
		}
		delete(w.words, n)
	}
	return errs
}

// index prepares MayBeOptOut.
func (w *OptOutWords) index() {
	w.held, w.mostRuns = map[string]bool{}, 0
	for n, word := range w.words {
		if word.Meaning == TypeOptedOut {
			runs := runsOf(n)
			w.held[strings.Join(runs, " ")] = true
			w.mostRuns = max(w.mostRuns, len(runs))
		}
	}
}

// All are the words in force: those to leave first, then by text.
func (w *OptOutWords) All() []OptOutWord {
	return slices.SortedFunc(maps.Values(w.words), func(a, b OptOutWord) int {
		return cmp.Or(cmp.Compare(a.Meaning, b.Meaning), cmp.Compare(a.Text, b.Text))
	})
}

// Meaning returns TypeOptedOut or TypeOptedIn if the whole text is such a word,
// politeness around it aside, else 0.
func (w *OptOutWords) Meaning(text string) EventType {
	text = strings.TrimFunc(text, func(r rune) bool { return !inWord(r) })
	if text == "" || len(text) > maxOptOutText {
		return 0
	}
	for s := normalWord(text); s != ""; s = w.lessPolite(s) {
		if word, found := w.words[s]; found {
			return word.Meaning
		}
	}
	return 0
}

// lessPolite takes one politeness off either end; empty if there is none, or
// nothing else.
func (w *OptOutWords) lessPolite(s string) string {
	for _, p := range w.polite {
		if rest, found := strings.CutPrefix(s, p); found {
			if r, _ := utf8.DecodeRuneInString(rest); rest != "" && !inWord(r) {
				return trimWord(rest)
			}
		}
		if rest, found := strings.CutSuffix(s, p); found {
			if r, _ := utf8.DecodeLastRuneInString(rest); rest != "" && !inWord(r) {
				return trimWord(rest)
			}
		}
	}
	return ""
}

// MayBeOptOut reports whether a short text holds a word to leave without being
// one: "stop sending this to my wife". It stays what it is, and whoever reads the
// list of them finds the words that are missing.
func (w *OptOutWords) MayBeOptOut(text string) bool {
	if len(text) > maxMayBe*utf8.UTFMax || utf8.RuneCountInString(text) > maxMayBe || w.Meaning(text) != 0 {
		return false
	}
	runs := runsOf(normalWord(text))
	for i := range runs {
		for n := 1; n <= w.mostRuns && i+n <= len(runs); n++ {
			if w.held[strings.Join(runs[i:i+n], " ")] {
				return true
			}
		}
	}
	return false
}

// runsOf are the runs of letters and digits of a normal text.
func runsOf(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !inWord(r) || unicode.IsSpace(r) })
}
