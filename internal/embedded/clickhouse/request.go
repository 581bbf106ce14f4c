package clickhouse

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// request is what a client asks for, besides the statement's text.
type request struct {
	id       string // echoed to the client
	killMark string // log_comment of the running query: how we find it to kill it
	admin    bool
	readOnly bool // may not change anything: true of every reader, and of every GET
	// traceless: the statement leaves the connection as it was, except for what the URL has set.
	traceless bool

	query    string // parameter query; the body is then its data or its continuation
	database string
	format   string // of the result, unless the statement names one
	settings []param
	params   []param
	revision uint64 // of the Native format that the client wants in its hello

	sessionID      string
	sessionTimeout time.Duration
	sessionCheck   bool

	lz4, zstd bool // blocks of the result, parameter compress
	unpack    bool // body consists of compressed blocks, parameter decompress
	gzip      bool // response, header Accept-Encoding
}

const (
	defaultSessionTimeout = 60 * time.Second // as in a server
	maxSessionTimeout     = time.Hour        // as in a server
)

// transportParams belong to the HTTP interface or mean nothing here; they are not settings of the engine.
// log_comment is ours: it marks the running query.
const transportParams = " query query_id user password quota_key database default_format session_id session_timeout session_check" +
	" compress decompress network_compression_method network_zstd_compression_level client_protocol_version stacktrace role" +
	" enable_http_compression http_zlib_compression_level wait_end_of_query buffer_size log_comment log_queries readonly" +
	" send_progress_in_http_headers http_headers_progress_interval_ms add_http_cors_header" +
	" cancel_http_readonly_queries_on_client_close http_write_exception_in_output_format max_query_size "

// readerSettings are the settings that a reader may change through the URL: how results look and how little they
// may cost. Not among them: everything that names a file (format_schema, output_format_schema), raises memory or
// switches a check off.
const readerSettings = " date_time_output_format date_time_input_format session_timezone extremes join_use_nulls final limit offset" +
	" max_threads max_block_size max_execution_time timeout_overflow_mode max_result_rows max_result_bytes result_overflow_mode" +
	" max_rows_to_read max_bytes_to_read read_overflow_mode max_rows_to_group_by group_by_overflow_mode use_query_cache" +
	" format_csv_delimiter prefer_column_name_to_alias select_sequential_consistency "

func listed(list, name string) bool {
	return strings.Contains(list, " "+name+" ")
}

func readerMaySet(name string) bool {
	return listed(readerSettings, name) || strings.HasPrefix(name, "output_format_") && !strings.Contains(name, "schema")
}

// values reads a query string as a server does: only & separates, so that a statement may end in a semicolon.
func values(raw string) ([]param, *exception) {
	var out []param
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, raise(codeBadArguments, "BAD_ARGUMENTS", "Bad URL encoding in parameter %q", name)
		}
		out = append(out, param{n, value})
	}
	return out, nil
}

// parseRequest reads URL and headers, authenticates and refuses what the user may not set.
func (e *Engine) parseRequest(r *http.Request) (*request, *exception) {
	pairs, exc := values(r.URL.RawQuery)
	if exc != nil {
		return nil, exc
	}
	q := &request{
		killMark:       "bluetick:" + uuid.NewString(),
		database:       r.Header.Get("X-ClickHouse-Database"),
		format:         r.Header.Get("X-ClickHouse-Format"),
		sessionTimeout: defaultSessionTimeout,
		gzip:           acceptsGzip(r.Header.Get("Accept-Encoding")),
	}
	user, password := r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	if u, p, ok := r.BasicAuth(); ok {
		user, password = u, p
	}
	for _, p := range pairs {
		switch p.name {
		case "user":
			user = p.value
		case "password":
			password = p.value
		}
	}
	if exc := e.authenticate(q, user, password); exc != nil {
		return nil, exc
	}
	q.readOnly = !q.admin || r.Method == http.MethodGet
	for _, p := range pairs {
		if exc := q.apply(p); exc != nil {
			return nil, exc
		}
	}
	if q.id == "" {
		q.id = uuid.NewString()
	}
	if !q.admin {
		// Temporary tables and SET are not for readers, so a session would hold nothing; clients that always
		// send one are served without.
		q.sessionID = ""
		if q.unpack {
			return nil, readOnlyError("decompress")
		}
	}
	return q, nil
}

func readOnlyError(setting string) *exception {
	return raise(codeReadOnly, "READONLY", "Cannot modify '%s' setting in readonly mode", setting)
}

// authenticate compares in constant time, so that the answer's delay tells nothing about the password.
func (e *Engine) authenticate(q *request, user, password string) *exception {
	want := e.cfg.ReaderPassword
	if user == AdminUser {
		q.admin, want = true, e.cfg.AdminPassword
	}
	if want == "" || subtle.ConstantTimeCompare([]byte(password), []byte(want)) == 1 {
		return nil
	}
	return raise(codeAuthentication, "AUTHENTICATION_FAILED", "%s: Authentication failed: password is incorrect, or there is no user with such name", user)
}

func (q *request) apply(p param) *exception {
	on := p.value == "1" || p.value == "true"
	switch p.name {
	case "query":
		q.query = p.value
	case "query_id":
		q.id = p.value
	case "database":
		q.database = p.value
	case "default_format":
		q.format = p.value
	case "session_id":
		q.sessionID = p.value
	case "session_check":
		q.sessionCheck = on
	case "session_timeout":
		seconds, err := strconv.Atoi(p.value)
		if err != nil || seconds < 0 || time.Duration(seconds)*time.Second > maxSessionTimeout {
			return raise(codeBadArguments, "BAD_ARGUMENTS", "Invalid session timeout: '%s' (at most %d seconds)", p.value, int(maxSessionTimeout.Seconds()))
		}
		q.sessionTimeout = time.Duration(seconds) * time.Second
	case "compress":
		q.lz4 = on
	case "decompress":
		q.unpack = on
	case "network_compression_method":
		q.zstd = strings.EqualFold(p.value, "zstd")
	case "enable_http_compression":
		q.gzip = q.gzip && on
	case "client_protocol_version":
		q.revision, _ = strconv.ParseUint(p.value, 10, 32) // one that cannot be read counts as none
	}
	name, isParam := strings.CutPrefix(p.name, "param_")
	switch {
	case listed(transportParams, p.name):
	case !isName(name):
		return raise(115, "UNKNOWN_SETTING", "Setting %q is neither a builtin setting nor started with the prefix 'param_'", p.name)
	case isParam:
		q.params = append(q.params, param{name, p.value})
	case !q.admin && !readerMaySet(p.name):
		return readOnlyError(p.name)
	case !q.admin && p.name == "max_threads":
		q.settings = append(q.settings, param{p.name, atMostThreads(p.value)})
	default:
		q.settings = append(q.settings, p)
	}
	return nil
}

// isName guards the places where a name is put into SQL unquoted.
func isName(s string) bool {
	for i := range len(s) {
		if !isWordByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}
