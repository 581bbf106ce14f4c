package clickhouse

import "strings"

// defaultFormat is what a request gets that names no format.
const defaultFormat = "TabSeparated"

// streamable are the formats whose output, block after block, is the same document as the whole at once. The
// others have a head, a foot or separators and would repeat them in every block.
func streamable(format string) bool {
	switch strings.ToLower(format) {
	case "native", "rowbinary", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "tskv",
		"jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow", "jsonstringseachrow", "lineasstring", "null":
		return true
	}
	return false
}

// contentType is the media type that a server sends with a format.
func contentType(format string) string {
	f := strings.ToLower(format)
	switch {
	case f == "jsoneachrow" || f == "jsonlines" || f == "ndjson" || strings.HasSuffix(f, "eachrow"),
		strings.HasPrefix(f, "json") && strings.Contains(f, "eachrow"):
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(f, "json"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(f, "csvwith"):
		return "text/csv; charset=UTF-8; header=present"
	case f == "csv":
		return "text/csv; charset=UTF-8; header=absent"
	case strings.HasPrefix(f, "tabseparated"), strings.HasPrefix(f, "tsv"):
		return "text/tab-separated-values; charset=UTF-8"
	case f == "native", strings.HasPrefix(f, "rowbinary"), f == "parquet", strings.HasPrefix(f, "arrow"), f == "orc",
		strings.HasPrefix(f, "avro"), f == "msgpack", strings.HasPrefix(f, "protobuf"), f == "capnproto", f == "npy", f == "bsoneachrow":
		return "application/octet-stream"
	case f == "xml":
		return "application/xml; charset=UTF-8"
	}
	return "text/plain; charset=UTF-8"
}
