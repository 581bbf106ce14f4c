package clickhouse

import (
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
)

// output writes one response: headers late, so that an error before the first byte still gets its status.
// It is owned by the goroutine of the request.
type output struct {
	w       http.ResponseWriter
	q       *request
	version string
	zone    string

	started bool
	tag     string // marks the frame of an error in mid-stream
	gzip    *gzip.Writer
	blocks  *compress.Writer
}

func (e *Engine) newOutput(w http.ResponseWriter, q *request) *output {
	return &output{w: w, q: q, version: e.version, zone: e.timezone}
}

// start sends the headers of a result. length is that of the whole body, or -1 if there is more to come.
func (o *output) start(format string, st stats, length int) {
	o.started = true
	o.tag = strings.ToLower(rand.Text()[:16]) // clients expect 16 bytes
	h := o.w.Header()
	h.Set("Content-Type", contentType(format))
	h.Set("X-ClickHouse-Format", format)
	h.Set("X-ClickHouse-Query-Id", o.q.id)
	h.Set("X-ClickHouse-Server-Display-Name", displayName)
	h.Set("X-ClickHouse-Timezone", o.zone)
	h.Set("X-ClickHouse-Exception-Tag", o.tag)
	h.Set("X-ClickHouse-Summary", st.summary())
	switch {
	case length == 0: // nothing to wrap, and clickhouse-go reads no block from an empty body
		h.Set("Content-Length", "0")
	case o.q.gzip:
		h.Set("Content-Encoding", "gzip")
		// The fastest level: the other end is on this machine or close by.
		o.gzip, _ = gzip.NewWriterLevel(o.w, gzip.BestSpeed) // fails for unknown levels only
	case o.q.lz4:
		method := compress.LZ4
		if o.q.zstd {
			method = compress.ZSTD
		}
		o.blocks = compress.NewWriter(0, method)
	case length > 0:
		h.Set("Content-Length", strconv.Itoa(length))
	}
	o.w.WriteHeader(http.StatusOK)
}

// summary is the header's JSON. Numbers are strings in it, as a server has them.
func (s stats) summary() string {
	return fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"0","result_rows":"%d","result_bytes":"%d","elapsed_ns":"%d"}`,
		s.rowsRead, s.bytesRead, s.rowsWritten, s.bytesWritten, s.rowsWritten, s.bytesWritten, int64(s.elapsedSeconds*1e9))
}

// maxBlockBytes is the size of compressed blocks; a server's default (max_compress_block_size) is 1 MiB.
const maxBlockBytes = 1 << 20

// write sends a piece of the result, which it does not keep.
func (o *output) write(b []byte) error {
	switch {
	case o.gzip != nil:
		_, err := o.gzip.Write(b)
		return err
	case o.blocks == nil:
		_, err := o.w.Write(b)
		return err
	}
	for len(b) > 0 {
		n := min(len(b), maxBlockBytes)
		if err := o.blocks.Compress(b[:n]); err != nil {
			return err
		}
		if _, err := o.w.Write(o.blocks.Data); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (o *output) finish() {
	if o.gzip != nil {
		_ = o.gzip.Close() // the client is gone if this fails, and there is nobody else to tell
	}
}

// fail reports an error to the client: with a status if nothing was sent yet, else as the framed block that
// clients look for at the end of a result.
func (o *output) fail(exc *exception) {
	text := exc.text
	if !strings.Contains(text, "(version ") {
		text += fmt.Sprintf(" (version %s (official build))", o.version)
	}
	if o.started {
		frame := fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", o.tag, text, len(text)+1, o.tag)
		var w io.Writer = o.w
		if o.gzip != nil {
			w = o.gzip
		}
		// Never inside compressed blocks: clients look for the frame in what they received, before unpacking.
		_, _ = io.WriteString(w, frame)
		o.finish()
		return
	}
	h := o.w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(exc.code))
	h.Set("X-ClickHouse-Server-Display-Name", displayName)
	if o.q != nil {
		h.Set("X-ClickHouse-Query-Id", o.q.id)
	}
	if exc.status() == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	o.w.WriteHeader(exc.status())
	_, _ = io.WriteString(o.w, text+"\n")
}
