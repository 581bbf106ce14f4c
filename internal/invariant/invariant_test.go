package invariant_test

import (
	"strings"
	"testing"

	"github.com/bluetick/bluetick/internal/invariant"
)

func TestCheck(t *testing.T) {
	invariant.Check(true, "never shown")
	defer func() {
		got, _ := recover().(string)
		if invariant.Enabled && got != "BUG: I9: 3 is not 4" {
			t.Errorf("panic text %q", got)
		}
		if !invariant.Enabled && got != "" {
			t.Errorf("disabled check panicked: %q", got)
		}
		if strings.Contains(got, "never") {
			t.Error("a true condition panicked")
		}
	}()
	invariant.Check(false, "I9: %d is not %d", 3, 4)
}
