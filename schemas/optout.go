package schemas

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

//go:embed optout_words.yaml
var optOutWordsYAML []byte

// maxOptOutWord bounds a word, in bytes, so that a long text is known not to be
// one without folding it. The longest default has 27 bytes.
const maxOptOutWord = 128

// OptOutWords recognises the texts by which a person leaves or comes back. It is
// immutable and safe for concurrent use; the zero value knows no word.
type OptOutWords struct {
	meaning map[string]EventType
}

// DefaultOptOutWords are the words of optout_words.yaml.
func DefaultOptOutWords() (*OptOutWords, error) { return ParseOptOutWords(optOutWordsYAML) }

// ParseOptOutWords reads a list in the form of optout_words.yaml. A word that
// is empty after normalising, too long, or in both lists is an error.
func ParseOptOutWords(data []byte) (*OptOutWords, error) {
	var lists struct {
		Out []string `yaml:"out"`
		In  []string `yaml:"in"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&lists); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("parse opt-out words: %w", err)
	}
	w := &OptOutWords{meaning: make(map[string]EventType, len(lists.Out)+len(lists.In))}
	errs := append(w.add(TypeOptedOut, lists.Out), w.add(TypeOptedIn, lists.In)...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *OptOutWords) add(meaning EventType, words []string) []error {
	var errs []error
	for _, word := range words {
		n := normalWord(word)
		switch other, found := w.meaning[n]; {
		case n == "" || len(n) > maxOptOutWord:
			errs = append(errs, fmt.Errorf("opt-out word %q: want 1 to %d bytes after normalising", word, maxOptOutWord))
		case found && other != meaning:
			errs = append(errs, fmt.Errorf("opt-out word %q: in both lists", word))
		default:
			w.meaning[n] = meaning
		}
	}
	return errs
}

// Meaning returns TypeOptedOut or TypeOptedIn if the whole text is such a word,
// else 0.
func (w *OptOutWords) Meaning(text string) EventType {
	text = strings.TrimFunc(text, trimmed)
	// Composing makes a word shorter, at most to a third.
	if text == "" || len(text) > 3*maxOptOutWord {
		return 0
	}
	return w.meaning[normalWord(text)]
}

// normalWord is the text after Unicode case folding and after trimming white
// space and punctuation at both ends. Composing first lets an accent typed as
// two characters equal the same accent typed as one.
func normalWord(s string) string {
	return strings.TrimFunc(cases.Fold().String(norm.NFC.String(s)), trimmed)
}

// trimmed holds for white space, punctuation and invisible marks (writing
// direction, zero width), which keyboards add unseen.
func trimmed(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.Is(unicode.Cf, r)
}
