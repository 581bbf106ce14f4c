package clickhouse

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReaderIsReadOnly is invariant C4 from outside: whatever a reader sends, nothing changes and no file is read.
func TestReaderIsReadOnly(t *testing.T) {
	e := openEngine(t)
	s := serveEngine(t, e)
	secret := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(secret, []byte("hidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, s, "CREATE TABLE t (a UInt64, file String DEFAULT 'x') ENGINE = MergeTree ORDER BY a")
	must(t, s, "INSERT INTO t (a) VALUES (1)")
	out := filepath.Join(t.TempDir(), "out.tsv")
	q := "'" + secret + "'"
	for name, sql := range map[string]string{
		"insert values":         "INSERT INTO t (a) VALUES (2)",
		"insert format":         "INSERT INTO t (a) FORMAT TSV\n2\n",
		"insert select":         "INSERT INTO t (a) SELECT 2",
		"insert behind with":    "WITH 2 AS x INSERT INTO t (a) SELECT x",
		"insert commented":      "/* SELECT */ -- SELECT\n INSERT INTO t (a) VALUES (2)",
		"insert function":       "INSERT INTO FUNCTION file('" + out + "', TSV, 'a UInt8') VALUES (1)",
		"create":                "CREATE TABLE u (a UInt8) ENGINE = Memory",
		"create temporary":      "CREATE TEMPORARY TABLE u (a UInt8)",
		"create function":       "CREATE FUNCTION f AS x -> x",
		"create view":           "CREATE VIEW v AS SELECT 1",
		"drop":                  "DROP TABLE t",
		"truncate":              "TRUNCATE TABLE t",
		"alter":                 "ALTER TABLE t DELETE WHERE 1",
		"delete":                "DELETE FROM t WHERE 1",
		"rename":                "RENAME TABLE t TO u",
		"optimize":              "OPTIMIZE TABLE t FINAL",
		"kill":                  "KILL QUERY WHERE 1",
		"set":                   "SET readonly = 0",
		"use":                   "USE system",
		"system":                "SYSTEM DROP MARK CACHE",
		"attach":                "ATTACH TABLE x FROM '/tmp' (a UInt8) ENGINE = Memory",
		"detach":                "DETACH TABLE t",
		"backup":                "BACKUP DATABASE default TO File('" + out + "')",
		"grant":                 "GRANT SELECT ON *.* TO default",
		"outfile":               "SELECT 1 INTO OUTFILE '" + out + "'",
		"outfile with format":   "SELECT 1 INTO OUTFILE '" + out + "' FORMAT CSV",
		"multi":                 "SELECT 1; SELECT 2",
		"multi with drop":       "SELECT 1; DROP TABLE t",
		"multi behind mistake":  "SELECT 1; DROP TABLE t; SELEC (",
		"multi in comment":      "SELECT 1 /* ; */ ; DROP TABLE t",
		"parallel":              "SELECT 1 PARALLEL WITH DROP TABLE t",
		"settings in text":      "SELECT 1 SETTINGS readonly = 0",
		"settings memory":       "SELECT 1 SETTINGS max_memory_usage = 0",
		"file":                  "SELECT file(" + q + ")",
		"file spaced":           "SELECT file /* x */ (" + q + ")",
		"file quoted":           "SELECT `file`(" + q + ")",
		"file double quoted":    `SELECT "file"(` + q + ")",
		"file escaped":          "SELECT `fi\\x6ce`(" + q + ")",
		"file applied":          "SELECT * APPLY(file) FROM (SELECT " + q + " AS a)",
		"file applied bare":     "SELECT * APPLY file FROM (SELECT " + q + " AS a)",
		"file in lambda":        "SELECT arrayMap(x -> file(x), [" + q + "])",
		"file as argument":      "SELECT arrayMap(file, [" + q + "])",
		"file behind comment":   "SELECT 1 --'\n, file(" + q + ") --'",
		"file behind hash":      "SELECT 1 #'\n, file(" + q + ") --'",
		"file behind heredoc":   "SELECT $a$'$a$, file(" + q + "), $b$'$b$",
		"file behind backslash": `SELECT '\\', file(` + q + `), '\\'`,
		"file in with":          "WITH file(" + q + ") AS f SELECT f",
		"file in subquery":      "SELECT (SELECT file(" + q + "))",
		"file in explain":       "EXPLAIN SELECT file(" + q + ")",
		"file table":            "SELECT * FROM file(" + q + ", LineAsString)",
		"file table quoted":     "SELECT * FROM `file`(" + q + ", LineAsString)",
		"file described":        "DESCRIBE TABLE file(" + q + ", LineAsString)",
		"url":                   "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
		"url described":         "DESCRIBE TABLE url('http://127.0.0.1:1/x.csv')",
		"s3":                    "SELECT * FROM s3('http://127.0.0.1:1/b/x.csv', 'k', 's', 'CSV', 'a String')",
		"remote":                "SELECT * FROM remote('127.0.0.1:1', system.one)",
		"mysql":                 "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
		"postgresql":            "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
		"sqlite":                "SELECT * FROM sqlite(" + q + ", 't')",
		"executable":            "SELECT * FROM executable('x.sh', TSV, 'a String')",
		"filesystem":            "SELECT * FROM filesystem('/')",
		"python":                "SELECT * FROM Python(x)",
		"infile":                "INSERT INTO t (a) FROM INFILE " + q + " FORMAT TSV",
		"exchange":              "EXCHANGE TABLES t AND t",
		"undrop":                "UNDROP TABLE t",
		"watch":                 "WATCH t",
		"execute as":            "EXECUTE AS default SELECT 1",
		"copy":                  "COPY t TO STDOUT",
		"begin":                 "BEGIN TRANSACTION",
		"insert as implicit":    "t",
	} {
		t.Run(name, func(t *testing.T) {
			a := reader(t, s, sql)
			if a.status == http.StatusOK || a.code() == "" {
				t.Errorf("%s\n%d %q", sql, a.status, a.body)
			}
			if strings.Contains(a.body, "hidden") {
				t.Errorf("%s\nleaks %q", sql, a.body)
			}
		})
	}
	if got := must(t, s, "SELECT count(), any(a) FROM t"); got != "1\t1\n" {
		t.Errorf("the table is now %q", got)
	}
	if got := must(t, s, "SHOW TABLES"); got != "t\n" {
		t.Errorf("the tables are now %q", got)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a file was written: %v", err)
	}
}

// TestReaderMayRead is the other side of the gates: what a dashboard needs.
func TestReaderMayRead(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	must(t, s, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	must(t, s, "INSERT INTO t VALUES (1), (2)")
	must(t, s, "CREATE VIEW pv AS SELECT a FROM t WHERE a = {want:UInt64}")
	for name, c := range map[string]struct{ sql, want string }{
		"select":             {"SELECT a FROM t ORDER BY a", "1\n2\n"},
		"semicolon":          {"SELECT a FROM t ORDER BY a;\n", "1\n2\n"},
		"comment behind":     {"SELECT 1; -- done", "1\n"},
		"word in a string":   {"SELECT 'file(1)', 'INSERT; DROP TABLE t'", "file(1)\tINSERT; DROP TABLE t\n"},
		"word in a heredoc":  {"SELECT $x$file('a')$x$", "file(\\'a\\')\n"},
		"word in a comment":  {"SELECT 1 /* file('x') */", "1\n"},
		"part of a word":     {"SELECT 1 AS profile, 2 AS file_name", "1\t2\n"},
		"with":               {"WITH x AS (SELECT 3 AS y) SELECT y FROM x", "3\n"},
		"from first":         {"FROM t SELECT count()", "2\n"},
		"union in brackets":  {"(SELECT 1) UNION ALL (SELECT 1)", "1\n1\n"},
		"show":               {"SHOW TABLES LIKE 't'", "t\n"},
		"exists":             {"EXISTS TABLE t", "1\n"},
		"describe":           {"DESCRIBE TABLE t FORMAT JSONCompactColumns", ""},
		"explain":            {"EXPLAIN SELECT 1", ""},
		"format json":        {"SELECT a FROM t ORDER BY a FORMAT JSONCompactEachRow", "[1]\n[2]\n"},
		"parameterised view": {"SELECT * FROM pv(want = 2)", "2\n"},
		"system":             {"SELECT count() > 0 FROM system.parts WHERE table = 't'", "1\n"},
		"unicode":            {"SELECT 'ünï — “x”'", "ünï — “x”\n"},
	} {
		t.Run(name, func(t *testing.T) {
			a := reader(t, s, c.sql)
			if a.status != http.StatusOK || c.want != "" && a.body != c.want {
				t.Errorf("%s\n%d %q", c.sql, a.status, a.body)
			}
		})
	}
}

func TestReaderSettings(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	for name, c := range map[string]struct {
		setting, value string
		status         int
	}{
		"harmless":          {"max_threads", "1", http.StatusOK},
		"output":            {"output_format_json_quote_64bit_integers", "1", http.StatusOK},
		"transport":         {"wait_end_of_query", "1", http.StatusOK},
		"readonly ignored":  {"readonly", "0", http.StatusOK},
		"mark ignored":      {"log_comment", "mine", http.StatusOK},
		"memory":            {"max_memory_usage", "0", http.StatusForbidden},
		"schema read":       {"format_schema", "/etc/passwd:M", http.StatusForbidden},
		"schema written":    {"output_format_schema", "/tmp/x", http.StatusForbidden},
		"ddl":               {"allow_ddl", "1", http.StatusForbidden},
		"introspection":     {"allow_introspection_functions", "1", http.StatusForbidden},
		"implicit select":   {"implicit_select", "1", http.StatusForbidden},
		"injected name":     {"max_threads = 1, readonly", "0", http.StatusNotFound},
		"injected value":    {"session_timezone", "UTC', readonly = '0", http.StatusBadRequest},
		"wrong value":       {"max_threads", "many", http.StatusBadRequest},
		"packed body":       {"decompress", "1", http.StatusForbidden},
		"empty parameter":   {"param_", "1", http.StatusNotFound},
		"session pretended": {"session_id", "x", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			a := reader(t, s, "SELECT getSetting('readonly')", c.setting, c.value)
			if a.status != c.status || a.status == http.StatusOK && a.body != "1\n" {
				t.Errorf("%d %q, want %d", a.status, a.body, c.status)
			}
		})
	}
}

func TestUsers(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	const write = "CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = Memory"
	header := func(user, password string) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(write))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-ClickHouse-User", user)
		r.Header.Set("X-ClickHouse-Key", password)
		return do(t, s, r)
	}
	for name, c := range map[string]struct {
		got  answer
		code string
	}{
		"admin by basic":       {admin(t, s, write), ""},
		"admin by header":      {header(AdminUser, testPassword), ""},
		"admin by parameter":   {as(t, s, "", "", write, "user", AdminUser, "password", testPassword), ""},
		"wrong password":       {as(t, s, AdminUser, "wrong", write), "516"},
		"no password":          {as(t, s, AdminUser, "", write), "516"},
		"wrong for ping query": {as(t, s, AdminUser, "wrong", "SELECT 1"), "516"},
		"nobody":               {as(t, s, "", "", write), "164"},
		"default":              {as(t, s, "default", "", write), "164"},
		"somebody":             {as(t, s, "grafana", "any", write), "164"},
		"default by parameter": {as(t, s, "", "", write, "user", "default"), "164"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got.code() != c.code || (c.code == "") != (c.got.status == http.StatusOK) {
				t.Errorf("%d %q, want code %q", c.got.status, c.got.body, c.code)
			}
			if c.code == "516" && c.got.status != http.StatusForbidden {
				t.Errorf("status %d", c.got.status)
			}
		})
	}
}

func TestReaderPassword(t *testing.T) {
	library, err := Locate("")
	if err != nil {
		t.Skip(err)
	}
	e, err := Open(t.Context(), Config{Dir: t.TempDir(), Library: library, ReaderPassword: "please"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := serveEngine(t, e)
	defer s.Close() // before the engine
	if a := as(t, s, "default", "", "SELECT 1"); a.code() != "516" {
		t.Errorf("without: %d %q", a.status, a.body)
	}
	if a := as(t, s, "default", "please", "SELECT 1"); a.body != "1\n" {
		t.Errorf("with: %d %q", a.status, a.body)
	}
	if a := as(t, s, AdminUser, "please", "SELECT 1"); a.code() != "516" {
		t.Errorf("as administrator: %d %q", a.status, a.body)
	}
}
