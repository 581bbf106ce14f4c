package clickhouse

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
)

func TestPlainHTTP(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	get := func(path string) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return do(t, s, r)
	}
	post := func(path, body string) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // what curl -d sends
		return do(t, s, r)
	}
	as := "?user=" + AdminUser + "&password=" + url.QueryEscape(testPassword) + "&query="
	for name, c := range map[string]struct {
		got    answer
		status int
		body   string // exact, or with a leading ~ contained
	}{
		"root":               {get("/"), 200, "Ok.\n"},
		"ping":               {get("/ping"), 200, "Ok.\n"},
		"elsewhere":          {get("/nowhere"), 404, "~no handle"},
		"get":                {get("/?query=SELECT+1"), 200, "1\n"},
		"get semicolon":      {get("/?query=SELECT%201;"), 200, "1\n"},
		"get writes":         {get("/" + as + "CREATE+TABLE+g+(a+Int8)+ENGINE=Memory"), 403, "~method GET implies readonly"},
		"get bad encoding":   {get("/?query=%zz"), 400, "~Code: 36."},
		"get without":        {get("/?user=default"), 400, "~Empty query"},
		"post body":          {post("/?user=default", "SELECT 1"), 200, "1\n"},
		"post both":          {post("/?query=SELECT", "2"), 200, "2\n"},
		"post empty":         {post("/", ""), 400, "~Code: 62."},
		"post comment":       {post("/", "-- nothing\n"), 400, "~Code: 62."},
		"post unfinished":    {post("/", "SELECT 'x"), 400, "~Code: 62."},
		"post path":          {post("/query", "SELECT 3"), 200, "3\n"},
		"post default":       {post("/?default_format=CSV", "SELECT 'a'"), 200, "\"a\"\n"},
		"post clause":        {post("/?default_format=CSV", "SELECT 'a' AS x FORMAT JSONEachRow;"), 200, "{\"x\":\"a\"}\n"},
		"post unknown table": {post("/", "SELECT * FROM nope"), 404, "~Code: 60. DB::Exception"},
		"post unknown db":    {post("/?database=nope", "SELECT 1"), 404, "~Code: 81."},
		"post syntax":        {post("/", "SELECT FROM WHERE"), 400, "~Syntax error"},
		"post misspelt":      {post("/", "SELEC 1"), 400, "~Syntax error"},
		"post throw":         {post("/", "SELECT throwIf(1, 'boom')"), 500, "~boom"},
		"post unknown fmt":   {post("/", "SELECT 1 FORMAT Nope"), 404, "~Code: 73."},
		"post params":        {post("/?param_a=x%5Cty&param_n=7", "SELECT {a:String}, {n:UInt8} + 1"), 200, "x\\ty\t8\n"},
		"post missing param": {post("/", "SELECT {a:String}"), 400, "~Code: 456."},
		"post nul":           {post("/", "SELECT 1\x00"), 400, "~Code: 62."},
		"post deep":          {post("/", "SELECT "+strings.Repeat("(", 5000)+"1"), 400, "~max_parser_depth parameter (TOO_DEEP"},
		"post empty result":  {post("/", "SELECT 1 WHERE 0"), 200, ""},
		"post column format": {post("/", "SELECT format FROM (SELECT 'q' AS format)"), 200, "q\n"},
	} {
		t.Run(name, func(t *testing.T) {
			contained, ok := strings.CutPrefix(c.body, "~")
			if c.got.status != c.status || ok && !strings.Contains(c.got.body, contained) || !ok && c.got.body != c.body {
				t.Errorf("%d %q", c.got.status, c.got.body)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	e := openEngine(t)
	s := serveEngine(t, e)
	a := admin(t, s, "SELECT number FROM numbers(5) FORMAT JSON", "query_id", "q-1")
	for name, want := range map[string]string{
		"Content-Type":          "application/json; charset=UTF-8",
		"X-ClickHouse-Query-Id": "q-1",
		"X-ClickHouse-Format":   "JSON",
		"X-ClickHouse-Timezone": e.timezone,
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var summary map[string]string
	if err := json.Unmarshal([]byte(a.header.Get("X-ClickHouse-Summary")), &summary); err != nil || summary["read_rows"] != "5" {
		t.Errorf("summary %v, %v", summary, err)
	}
	must(t, s, "CREATE TABLE t (a UInt8) ENGINE = Memory")
	a = admin(t, s, "INSERT INTO t VALUES (1), (2)")
	if err := json.Unmarshal([]byte(a.header.Get("X-ClickHouse-Summary")), &summary); err != nil || summary["written_rows"] != "2" {
		t.Errorf("summary of an insert %v, %v", summary, err)
	}
	a = admin(t, s, "SELECT * FROM nope")
	if a.code() != "60" || !strings.Contains(a.body, "(UNKNOWN_TABLE)") || !strings.Contains(a.body, "(version "+e.Version()) {
		t.Errorf("exception %q %q", a.code(), a.body)
	}
}

// TestInsertData is invariant C3: whatever the data looks like, it is data.
func TestInsertData(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	must(t, s, "CREATE TABLE victim (a UInt8) ENGINE = Memory")
	for name, c := range map[string]struct {
		sql   string // {t} is the table
		param string // parameter query, if the statement is there and sql is the body
		want  string // rows a:b joined, or a leading ! and the code of the refusal
	}{
		"values":                 {"INSERT INTO {t} VALUES (1, 'x')", "", "1:x"},
		"values blank line":      {"INSERT INTO {t} VALUES (1, 'x')\n\n,(2, 'a\n\nDROP TABLE victim')", "", "1:x 2:a\n\nDROP TABLE victim"},
		"values expressions":     {"INSERT INTO {t} (b, a) VALUES (concat('p', 'q'), 1 + 1)", "", "2:pq"},
		"values lower case":      {"insert into {t} values (1, 'x');", "", "1:x"},
		"values without into":    {"INSERT {t} VALUES (1, 'x')", "", "!62"},
		"values comments":        {"/* VALUES (9) */ INSERT -- FORMAT TSV\n INTO TABLE {t} # VALUES\n (a, b) VALUES (1, 'x')", "", "1:x"},
		"values second":          {"INSERT INTO {t} VALUES (1, 'x'); DROP TABLE victim", "", "!62"},
		"values blank second":    {"INSERT INTO {t} VALUES (1, 'x')\n\nDROP TABLE victim", "", "!27"},
		"tsv":                    {"INSERT INTO {t} FORMAT TSV\n1\tx\n2\ty\n", "", "1:x 2:y"},
		"tsv blank line":         {"INSERT INTO {t} FORMAT TSV\n1\tx\n\nDROP TABLE victim\n", "", "!27"},
		"csv in one line":        {"INSERT INTO {t} FORMAT CSV 1,x", "", "1:x"},
		"json blank lines":       {"INSERT INTO {t} FORMAT JSONEachRow\n{\"a\":1,\n\n\"b\":\"x\\n\\nDROP TABLE victim\"}\n\n\n{\"a\":2}\n", "", "1:x\n\nDROP TABLE victim 2:"},
		"json behind blank":      {"INSERT INTO {t} FORMAT JSONEachRow\n\n{\"a\":1}\n\n\nDROP TABLE victim", "", "!27"},
		"settings":               {"INSERT INTO {t} SETTINGS input_format_null_as_default = 1 FORMAT TSV\n1\tx\n", "", "1:x"},
		"body behind parameter":  {"1\tx\n\n", "INSERT INTO {t} (a, b) FORMAT TSV", "!27"},
		"body values":            {"(1, 'x'), (2, 'y')", "INSERT INTO {t} VALUES", "1:x 2:y"},
		"body joined":            {"(2, 'y')", "INSERT INTO {t} VALUES (1, 'x'),", "1:x 2:y"},
		"body without format":    {"(1, 'x')", "INSERT INTO {t}", "1:x"},
		"body rows":              {"{\"a\":1,\"b\":\"x\"}", "INSERT INTO {t} FORMAT JSONEachRow", "1:x"},
		"select":                 {"INSERT INTO {t} SELECT 1, 'a\n\nDROP TABLE victim'", "", "1:a\n\nDROP TABLE victim"},
		"select with":            {"INSERT INTO {t} WITH 3 AS n SELECT n, 'x'", "", "3:x"},
		"with insert":            {"WITH w AS (SELECT 4 AS n) INSERT INTO {t} SELECT n, 'x' FROM w", "", "4:x"},
		"with insert values":     {"WITH 1 AS x INSERT INTO {t} VALUES (1, 'x')\n\nDROP TABLE victim", "", "!48"},
		"select second":          {"INSERT INTO {t} SELECT 1, 'x'; DROP TABLE victim", "", "!62"},
		"select format":          {"INSERT INTO {t} SELECT 1, 'x' FORMAT TSV\n\nDROP TABLE victim", "", "!62"},
		"select input":           {"INSERT INTO {t} SELECT a, 'x' FROM input('a UInt8') FORMAT TSV\n1\n", "", "!48"},
		"infile":                 {"INSERT INTO {t} FROM INFILE '/etc/hostname' FORMAT TSV", "", "!48"},
		"unknown table":          {"INSERT INTO {t}_no VALUES (1)", "", "!60"},
		"unknown format":         {"INSERT INTO {t} FORMAT Nope\n1", "", "!73"},
		"no data":                {"INSERT INTO {t} FORMAT Native", "", ""},
		"head with second":       {"INSERT INTO {t}; DROP TABLE victim", "", "!62"},
		"head cut by blank line": {"INSERT INTO\n\n{t}\n\n(a,\n\nb)\n\nVALUES\n\n(1, 'x')", "", "1:x"},
	} {
		t.Run(name, func(t *testing.T) {
			table := "t_" + strings.ReplaceAll(name, " ", "_")
			must(t, s, "CREATE TABLE "+table+" (a UInt8, b String) ENGINE = MergeTree ORDER BY a")
			fill := strings.NewReplacer("{t}", table)
			var params []string
			if c.param != "" {
				params = []string{"query", fill.Replace(c.param)}
			}
			a := admin(t, s, fill.Replace(c.sql), params...)
			if code, ok := strings.CutPrefix(c.want, "!"); ok {
				if a.code() != code {
					t.Errorf("%d %q", a.status, a.body)
				}
				return
			}
			if a.status != http.StatusOK {
				t.Fatalf("%d %q", a.status, a.body)
			}
			got := must(t, s, "SELECT arrayStringConcat(groupArray(concat(toString(a), ':', b)), ' ') FROM (SELECT * FROM "+table+" ORDER BY a) FORMAT TSVRaw")
			if strings.TrimSuffix(got, "\n") != c.want {
				t.Errorf("the table has %q, want %q", got, c.want)
			}
		})
	}
	if got := must(t, s, "EXISTS TABLE victim"); got != "1\n" {
		t.Error("data was executed")
	}
}

func TestCompression(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	must(t, s, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	var rows strings.Builder
	for range 200_000 {
		rows.WriteString("7\n")
	}
	pack := compress.NewWriter(0, compress.LZ4)
	if err := pack.Compress([]byte(rows.String())); err != nil {
		t.Fatal(err)
	}
	if a := admin(t, s, string(pack.Data), "query", "INSERT INTO t FORMAT TSV", "decompress", "1"); a.status != http.StatusOK {
		t.Fatalf("lz4 insert: %d %s", a.status, a.body)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("INSERT INTO t FORMAT TSV\n" + rows.String()))
	_ = z.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", &zipped)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(AdminUser, testPassword)
	r.Header.Set("Content-Encoding", "gzip")
	if a := do(t, s, r); a.status != http.StatusOK {
		t.Fatalf("gzip insert: %d %s", a.status, a.body)
	}
	if got := must(t, s, "SELECT count() FROM t"); got != "400000\n" {
		t.Fatalf("%s rows", got)
	}

	a := admin(t, s, "SELECT a FROM t", "compress", "1", "enable_http_compression", "0")
	plain, err := io.ReadAll(blockReader{compress.NewReader(strings.NewReader(a.body))})
	if err != nil || string(plain) != rows.String()+rows.String() || len(a.body) > len(plain)/4 {
		t.Errorf("lz4 result: %d bytes from %d, %v", len(plain), len(a.body), err)
	}

	for name, broken := range map[string]struct{ encoding, body, decompress string }{
		"not lz4":    {"", "INSERT INTO t FORMAT TSV\n1\n", "1"},
		"cut lz4":    {"", string(pack.Data[:len(pack.Data)/2]), "1"},
		"not gzip":   {"gzip", "SELECT 1", "0"},
		"unknown":    {"snappy", "SELECT 1", "0"},
		"huge block": {"", strings.Repeat("\xff", 64), "1"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/?decompress="+broken.decompress, strings.NewReader(broken.body))
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth(AdminUser, testPassword)
			r.Header.Set("Content-Encoding", broken.encoding)
			if a := do(t, s, r); a.status < 400 || a.code() == "" {
				t.Errorf("%d %q", a.status, a.body)
			}
		})
	}
}

// TestFormats reads each format as a whole and, from several blocks, as a document that is valid once.
func TestFormats(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	const sql = "SELECT number AS n, toString(number) AS s FROM numbers(150000)"
	for _, format := range []string{"JSON", "JSONCompact", "JSONColumns"} {
		a := reader(t, s, sql+" FORMAT "+format)
		if !json.Valid([]byte(a.body)) {
			t.Errorf("%s: %d bytes are no JSON", format, len(a.body))
		}
	}
	for format, lines := range map[string]int{
		"JSONEachRow": 150_000, "CSV": 150_000, "CSVWithNames": 150_001, "TabSeparatedWithNamesAndTypes": 150_002, "TSV": 150_000,
	} {
		a := reader(t, s, sql, "default_format", format)
		if got := strings.Count(a.body, "\n"); got != lines || a.header.Get("X-ClickHouse-Format") != format {
			t.Errorf("%s: %d lines", format, got)
		}
	}
	for _, format := range []string{"Parquet", "Arrow", "RowBinaryWithNamesAndTypes", "Native", "XML", "Pretty", "Markdown", "Null", "ORC", "Values"} {
		if a := reader(t, s, sql+" LIMIT 10", "default_format", format); a.status != http.StatusOK || a.body == "" && format != "Null" {
			t.Errorf("%s: %d %q", format, a.status, a.body)
		}
	}
}

// TestErrorInMidStream is what a client gets that has already received its 200.
func TestErrorInMidStream(t *testing.T) {
	s := serveEngine(t, openEngine(t))
	a := reader(t, s, "SELECT throwIf(number = 500000, 'boom') FROM numbers(1000000)", "max_threads", "1")
	tag := a.header.Get("X-ClickHouse-Exception-Tag")
	if a.status != http.StatusOK || len(tag) != 16 || !strings.Contains(a.body, "\r\n__exception__\r\n"+tag+"\r\nCode: 395. ") || !strings.HasSuffix(a.body, tag+"\r\n__exception__\r\n") {
		t.Errorf("%d, tag %q, end %q", a.status, tag, a.body[max(0, len(a.body)-300):])
	}
	// A format with a foot comes whole or not at all.
	if a := reader(t, s, "SELECT throwIf(number = 500000, 'boom') FROM numbers(1000000) FORMAT JSON", "max_threads", "1"); a.code() != "395" {
		t.Errorf("%d %q", a.status, a.code())
	}
}

func TestSessions(t *testing.T) {
	e := openEngine(t)
	s := serveEngine(t, e)
	in := func(sql string, more ...string) answer {
		return admin(t, s, sql, append([]string{"session_id", "s1"}, more...)...)
	}
	if a := in("SELECT 1", "session_check", "1"); a.code() != "372" {
		t.Errorf("session before it is there: %d %q", a.status, a.body)
	}
	for _, sql := range []string{"CREATE TEMPORARY TABLE tmp (a UInt8)", "INSERT INTO tmp VALUES (5)", "SET max_threads = 1"} {
		if a := in(sql); a.status != http.StatusOK {
			t.Fatalf("%s: %d %q", sql, a.status, a.body)
		}
	}
	if a := in("SELECT a, getSetting('max_threads') FROM tmp", "session_check", "1"); a.body != "5\t1\n" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if a := in("SELECT getSetting('max_block_size')", "max_block_size", "77"); a.body != "77\n" {
		t.Errorf("setting of a request: %q", a.body)
	}
	if a := in("SELECT getSetting('max_block_size') = 77"); a.body != "0\n" {
		t.Errorf("the setting of a request outlived it: %q", a.body)
	}
	if a := admin(t, s, "SELECT * FROM tmp"); a.code() != "60" {
		t.Errorf("temporary table outside its session: %d %q", a.status, a.body)
	}
	if a := reader(t, s, "SELECT * FROM tmp", "session_id", "s1"); a.code() != "60" {
		t.Errorf("reader in a session of the administrator: %d %q", a.status, a.body)
	}
	if a := in("SELECT 1", "session_timeout", "99999"); a.code() != "36" {
		t.Errorf("timeout: %d %q", a.status, a.body)
	}
}

func TestSessionIsExclusive(t *testing.T) {
	var s sessions
	q := &request{sessionID: "a", sessionTimeout: maxSessionTimeout}
	open := func() (*conn, error) { return &conn{}, nil }
	held, err := s.take(q, 1, open)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.take(q, 1, open); asException(err).code != codeSessionLocked {
		t.Errorf("a second request at once: %v", err)
	}
	if _, err := s.take(&request{sessionID: "b"}, 1, open); asException(err).code != codeTooManyQueries {
		t.Errorf("one session too many: %v", err)
	}
	s.release(q, held)
	if again, err := s.take(q, 1, open); err != nil || again != held {
		t.Errorf("the session is not kept: %v", err)
	}
	s.expire("a", held) // too late: it is busy again
	s.release(q, held)
	s.expire("a", held)
	q.sessionCheck = true
	if _, err := s.take(q, 1, open); asException(err).code != codeNoSession {
		t.Errorf("an expired session: %v", err)
	}
}
