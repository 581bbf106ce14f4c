package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// helloQuery is how clickhouse-go asks a server for what the native protocol has in its greeting.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// run takes a request from its body to the last byte of its result.
func (e *Engine) run(ctx context.Context, r *http.Request, q *request, out *output) error {
	body, exc := openBody(r, q, e.limits.bodyBytes)
	if exc != nil {
		return exc
	}
	st, data, err := e.readStatement(q, body)
	if err != nil {
		return err
	}
	if strings.TrimSpace(st.text) == helloQuery && q.revision > 0 {
		return e.hello(q, out)
	}
	if q.readOnly && st.insert {
		return cannotWrite(q)
	}
	c, done, err := e.session(q)
	if err != nil {
		return err
	}
	defer func() { done(ctx.Err() == nil) }()
	format := cmp.Or(st.outputFormat, q.format, defaultFormat)
	st.streams = st.streams && streamable(format)
	if err := e.prepare(c, q, st.streams); err != nil {
		return err
	}
	if st.insert {
		q.traceless = true
	} else if err := gate(c, q, st.text); err != nil {
		return err
	}
	defer e.killWhenDone(ctx, q)()
	if err := ctx.Err(); err != nil {
		return err
	}
	if st.insert {
		return runInsert(c, q, st, data, out)
	}
	return runQuery(c, q, st, format, out)
}

// readStatement finds the text and, for an insert, its data. The text is in the parameter query, in the body, or
// begins in the one and goes on in the other after a line break.
func (e *Engine) readStatement(q *request, body io.Reader) (statement, io.Reader, error) {
	if len(q.query) > e.limits.sqlBytes {
		return statement{}, nil, e.tooLong()
	}
	text, more := q.query, false
	var err error
	if text == "" {
		if text, more, err = readText(body, e.limits.sqlBytes); err != nil {
			return statement{}, nil, err
		}
	}
	st, exc := parseStatement(text)
	switch {
	case more && (exc != nil || !st.insert):
		return statement{}, nil, e.tooLong()
	case exc != nil:
		return statement{}, nil, exc
	case st.insert:
		return st, insertData(q, st, body), rejectSecond(st, more || q.query != "")
	case q.query == "":
		return st, nil, nil
	}
	rest, more, err := readText(body, e.limits.sqlBytes)
	if err != nil {
		return statement{}, nil, err
	}
	if more {
		return statement{}, nil, e.tooLong()
	}
	if strings.TrimSpace(rest) == "" {
		return st, nil, nil
	}
	if st, exc = parseStatement(text + "\n" + rest); exc != nil {
		return statement{}, nil, exc
	}
	return st, strings.NewReader(st.tail), nil
}

func (e *Engine) tooLong() *exception {
	return raise(codeSyntaxError, "SYNTAX_ERROR", "Max query size exceeded: the text of a statement may have %d bytes; send the data of an insert after VALUES or FORMAT", e.limits.sqlBytes)
}

// insertData joins the part of the data that came with the text and the rest of the body.
func insertData(q *request, st statement, body io.Reader) io.Reader {
	tail := st.tail
	if q.query != "" && strings.TrimSpace(tail) != "" {
		tail += "\n"
	} else if q.query != "" {
		tail = ""
	}
	return io.MultiReader(strings.NewReader(tail), body)
}

// rejectSecond looks for a second statement behind VALUES, as far as the text is whole.
func rejectSecond(st statement, partial bool) error {
	if !partial && strings.EqualFold(st.dataFormat, "Values") && secondStatement(st.tail) {
		return raise(codeSyntaxError, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
	}
	return nil
}

func cannotWrite(q *request) *exception {
	if q.admin {
		return raise(codeReadOnly, "READONLY", "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries")
	}
	return raise(codeReadOnly, "READONLY", "Cannot execute query in readonly mode: only the user %s may change anything", AdminUser)
}

// session gives the request a connection of its own, or that of its session. The function it returns must be called
// at the end, with whether the statement ended by itself.
func (e *Engine) session(q *request) (*conn, func(whole bool), error) {
	switch {
	case q.sessionID != "":
		return e.kept(q)
	case q.readOnly: // nothing can be set on it any more
		c, err := e.connect()
		if err != nil {
			return nil, nil, err
		}
		return c, func(bool) { c.close() }, nil
	}
	c, err := e.pool.take(e.connect)
	if err != nil {
		return nil, nil, err
	}
	if err := c.renew(q); err != nil {
		e.pool.put(c)
		return nil, nil, err
	}
	return c.conn, func(whole bool) {
		if whole && q.traceless {
			e.pool.put(c)
			return
		}
		c.close()
	}, nil
}

// kept is the connection of the session that the request names.
func (e *Engine) kept(q *request) (*conn, func(bool), error) {
	held, err := e.sessions.take(q, e.limits.sessions, e.connect)
	if err != nil {
		return nil, nil, err
	}
	return held.conn, func(bool) {
		// What the URL set was for this request alone. log_comment is set anew by the next one.
		if len(q.settings) > 0 {
			var reset []string
			for _, s := range q.settings {
				reset = append(reset, s.name+" = DEFAULT")
			}
			if err := held.conn.exec("SET " + strings.Join(reset, ", ")); err != nil {
				e.log.Warn("session keeps settings of a request", "session_id", q.sessionID, "err", err)
			}
		}
		e.sessions.release(q, held)
	}, nil
}

// prepare makes the connection the request's: database, settings, mark, and last of all readonly, after which
// nothing can be set any more.
func (e *Engine) prepare(c *conn, q *request, streams bool) error {
	if q.database != "" {
		if err := c.exec("USE " + quoteName(q.database)); err != nil {
			return err
		}
	}
	resultBytes := e.limits.resultBytes
	if streams {
		resultBytes = 0 // no limit: only one block of it is in memory
	}
	set := []string{
		"log_comment = " + quote(q.killMark),
		fmt.Sprintf("max_result_bytes = %d", resultBytes),
	}
	if !q.admin {
		// A share: all readers together must not make the pipeline's inserts fail.
		set = append(set, fmt.Sprintf("max_memory_usage = %d", e.limits.readerMemory))
	}
	for _, s := range q.settings {
		set = append(set, s.name+" = "+quote(s.value))
	}
	if q.readOnly && q.sessionID == "" {
		set = append(set, "readonly = 1")
	}
	return c.exec("SET " + strings.Join(set, ", "))
}

var quoter = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "`", "\\`")

func quote(s string) string     { return "'" + quoter.Replace(s) + "'" }
func quoteName(s string) string { return "`" + quoter.Replace(s) + "`" }

// gate lets one statement through; from a reader, only one that leaves no trace.
func gate(c *conn, q *request, sql string) error {
	a, err := c.analyse(sql)
	if err != nil {
		return err
	}
	if a.class == classUnknown || a.statementCount == 0 {
		// It does not parse. The engine must not see it, for it would run the statements before the mistake;
		// the parser's own words come from a function that only parses.
		if _, err := canonical(c, sql); err != nil {
			return err
		}
		if q.readOnly {
			return cannotWrite(q)
		}
		return nil
	}
	if a.statementCount > 1 {
		return raise(codeSyntaxError, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
	}
	q.traceless = a.class == classReadOnly
	if !q.readOnly {
		return nil
	}
	if a.class != classReadOnly {
		return cannotWrite(q)
	}
	if q.admin {
		return nil
	}
	text, err := canonical(c, sql)
	if err != nil {
		return err
	}
	if namesFile(text) {
		return raise(497, "ACCESS_DENIED", "Not enough privileges: the name file is not for readers, because the function file reads any file of this machine")
	}
	return nil
}

// canonical is the text as the engine's own parser writes it, on one line, or the parser's error. The error of
// this helper query ends with the helper query; that part is not the client's and is cut.
func canonical(c *conn, sql string) (string, error) {
	escaped := strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(sql)
	text, err := c.text("SELECT formatQuerySingleLine({q:String})", param{"q", escaped})
	if err == nil {
		return trimLine(text), nil
	}
	exc := asException(err)
	if head, helper, ok := strings.Cut(exc.text, ": In scope SELECT formatQuery"); ok {
		text := strings.TrimRight(head, " :")
		if i := strings.LastIndex(helper, " ("); i >= 0 {
			text += helper[i:] // the code's name
		}
		exc = &exception{code: exc.code, text: text}
	}
	return "", exc
}

// killWhenDone kills the running query when ctx ends. The function it returns must be called when the query has
// ended; it waits for the killer.
func (e *Engine) killWhenDone(ctx context.Context, q *request) func() {
	ended, killed := make(chan struct{}), make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(killed)
		e.kill(q.killMark, ended)
	})
	return func() {
		close(ended)
		if !unhook() {
			<-killed
		}
	}
}

// killAgain is how often a kill is repeated: the query may not have been registered yet, or notice it only later.
const killAgain = 50 * time.Millisecond

func (e *Engine) kill(mark string, ended <-chan struct{}) {
	again := time.NewTicker(killAgain)
	defer again.Stop()
	for {
		// On the keeper: a query that eats all memory is killed where no connection can be had any more.
		if err := e.keeper.exec("KILL QUERY WHERE Settings['log_comment'] = " + quote(mark) + " ASYNC"); err != nil {
			e.log.Warn("kill of an abandoned query", "err", err)
		}
		select {
		case <-ended:
			return
		case <-again.C:
		}
	}
}

func runInsert(c *conn, q *request, st statement, data io.Reader, out *output) error {
	written, err := c.insert(st.text, st.dataFormat, q.params, data)
	if err != nil {
		return err
	}
	out.start(defaultFormat, written, 0)
	return nil
}

func runQuery(c *conn, q *request, st statement, format string, out *output) error {
	if !st.streams {
		return c.query(st.text, format, q.params, func(b []byte, got stats) error {
			out.start(format, got, len(b))
			return out.write(b)
		})
	}
	err := c.stream(st.text, format, q.params, func(b []byte, got stats) error {
		if !out.started {
			out.start(format, got, -1)
		}
		return out.write(b)
	})
	if err == nil && !out.started {
		out.start(format, stats{}, 0)
	}
	return err
}

// hello answers clickhouse-go's greeting in the revision the client asked for, and announces revision 0: from then
// on it expects the plain Native blocks that the engine writes.
func (e *Engine) hello(q *request, out *output) error {
	block := proto.NewBlock()
	for _, col := range []struct {
		name string
		kind column.Type
	}{{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"}} {
		if err := block.AddColumn(col.name, col.kind); err != nil {
			return fmt.Errorf("encode hello: %w", err)
		}
	}
	if err := block.Append(displayName, e.version, uint32(0), e.timezone); err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	var buf chproto.Buffer
	if err := block.Encode(&buf, q.revision); err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	out.start("Native", stats{}, len(buf.Buf))
	return out.write(buf.Buf)
}
