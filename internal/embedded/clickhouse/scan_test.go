package clickhouse

import (
	"strings"
	"testing"
)

func TestParseStatement(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want statement
		code int
	}{
		"select":                {"SELECT 1", statement{text: "SELECT 1", streams: true}, 0},
		"format":                {"SELECT 1 FORMAT JSON", statement{text: "SELECT 1 FORMAT JSON", outputFormat: "JSON", streams: true}, 0},
		"format and semicolon":  {"SELECT 1 format CSV ;", statement{text: "SELECT 1 format CSV ;", outputFormat: "CSV", streams: true}, 0},
		"format, settings":      {"SELECT 1 FORMAT CSV SETTINGS a = 1, b = 'x'", statement{text: "SELECT 1 FORMAT CSV SETTINGS a = 1, b = 'x'", outputFormat: "CSV", streams: true}, 0},
		"settings, format":      {"SELECT 1 SETTINGS a = 1 FORMAT CSV", statement{text: "SELECT 1 SETTINGS a = 1 FORMAT CSV", outputFormat: "CSV", streams: true}, 0},
		"column called format":  {"SELECT format FROM t", statement{text: "SELECT format FROM t", streams: true}, 0},
		"function called so":    {"SELECT format('{}', x) FROM t", statement{text: "SELECT format('{}', x) FROM t", streams: true}, 0},
		"format in a subquery":  {"SELECT (SELECT 1 FORMAT JSON)", statement{text: "SELECT (SELECT 1 FORMAT JSON)", streams: true}, 0},
		"format in a string":    {"SELECT ' FORMAT JSON'", statement{text: "SELECT ' FORMAT JSON'", streams: true}, 0},
		"format in a comment":   {"SELECT 1 -- FORMAT JSON", statement{text: "SELECT 1 -- FORMAT JSON", streams: true}, 0},
		"outfile":               {"SELECT 1 INTO OUTFILE 'x' FORMAT CSV", statement{text: "SELECT 1 INTO OUTFILE 'x' FORMAT CSV", outputFormat: "CSV"}, 0},
		"with":                  {"WITH 1 AS x SELECT x", statement{text: "WITH 1 AS x SELECT x", streams: true}, 0},
		"with insert":           {"WITH 1 AS x INSERT INTO t SELECT x", statement{text: "WITH 1 AS x INSERT INTO t SELECT x"}, 0},
		"with insert values":    {"WITH 1 AS x INSERT INTO t VALUES (1)", statement{}, 48},
		"with insert format":    {"WITH 1 AS x INSERT INTO t (format) FORMAT TSV\n1", statement{}, 48},
		"explain insert":        {"EXPLAIN AST INSERT INTO t VALUES (1)", statement{}, 48},
		"column called insert":  {"SELECT insert FROM t FORMAT CSV", statement{text: "SELECT insert FROM t FORMAT CSV", outputFormat: "CSV", streams: true}, 0},
		"show":                  {"SHOW TABLES FORMAT CSV", statement{text: "SHOW TABLES FORMAT CSV", outputFormat: "CSV"}, 0},
		"values":                {"INSERT INTO t VALUES (1)", statement{text: "INSERT INTO t", insert: true, dataFormat: "Values", tail: " (1)"}, 0},
		"columns":               {"INSERT INTO d . `t` (a, \"b\") VALUES(1)", statement{text: "INSERT INTO d . `t` (a, \"b\")", insert: true, dataFormat: "Values", tail: "(1)"}, 0},
		"blank lines":           {"INSERT\n\nINTO t\n\n(a)\n\nFORMAT\n\nTSV\n\n1", statement{text: "INSERT INTO t (a)", insert: true, dataFormat: "TSV", tail: "\n1"}, 0},
		"comments":              {"INSERT INTO t /* ( */ -- VALUES\n(a) #! x\nFORMAT TSV 1", statement{text: "INSERT INTO t (a)", insert: true, dataFormat: "TSV", tail: "1"}, 0},
		"table called values":   {"INSERT INTO values VALUES (1)", statement{text: "INSERT INTO values", insert: true, dataFormat: "Values", tail: " (1)"}, 0},
		"table called format":   {"INSERT INTO TABLE d.format FORMAT TSV\n1", statement{text: "INSERT INTO TABLE d.format", insert: true, dataFormat: "TSV", tail: "1"}, 0},
		"column called values":  {"INSERT INTO t (values, format) FORMAT TSV\n1", statement{text: "INSERT INTO t (values, format)", insert: true, dataFormat: "TSV", tail: "1"}, 0},
		"parameter":             {"INSERT INTO {t:Identifier} VALUES (1)", statement{text: "INSERT INTO {t:Identifier}", insert: true, dataFormat: "Values", tail: " (1)"}, 0},
		"function":              {"INSERT INTO FUNCTION null('a Int8') VALUES (1)", statement{text: "INSERT INTO FUNCTION null('a Int8')", insert: true, dataFormat: "Values", tail: " (1)"}, 0},
		"settings before":       {"INSERT INTO t SETTINGS a = 'FORMAT' FORMAT TSV\r\n1", statement{text: "INSERT INTO t SETTINGS a = 'FORMAT'", insert: true, dataFormat: "TSV", tail: "1"}, 0},
		"nothing behind":        {"INSERT INTO t (a);", statement{text: "INSERT INTO t (a)", insert: true, dataFormat: "Values"}, 0},
		"select behind":         {"INSERT INTO t SELECT 1", statement{text: "INSERT INTO t SELECT 1"}, 0},
		"union behind":          {"INSERT INTO t WITH 1 AS x SELECT x", statement{text: "INSERT INTO t WITH 1 AS x SELECT x"}, 0},
		"empty":                 {" ;; -- x", statement{}, 62},
		"string without end":    {"SELECT 'x", statement{}, 62},
		"comment without end":   {"SELECT /* x", statement{}, 62},
		"heredoc without end":   {"SELECT $a$ x $b$", statement{}, 62},
		"insert, string open":   {"INSERT INTO `t VALUES (1)", statement{}, 62},
		"insert, second":        {"INSERT INTO t; DROP TABLE t", statement{}, 62},
		"insert, format absent": {"INSERT INTO t FORMAT", statement{}, 62},
		"infile":                {"INSERT INTO t FROM INFILE 'x' FORMAT TSV", statement{}, 48},
		"input":                 {"INSERT INTO t SELECT * FROM input('a Int8') FORMAT TSV\n1", statement{}, 48},
	} {
		t.Run(name, func(t *testing.T) {
			got, exc := parseStatement(c.src)
			if exc != nil {
				if exc.code != c.code {
					t.Errorf("refused: %v", exc)
				}
				return
			}
			if got != c.want || c.code != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestNamesFile(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT file('x')":              true,
		"SELECT `file`('x')":            true,
		"SELECT * APPLY(file)":          true,
		`SELECT "fi\x6ce"('x')`:         true,
		"SELECT 'unfinished":            true,
		"SELECT 'file(1)'":              false,
		`SELECT 'it\'s file(1)'`:        false,
		"SELECT 'it''s file(1)'":        false,
		"SELECT profile(1), file_name":  false,
		"SELECT `file name`":            false,
		"SELECT $x$file('a')$x$":        false,
		`SELECT '\\', file('x'), '\\'`:  true,
		"SELECT '''', file('x'), ''''":  true,
		"SELECT 1 AS a, FILE('x') AS b": true,
	} {
		if got := namesFile(text); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func TestSecondStatement(t *testing.T) {
	for data, want := range map[string]bool{
		"(1, ';')":                false,
		"(1);":                    false,
		"(1);\n -- end\n":         false,
		"(1); DROP TABLE t":       true,
		"(1), (';x'); SELECT 1":   true,
		"(1, 'unfinished; SELECT": false, // the engine reports what is wrong with it
	} {
		if got := secondStatement(data); got != want {
			t.Errorf("%s: %t", data, got)
		}
	}
}

// FuzzParseStatement holds the parser to what C3 needs: it ends, the head has no line break outside quotes and
// the data is the end of what came in.
func FuzzParseStatement(f *testing.F) {
	for _, seed := range []string{
		"SELECT 1 FORMAT JSON", "INSERT INTO t (a) VALUES (1), ('\n\n;')", "INSERT INTO t FORMAT TSV\n1\n\nDROP TABLE x",
		"INSERT INTO `t\\`` SETTINGS a=$x$;$x$ VALUES", "-- x\n/* y */ INSERT", "WITH x AS (SELECT 'a''b') SELECT \"q\" SETTINGS a=1;",
		"INSERT INTO t SELECT input", "\xff$a$", "INSERT INTO FUNCTION f(')') VALUES ($$ $$)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		st, exc := parseStatement(src)
		if exc != nil {
			return
		}
		if !st.insert {
			if st.text != src || st.tail != "" {
				t.Fatalf("%q became %q and %q", src, st.text, st.tail)
			}
			return
		}
		if !strings.HasSuffix(src, st.tail) {
			t.Fatalf("%q: data %q", src, st.tail)
		}
		s := &scanner{src: st.text}
		end := 0
		for tok := s.next(); tok.kind != tokenEnd; tok = s.next() {
			if strings.Contains(st.text[end:tok.start], "\n") {
				t.Fatalf("%q: head %q has a line break", src, st.text)
			}
			end = tok.end
		}
	})
}
