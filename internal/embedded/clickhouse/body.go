package clickhouse

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
)

// openBody undoes what the client wrapped the body in: Content-Encoding, then ClickHouse's own blocks.
// Reading more than max bytes of the result is an error, so a small body cannot grow without bound.
func openBody(r *http.Request, q *request, max int64) (io.Reader, *exception) {
	if r.Body == nil {
		return strings.NewReader(""), nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == "multipart/form-data" {
		return nil, raise(codeNotImplemented, "NOT_IMPLEMENTED", "External tables (multipart/form-data) are not available in the embedded engine")
	}
	var body io.Reader = r.Body
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip", "deflate":
		body = &lazyReader{open: func() (io.Reader, error) {
			if encoding == "gzip" {
				return gzip.NewReader(r.Body)
			}
			return zlib.NewReader(r.Body)
		}}
	default:
		return nil, raise(codeNotImplemented, "NOT_IMPLEMENTED", "Content-Encoding %q is not available: use gzip, deflate or decompress=1", encoding)
	}
	if q.unpack {
		body = blockReader{compress.NewReader(body)}
	}
	return &limitedReader{r: body, left: max}, nil
}

// lazyReader opens a decompressor at the first read, because opening reads already; an empty body is empty.
type lazyReader struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.open()
		if err != nil {
			return 0, err
		}
		l.r = r
	}
	return l.r.Read(p)
}

// blockReader gives the plain io.EOF at the end of compressed blocks, which the decompressor wraps.
type blockReader struct{ r *compress.Reader }

func (b blockReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && errors.Is(err, io.EOF) {
		err = io.EOF
	}
	return n, err
}

// limitedReader fails, rather than ends, beyond its limit: an insert must not be cut silently.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return n, raise(codeBadArguments, "BAD_ARGUMENTS", "The body of the request is too large for the embedded engine: split the insert")
	}
	return n, err
}

// readText reads at most limit bytes and reports whether there is more.
func readText(r io.Reader, limit int) (text string, more bool, err error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return "", false, err
	}
	return string(b), len(b) > limit, nil
}
