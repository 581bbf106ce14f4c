package terminal

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for name, c := range map[string]struct{ in, want, lines string }{
		"plain":           {"spring, 50 % off — “ünï” 👩‍👩‍👧", "", ""},
		"arabic":          {"عرض الربيع", "", ""},
		"backslash":       {`a\x1b`, "", ""},
		"colour":          {"a\x1b[31mb", `a\x1b[31mb`, ""},
		"title":           {"\x1b]0;root@host\x07", `\x1b]0;root@host\x07`, ""},
		"one-byte escape": {"a\u009b2Jb", `a\u009b2Jb`, ""},
		"raw C1 byte":     {"a\x9b2Jb", `a\x9b2Jb`, ""},
		"delete":          {"ab\x7f", `ab\x7f`, ""},
		"carriage return": {"good\rbad", `good\rbad`, ""},
		"right to left":   {"a\u202egpj.exe", `a\u202egpj.exe`, ""},
		"isolate":         {"\u2066x\u2069", `\u2066x\u2069`, ""},
		"line separator":  {"a\u2028b", `a\u2028b`, ""},
		"tags":            {"a\U000e0041", `a\U000e0041`, ""},
		"two lines":       {"a\n\tb", `a\n\tb`, "a\n\tb"},
	} {
		want := c.want
		if want == "" {
			want = c.in
		}
		if got := Clean(c.in); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if c.lines != "" {
			want = c.lines
		}
		if got := CleanLines(c.in); got != want {
			t.Errorf("%s: lines %q, want %q", name, got, want)
		}
	}
}

// TestJSON: what a program reads is what was written.
func TestJSON(t *testing.T) {
	in := map[string]string{"a\u009b": "x\x1b[2J \u202e \U000e0041 \x7f ü 👩‍👧", "b": "plain"}
	doc, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got := JSON(append(doc, '\n'))
	for _, r := range string(bytes.TrimSpace(got)) {
		if acts(r) {
			t.Errorf("%U is still there: %q", r, got)
		}
	}
	var out map[string]string
	if err := json.Unmarshal(got, &out); err != nil {
		t.Fatal(err)
	}
	for k, v := range in {
		if out[k] != v {
			t.Errorf("%q became %q", v, out[k])
		}
	}
}

func TestSafeCell(t *testing.T) {
	for in, safe := range map[string]bool{
		"spring": true, "": true, "a=b": true, "1+1": true, "´": true,
		"=1+1": false, "+1": false, "-1": false, "@SUM(A1)": false, "\t=1": false, "\r=1": false, "  =1": false, "＝1": false, "|x": false,
	} {
		want := in
		if !safe {
			want = "'" + in
		}
		if got := SafeCell(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// FuzzClean: nothing that acts gets through, and clean text stays as it is.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[31m", "a\u202e", "\x9b", "a\nb\tc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		for _, r := range got {
			if acts(r) {
				t.Fatalf("%U in %q of %q", r, got, s)
			}
		}
		if !utf8.ValidString(got) || Clean(got) != got {
			t.Fatalf("%q of %q", got, s)
		}
	})
}
