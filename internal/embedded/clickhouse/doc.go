// Package clickhouse runs the real ClickHouse engine inside the process: libchdb, loaded without cgo, behind one
// http.Handler that speaks ClickHouse's HTTP interface. clickhouse-go uses the handler as its transport
// (Engine.ClientOptions), BI tools and curl reach it through a port that the caller opens. Both see the same server.
//
// What it promises:
//
//	C1  One engine per process and one process per folder. The error of a second Open names who holds the folder.
//	C2  A request runs exactly one statement on a connection that nobody else uses. Settings, the current
//	    database and temporary tables end with it, unless the request names a session.
//	C3  Insert data is never part of the SQL text that the engine sees. There it would end at the first blank
//	    line and the rest would be executed as SQL. The text is cut before the data; the data is streamed.
//	C4  Only the administrator writes. Everybody else passes four gates: the engine's own parser must call the
//	    text one statement that leaves no trace; the function file, which reads any file of the host, must not
//	    be named; the session is readonly=1; and no user has the grants that reach files, URLs or other servers.
//	C5  A request whose client gives up is killed in the engine, and Close waits for all of them.
//
// A crash of the process at any moment leaves the folder as a killed server would: inserts that were answered are
// there, others are wholly or (if they span blocks) partly there, and a repeat with the same
// insert_deduplication_token adds nothing twice. The folder's lock goes with the process. Power loss is another
// matter: like a server by default, the engine leaves it to the operating system when pages reach the disk.
//
// The library ignores the outcome of its writes to the disk: where a part cannot be written it answers the insert
// with success, and the rows are gone when the engine is opened again. It asks for room before it writes, and is
// told to keep some free (keepFree), so a disk that fills up is answered with NOT_ENOUGH_SPACE in time. A disk that
// fails, or a limit on the size of files (ulimit -f), is not noticed; bluetick audit would show it.
//
// Where it differs from a server: no native protocol (9000), no users besides the two kinds above, no
// system.query_log, query_id is echoed but not known to KILL QUERY, no external tables, no INSERT … FROM INFILE,
// no INSERT … SELECT … FROM input().
package clickhouse
