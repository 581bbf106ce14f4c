package clickhouse

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is the C interface of libchdb, as far as it is used here. Handles are addresses of C memory.
// Every function may be called from any thread, but one connection runs one statement at a time (conn.mu).
// All fields are immutable after load.
type library struct {
	setSignalHandlers func(enabled int32)

	connect   func(argc int32, argv **byte) *uintptr
	closeConn func(conn *uintptr)
	classify  func(conn uintptr, sql *byte, sqlLen uintptr, db *byte, dbLen uintptr, out *analysis) int32

	query func(conn uintptr, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) uintptr
	streamQuery func(conn uintptr, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) uintptr
	streamFetch  func(conn, stream uintptr) uintptr
	streamCancel func(conn, stream uintptr)

	insert func(conn uintptr, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) uintptr
	insertAppend  func(stream uintptr, data *byte, dataLen uintptr) int32
	insertDone    func(stream uintptr) uintptr
	insertCancel  func(stream uintptr)
	insertError   func(stream uintptr) string
	insertDestroy func(stream uintptr)

	resultBuffer       func(result uintptr) *byte
	resultLength       func(result uintptr) uintptr
	resultError        func(result uintptr) string
	resultElapsed      func(result uintptr) float64
	resultRowsRead     func(result uintptr) uint64
	resultBytesRead    func(result uintptr) uint64
	resultRowsWritten  func(result uintptr) uint64
	resultBytesWritten func(result uintptr) uint64
	resultDestroy      func(result uintptr)
}

// analysis is chdb_query_analysis_v1: what the engine's own parser finds out about a text without running it.
type analysis struct {
	structSize     uint32
	statementCount uint32
	_              uint32 // flags, not used here
	class          uint32
}

// The classes of a statement. A batch has the highest class of its members.
const (
	classReadOnly       = 0 // SELECT, SHOW, DESCRIBE, EXPLAIN, EXISTS, CHECK
	classMutating       = 1 // INSERT, CREATE, ALTER, DROP …
	classMutatingGlobal = 2 // functions, users, named collections
	classControl        = 3 // SET, USE, KILL, SYSTEM, ATTACH, BACKUP, INTO OUTFILE, temporary tables
	classUnknown        = 4 // did not parse
)

// load maps libchdb and switches its signal handlers off, which must happen before the first connection:
// with them a nil dereference in Go hangs the process instead of panicking.
func load(path string) (*library, error) {
	handle, err := dlopen(path)
	if err != nil {
		return nil, fmt.Errorf("load ClickHouse library %s: %w", path, err)
	}
	lib := &library{}
	for _, s := range []struct {
		fn   any
		name string
	}{
		{&lib.setSignalHandlers, "chdb_set_signal_handlers_enabled"},
		{&lib.connect, "chdb_connect"},
		{&lib.closeConn, "chdb_close_conn"},
		{&lib.classify, "chdb_classify_query_n"},
		{&lib.query, "chdb_query_with_params_n"},
		{&lib.streamQuery, "chdb_stream_query_with_params_n"},
		{&lib.streamFetch, "chdb_stream_fetch_result"},
		{&lib.streamCancel, "chdb_stream_cancel_query"},
		{&lib.insert, "chdb_stream_insert_with_params_n"},
		{&lib.insertAppend, "chdb_stream_append"},
		{&lib.insertDone, "chdb_stream_done"},
		{&lib.insertCancel, "chdb_stream_cancel_insert"},
		{&lib.insertError, "chdb_stream_insert_error"},
		{&lib.insertDestroy, "chdb_destroy_insert_stream"},
		{&lib.resultBuffer, "chdb_result_buffer"},
		{&lib.resultLength, "chdb_result_length"},
		{&lib.resultError, "chdb_result_error"},
		{&lib.resultElapsed, "chdb_result_elapsed"},
		{&lib.resultRowsRead, "chdb_result_storage_rows_read"},
		{&lib.resultBytesRead, "chdb_result_storage_bytes_read"},
		{&lib.resultRowsWritten, "chdb_result_rows_written"},
		{&lib.resultBytesWritten, "chdb_result_bytes_written"},
		{&lib.resultDestroy, "chdb_destroy_query_result"},
	} {
		// Dlsym before RegisterFunc, because the latter panics on a library that is too old.
		symbol, err := dlsym(handle, s.name)
		if err != nil {
			return nil, fmt.Errorf("load ClickHouse library %s: %s is missing, libchdb 26.7.3 or newer is needed: %w", path, s.name, err)
		}
		purego.RegisterFunc(s.fn, symbol)
	}
	lib.setSignalHandlers(0)
	return lib, nil
}

// cstrings lays out Go strings as a C array of pointers with lengths. The memory is Go's and stays where it is
// until release; the engine copies what it keeps.
type cstrings struct {
	pins  runtime.Pinner
	ptrs  []*byte
	sizes []uintptr
}

func (c *cstrings) add(s string) {
	b := append([]byte(s), 0)
	c.pins.Pin(&b[0])
	c.ptrs = append(c.ptrs, &b[0])
	c.sizes = append(c.sizes, uintptr(len(s)))
}

// arrays returns nil pointers for no strings. Call it once, after the last add.
func (c *cstrings) arrays() (**byte, *uintptr) {
	if len(c.ptrs) == 0 {
		return nil, nil
	}
	c.pins.Pin(&c.ptrs[0])
	c.pins.Pin(&c.sizes[0])
	return &c.ptrs[0], &c.sizes[0]
}

func (c *cstrings) release() { c.pins.Unpin() }

// bytesOf is the address of a string's bytes for a call that takes a length beside it.
// The callee must not write to it and must not keep it.
func bytesOf(s string) (*byte, uintptr) {
	return unsafe.StringData(s), uintptr(len(s))
}
