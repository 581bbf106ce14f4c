// Package lint holds the house rules that a compiler does not know, as tests: who
// may import whom, how long a file may be, what may be used where.
package lint

import (
	"bufio"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bluetick/bluetick/"

// root is the top of the repository, seen from this package's folder.
const root = "../.."

type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
}

func under(path string, roots ...string) bool {
	for _, r := range roots {
		if path == r || strings.HasPrefix(path, r+"/") {
			return true
		}
	}
	return false
}

// stage is the part of the pipeline a package belongs to, or "".
func stage(path string) string {
	for _, s := range []string{"ingest", "aggregate/message", "aggregate/rollup", "alert", "sink"} {
		if under(path, s) {
			return s
		}
	}
	return ""
}

// TestImports checks the direction of every import of production code.
func TestImports(t *testing.T) {
	only := []struct {
		imported string
		by       []string
		why      string
	}{
		{
			"github.com/twmb/franz-go/pkg/kgo",
			[]string{"ingest", "internal/task", "sink", "cmd/bluetick/internal/pipeline", "internal/kafkatest", "internal/topics", "internal/kafkalog", "internal/kafkaerr", "internal/embedded/kafka"},
			"Kafka lives at the rim; folds and decoders know nothing of it",
		},
		{
			"github.com/ClickHouse/clickhouse-go/v2",
			[]string{"sink/clickhouse", "internal/embedded/clickhouse", "internal/audit", "cmd/bluetick/internal/pipeline"},
			"one client of ClickHouse, one place that knows its types",
		},
		{module + "internal/statecodec", []string{"aggregate", "alert"}, "states are written and read by their folds alone"},
		{"testing", []string{"ingest/provider/providertest", "internal/kafkatest", "internal/golden", "internal/embedded/clickhouse/chtest", "internal/task/tasktest"}, "production code does not test"},
		{"log", nil, "logs are structured: log/slog"},
	}
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for _, rule := range only {
				if imported == rule.imported && !under(p.ImportPath, rule.by...) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, rule.why)
				}
			}
			own, ok := strings.CutPrefix(imported, module)
			if !ok {
				continue
			}
			if a, b := stage(p.ImportPath), stage(own); a != "" && b != "" && a != b {
				t.Errorf("%s imports %s: stages meet in schemas, never in each other", p.ImportPath, own)
			}
			if under(p.ImportPath, "internal") && stage(own) != "" {
				t.Errorf("%s imports %s: internal never imports a stage", p.ImportPath, own)
			}
			if under(p.ImportPath, "internal/statecodec") {
				t.Errorf("%s imports %s: the form of fields knows neither folds nor schemas", p.ImportPath, own)
			}
			if under(own, "cmd") && !under(p.ImportPath, "cmd") {
				t.Errorf("%s imports %s: nothing climbs into cmd", p.ImportPath, own)
			}
			if under(p.ImportPath, "schemas") && !under(own, "schemas") {
				t.Errorf("%s imports %s: schemas depends on nothing of ours", p.ImportPath, own)
			}
		}
	}
}

// TestProvidersStandAlone checks that the general half of decoding knows no
// provider, that providers do not know each other, that only the command line
// lists them, and that none of them does I/O.
func TestProvidersStandAlone(t *testing.T) {
	const seam, kit = "ingest/provider", "ingest/provider/providertest"
	one := func(path string) bool { return path != seam && path != kit && under(path, seam) }
	providers := 0
	for _, p := range packages(t) {
		if one(p.ImportPath) {
			providers++
		}
		for _, imported := range p.Imports {
			if under(p.ImportPath, seam) && slices.Contains([]string{"os", "io", "net", "context", "log/slog"}, imported) {
				t.Errorf("%s imports %s: a provider is requests in, events out", p.ImportPath, imported)
			}
			own, ok := strings.CutPrefix(imported, module)
			if !ok {
				continue
			}
			if one(own) && !under(p.ImportPath, "cmd/bluetick", own) {
				t.Errorf("%s imports %s: only the command line knows which providers there are", p.ImportPath, own)
			}
			if p.ImportPath == seam && own != "schemas" {
				t.Errorf("%s imports %s: the seam knows nothing but schemas", p.ImportPath, own)
			}
			if one(p.ImportPath) && own != seam && own != "schemas" && !under(own, p.ImportPath) {
				t.Errorf("%s imports %s: a provider knows the seam and schemas", p.ImportPath, own)
			}
		}
	}
	if providers == 0 {
		t.Errorf("no package below %s: has it moved?", seam)
	}
}

// TestKafkaIsReachedInOnePlace: whoever makes a Kafka client is given the options
// that reach the cluster, so that what a connection needs is added once. The
// embedded broker may speak to itself.
func TestKafkaIsReachedInOnePlace(t *testing.T) {
	fset := token.NewFileSet()
	found := false
	goFiles(t, func(path string) {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		if strings.HasSuffix(path, "_test.go") || under(dir, "internal/kafkatest", "internal/embedded/kafka") {
			return
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := call.X.(*ast.Ident)
			if !ok || x.Name != "kgo" || call.Sel.Name != "SeedBrokers" {
				return true
			}
			if filepath.ToSlash(rel) != "cmd/bluetick/internal/pipeline/kafka.go" {
				t.Errorf("%s: kgo.SeedBrokers: the options of a client are handed in", fset.Position(call.Pos()))
			}
			found = true
			return true
		})
	})
	if !found {
		t.Error("kgo.SeedBrokers is nowhere: this test looks at the wrong place")
	}
}

// TestEngineTestsAreSerial checks that every package whose tests load the
// ClickHouse library is in the Makefile's list of packages tested one at a time.
func TestEngineTestsAreSerial(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var listed string
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "ENGINE_PKGS :="); ok {
			listed = " " + strings.TrimSpace(rest) + " "
		}
	}
	engine := module + "internal/embedded/clickhouse"
	for _, p := range packages(t) {
		loads := p.ImportPath == "internal/embedded/clickhouse"
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			loads = loads || imported == engine || imported == engine+"/chtest"
		}
		if loads && !strings.Contains(listed, " ./"+p.ImportPath+" ") {
			t.Errorf("%s loads the engine in its tests: add it to ENGINE_PKGS in the Makefile", p.ImportPath)
		}
	}
}

func goFiles(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "data" || name == "testdata") {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".pb.go") {
			visit(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFileLength keeps files short, so that each answers one question.
func TestFileLength(t *testing.T) {
	goFiles(t, func(path string) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := 0
		for s := bufio.NewScanner(f); s.Scan(); {
			lines++
		}
		if lines > 500 {
			t.Errorf("%s has %d lines, want at most 500", path, lines)
		}
	})
}

// TestSource checks what a parser can see: function length, package comments,
// documented exports, clocks passed in, no init, no sleeping tests.
func TestSource(t *testing.T) {
	documented := map[string]bool{}
	fset := token.NewFileSet()
	goFiles(t, func(path string) {
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		test := strings.HasSuffix(path, "_test.go")
		documented[dir] = documented[dir] || file.Doc != nil
		for _, d := range file.Decls {
			checkDecl(t, fset, d, test)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := call.X.(*ast.Ident)
			if !ok || x.Name != "time" {
				return true
			}
			if call.Sel.Name == "Now" && !test && !under(dir, "cmd", "internal/app", "internal/kafkatest") {
				t.Errorf("%s: time.Now: a clock is passed in", fset.Position(call.Pos()))
			}
			if call.Sel.Name == "Sleep" {
				t.Errorf("%s: time.Sleep: wait for a signal or a timer that a stop can end", fset.Position(call.Pos()))
			}
			return true
		})
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

func checkDecl(t *testing.T, fset *token.FileSet, d ast.Decl, test bool) {
	t.Helper()
	switch d := d.(type) {
	case *ast.FuncDecl:
		at := fset.Position(d.Pos())
		if d.Name.Name == "init" && d.Recv == nil {
			t.Errorf("%s: func init: list things where they are used", at)
		}
		if n := fset.Position(d.End()).Line - at.Line + 1; n > 70 && !test {
			t.Errorf("%s: %s has %d lines, want at most 70", at, d.Name.Name, n)
		}
		if !test && d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
			t.Errorf("%s: %s is exported and has no comment", at, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if s, ok := s.(*ast.TypeSpec); ok && !test && s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
				t.Errorf("%s: type %s is exported and has no comment", fset.Position(s.Pos()), s.Name.Name)
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}
