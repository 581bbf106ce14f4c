package schemas

import (
	"strings"
	"testing"
)

func TestOptOutMeaning(t *testing.T) {
	words, err := DefaultOptOutWords()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want EventType
	}{
		{"stop", TypeOptedOut},
		{"STOP", TypeOptedOut},
		{" Stop!! ", TypeOptedOut},
		{"«stop».", TypeOptedOut},
		{"\u200fإلغاء الاشتراك\u200f", TypeOptedOut},
		{"रोकें", TypeOptedOut},
		{"ARRÊT", TypeOptedOut},
		{"arre\u0302t", TypeOptedOut},
		{"Se Désabonner", TypeOptedOut},
		{"Start", TypeOptedIn},
		{"S'ABONNER", TypeOptedIn},
		{"s’abonner", TypeOptedIn},
		{"stop by our shop", 0},
		{"please stop", 0},
		{"nonstop", 0},
		{"opt  out", 0},
		{"", 0},
		{"...", 0},
		{strings.Repeat("stop ", 1000), 0},
	} {
		t.Run(c.text, func(t *testing.T) {
			if got := words.Meaning(c.text); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
	if (&OptOutWords{}).Meaning("stop") != 0 {
		t.Error("the zero value knows a word")
	}
}

func TestParseOptOutWords(t *testing.T) {
	for _, c := range []struct{ name, data, problem string }{
		{"nothing", "", ""},
		{"same word twice", "out: [stop, STOP]", ""},
		{"in both lists", "out: [stop]\nin: [Stop!]", "both lists"},
		{"only punctuation", "out: ['!!']", "want 1 to"},
		{"too long", "out: [" + strings.Repeat("x", 200) + "]", "want 1 to"},
		{"unknown list", "outs: [stop]", "outs"},
		{"no list", "out: 3", "parse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseOptOutWords([]byte(c.data))
			if c.problem == "" && err != nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzOptOutMeaning: punctuation, white space and case around a text never
// change what it means.
func FuzzOptOutMeaning(f *testing.F) {
	for _, s := range []string{"stop", "Se désabonner", "إلغاء الاشتراك", "stop by", "İ", "\xff"} {
		f.Add(s)
	}
	words, err := DefaultOptOutWords()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := words.Meaning(s)
		if got != 0 && got != TypeOptedOut && got != TypeOptedIn {
			t.Fatalf("meaning %d", got)
		}
		for _, same := range []string{" " + s + "\n", "\"" + s + "!\""} {
			if words.Meaning(same) != got {
				t.Errorf("%q means %d, %q means %d", s, got, same, words.Meaning(same))
			}
		}
	})
}
