package pepper

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct{ pepper, mistake string }{
		"none":                     {"", "0 bits at most, want 64"},
		"a word":                   {"salt", "8 bits at most"},
		"sixteen times a":          {strings.Repeat("a", 16), "16 characters, 1 different ones, are 0 bits at most"},
		"a thousand times a":       {strings.Repeat("a", 1000), "0 bits"},
		"two letters":              {strings.Repeat("ab", 50), "of 100 characters repeat or continue"},
		"a word, often":            {strings.Repeat("changeme", 8), "repeat or continue"},
		"the alphabet":             {"abcdefghijklmnopqrstuvwxyz", "repeat or continue"},
		"backwards":                {"zyxwvutsrqponmlkjihgfedcba", "repeat or continue"},
		"hex digits, twice":        {"0123456789abcdef0123456789abcdef", "repeat or continue"},
		"a short password":         {"Tr0ub4dor&3", "bits at most"},
		"fifteen different ones":   {"q7Xz!mB2v#Lr9$K", "58 bits at most"},
		"sixteen different ones":   {"q7Xz!mB2v#Lr9$Kd", ""},
		"two words, said twice":    {"kettle-garden-kettle-garden", ""},
		"the length of a phone":    {"447700900123", "bits at most"},
		"openssl rand -hex 32":     {"5d2ae8c1b07f4e96a3d80c17f6b94e2d71c5a08be3f29d46107ab5c8d9e3f012", ""},
		"openssl rand -hex 16":     {"9f86d081884c7d659a2feaa0c55ad015", ""},
		"openssl rand -base64 16":  {"pZ7n0kq3T4mX9vYb1LwJcg==", ""},
		"a sentence of some words": {"a pepper only the tests know", ""},
		"of letters beyond ASCII":  {"zwölf Boxkämpfer jagen Viktor über", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(c.pepper)
			if (err == nil) != (c.mistake == "") || err != nil && !strings.Contains(err.Error(), c.mistake) {
				t.Fatalf("got %v, want %q", err, c.mistake)
			}
			if err != nil && !strings.Contains(err.Error(), "openssl rand -hex 32") {
				t.Errorf("no remedy in %v", err)
			}
			if err != nil && len(c.pepper) > 3 && strings.Contains(err.Error(), c.pepper) {
				t.Errorf("the error tells the pepper: %v", err)
			}
		})
	}
}

// TestGeneratedPeppersPass: what generators make is never refused, in any form
// that people use.
func TestGeneratedPeppersPass(t *testing.T) {
	forms := map[string]func([]byte) string{
		"32 bytes in hex":    hex.EncodeToString,
		"16 bytes in hex":    func(b []byte) string { return hex.EncodeToString(b[:16]) },
		"32 bytes in base64": base64.StdEncoding.EncodeToString,
		"16 bytes in base64": func(b []byte) string { return base64.StdEncoding.EncodeToString(b[:16]) },
	}
	for name, form := range forms {
		for range 20_000 {
			b := make([]byte, 32)
			if _, err := rand.Read(b); err != nil {
				t.Fatal(err)
			}
			if err := Check(form(b)); err != nil {
				t.Fatalf("%s, %x: %v", name, b, err)
			}
		}
	}
}
