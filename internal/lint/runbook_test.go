package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestRunbookQuotes: somebody who looks for a sentence of the log in the runbook finds
// it, as it is written there. Each quotation in a table whose first column is "it says"
// is a text of the code, `…` standing for its values.
func TestRunbookQuotes(t *testing.T) {
	// Sentences of others, and those that are put together from a shared part.
	known := map[string]string{
		"data folder is in use by process":                              "an error inside another",
		"clickhouse.dsn: it is no URL":                                  "a key of the file before the same words",
		"bytes left and 8388608 are needed":                             "a number that is set in the code",
		"did not answer within 2m0s":                                    "the default time-out",
		"read-only file system":                                         "the system's",
		"permission denied":                                             "the system's",
		"too many open files":                                           "the system's",
		"the log of the embedded kafka is damaged: nothing was changed": "an error inside another",
		"meta.json does not read":                                       "a file name before the same words",
		"topics.json does not read":                                     "a file name before the same words",
	}
	texts := literals(t)
	quoted := regexp.MustCompile("`([^`]+)`")
	seen := 0
	for _, cell := range firstCells(t, "../../docs/runbook.md", "it says") {
		for _, quote := range quoted.FindAllStringSubmatch(cell, -1) {
			for part := range strings.SplitSeq(quote[1], "…") {
				part = strings.Trim(part, " :;,")
				if len(part) < 10 || knownPart(known, part) {
					continue
				}
				seen++
				if !strings.Contains(texts, part) {
					t.Errorf("docs/runbook.md quotes %q (in %q), which no text of the code has", part, quote[1])
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d quotations were looked for", seen)
	}
}

func knownPart(known map[string]string, part string) bool {
	for k := range known {
		if strings.Contains(part, k) {
			return true
		}
	}
	return false
}

// firstCells are the first cells of the rows of all tables with this first heading.
func firstCells(t *testing.T, path, heading string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cells []string
	in := false
	for line := range strings.Lines(string(b)) {
		cell, _, row := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		switch {
		case !strings.HasPrefix(line, "|"):
			in = false
		case row && cell == heading:
			in = true
		case row && in:
			cells = append(cells, cell)
		}
	}
	return cells
}

// literals are all string literals of the code, those that are added up as one.
func literals(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	goFiles(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := folded(e)
			if ok {
				all.WriteString(text + "\n")
			}
			return !ok
		})
	})
	return all.String()
}

// folded is the text of a string literal, or of a sum of them.
func folded(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		x, okX := folded(e.X)
		y, okY := folded(e.Y)
		return x + y, okX && okY && e.Op == token.ADD
	}
	return "", false
}
