package clickhouse

import (
	"errors"
	"io"
	"runtime"
	"sync"
	"unsafe"
)

// errNoConn means that chdb_connect returned NULL. It gives no reason; Open finds out what it can.
var errNoConn = errors.New("the engine gave no connection")

// param is one query parameter, its value escaped as in the HTTP interface (tab as \t).
type param struct{ name, value string }

// stats are the counters of one finished statement.
type stats struct {
	rowsRead, bytesRead       uint64
	rowsWritten, bytesWritten uint64
	elapsedSeconds            float64
}

// conn is one session of the engine: current database, settings and temporary tables are its own.
// It runs one statement at a time.
type conn struct {
	lib *library // immutable

	mu struct {
		sync.Mutex
		handle *uintptr // nil after close
	}
}

// connect opens a session. The first one of the process starts the engine with args; later ones share it.
func connect(lib *library, args ...string) (*conn, error) {
	var argv cstrings
	defer argv.release()
	argv.add("clickhouse")
	for _, a := range args {
		argv.add(a)
	}
	ptrs, _ := argv.arrays()
	h := lib.connect(int32(len(args)+1), ptrs)
	if h == nil || *h == 0 {
		return nil, errNoConn
	}
	c := &conn{lib: lib}
	c.mu.handle = h
	return c, nil
}

// close ends the session and waits for its running statement. It may be called twice.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.handle != nil {
		c.lib.closeConn(c.mu.handle)
		c.mu.handle = nil
	}
}

// lock returns the handle with the mutex held, or errNoConn with it released.
func (c *conn) lock() (uintptr, error) {
	c.mu.Lock()
	if c.mu.handle == nil {
		c.mu.Unlock()
		return 0, errNoConn
	}
	return *c.mu.handle, nil
}

// analyse asks the engine's parser, with this session's settings, what the text is. Nothing is executed.
func (c *conn) analyse(sql string) (analysis, error) {
	h, err := c.lock()
	if err != nil {
		return analysis{}, err
	}
	defer c.mu.Unlock()
	a := analysis{structSize: uint32(unsafe.Sizeof(analysis{}))}
	p, n := bytesOf(sql)
	state := c.lib.classify(h, p, n, nil, 0, &a)
	runtime.KeepAlive(sql)
	if state != 0 {
		return analysis{}, errors.New("the engine could not analyse the statement")
	}
	return a, nil
}

// exec runs a statement whose output does not matter.
func (c *conn) exec(sql string) error {
	return c.query(sql, "Null", nil, func([]byte, stats) error { return nil })
}

// text runs a statement and returns its output; for the small answers the engine needs itself.
func (c *conn) text(sql string, params ...param) (string, error) {
	var out string
	err := c.query(sql, "TabSeparatedRaw", params, func(b []byte, _ stats) error {
		out = string(b)
		return nil
	})
	return out, err
}

// query runs one statement to its end and hands its whole output to use, which must not keep the slice.
// A FORMAT clause in the text overrides format.
func (c *conn) query(sql, format string, params []param, use func([]byte, stats) error) error {
	h, err := c.lock()
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	r := c.call(c.lib.query, h, sql, format, params)
	defer c.lib.resultDestroy(r)
	if err := c.lib.errorOf(r); err != nil {
		return err
	}
	return use(c.lib.output(r), c.lib.statsOf(r))
}

type queryFunc = func(conn uintptr, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
	names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) uintptr

func (c *conn) call(f queryFunc, h uintptr, sql, format string, params []param) uintptr {
	var names, values cstrings
	defer names.release()
	defer values.release()
	for _, p := range params {
		names.add(p.name)
		values.add(p.value)
	}
	np, nl := names.arrays()
	vp, vl := values.arrays()
	sp, sn := bytesOf(sql)
	fp, fn := bytesOf(format)
	r := f(h, sp, sn, fp, fn, np, nl, vp, vl, uintptr(len(params)))
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	return r
}

// stream runs one SELECT and hands its output to use chunk by chunk as the engine makes it. An error of use
// cancels the query. Only for formats without a head, a foot or separators between blocks: each chunk is a
// whole document of its own. Without any output use is never called.
func (c *conn) stream(sql, format string, params []param, use func([]byte, stats) error) error {
	h, err := c.lock()
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	s := c.call(c.lib.streamQuery, h, sql, format, params)
	defer c.lib.resultDestroy(s)
	if err := c.lib.errorOf(s); err != nil {
		return err
	}
	for more := true; more; {
		if more, err = c.fetch(h, s, use); err != nil {
			c.lib.streamCancel(h, s)
			return err
		}
	}
	return nil
}

func (c *conn) fetch(h, s uintptr, use func([]byte, stats) error) (more bool, err error) {
	r := c.lib.streamFetch(h, s)
	defer c.lib.resultDestroy(r)
	if err := c.lib.errorOf(r); err != nil {
		return false, err
	}
	out := c.lib.output(r)
	if len(out) == 0 {
		return false, nil
	}
	return true, use(out, c.lib.statsOf(r))
}

// insertChunkBytes is how much of the data is handed to the engine at a time. The engine copies it and holds
// back the caller when it cannot keep up, so this is also what an insert in progress costs on our side.
const insertChunkBytes = 256 << 10

// insert streams data into the table that head names. The data never becomes part of the SQL text: there it
// would end at the first blank line, and the rest would run as SQL. An error of data cancels the insert;
// blocks that the engine has already written stay, as in a server.
func (c *conn) insert(head, format string, params []param, data io.Reader) (stats, error) {
	h, err := c.lock()
	if err != nil {
		return stats{}, err
	}
	defer c.mu.Unlock()
	s := c.call(c.lib.insert, h, head, format, params)
	defer c.lib.insertDestroy(s)
	if msg := c.lib.insertError(s); msg != "" {
		return stats{}, errors.New(msg)
	}
	if err := c.appendAll(s, data); err != nil {
		c.lib.insertCancel(s)
		return stats{}, err
	}
	r := c.lib.insertDone(s)
	defer c.lib.resultDestroy(r)
	if err := c.lib.errorOf(r); err != nil {
		return stats{}, err
	}
	return c.lib.statsOf(r), nil
}

func (c *conn) appendAll(s uintptr, data io.Reader) error {
	buf := make([]byte, insertChunkBytes)
	for {
		n, err := io.ReadFull(data, buf)
		if n > 0 && c.lib.insertAppend(s, &buf[0], uintptr(n)) != 0 {
			if msg := c.lib.insertError(s); msg != "" {
				return errors.New(msg)
			}
			return errors.New("the engine refused the data of the insert")
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && n < len(buf):
			return nil
		default:
			return err
		}
	}
}

func (lib *library) errorOf(result uintptr) error {
	if result == 0 {
		return errors.New("the engine gave no result")
	}
	if msg := lib.resultError(result); msg != "" {
		return errors.New(msg)
	}
	return nil
}

// output is the result's bytes in C memory, valid until the result is destroyed.
func (lib *library) output(result uintptr) []byte {
	n := lib.resultLength(result)
	p := lib.resultBuffer(result)
	if n == 0 || p == nil {
		return nil
	}
	return unsafe.Slice(p, n)
}

func (lib *library) statsOf(result uintptr) stats {
	return stats{
		rowsRead:       lib.resultRowsRead(result),
		bytesRead:      lib.resultBytesRead(result),
		rowsWritten:    lib.resultRowsWritten(result),
		bytesWritten:   lib.resultBytesWritten(result),
		elapsedSeconds: lib.resultElapsed(result),
	}
}
