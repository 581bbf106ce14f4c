package main

import (
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/charmbracelet/x/term"

	"github.com/bluetick/bluetick/internal/terminal"
)

// sqlCmd asks ClickHouse from a terminal.
type sqlCmd struct {
	settings
	Query   string `arg:"" help:"One statement; - reads it from standard input."`
	Format  string `help:"table, tsv, csv or json (one object a line)." enum:"table,tsv,csv,json" default:"table"`
	SafeCSV bool   `name:"safe-csv" help:"CSV in which no text is a formula for a spreadsheet: an apostrophe stands before =, +, - and @."`
}

// Help is shown below the flags.
func (sqlCmd) Help() string {
	return `Works while bluetick runs on the data folder (through its port) and when it
does not (opens the data itself). With --clickhouse-dsn it asks that server.

  bluetick sql "SELECT campaign, sent, delivery_rate, opt_out_rate FROM v_campaigns"
  bluetick sql "SHOW TABLES"
  bluetick sql --format json "SELECT * FROM alerts FINAL ORDER BY at"
  bluetick sql --safe-csv "SELECT * FROM v_campaigns" > campaigns.csv

Names come from webhooks. In a table, and on a terminal in every format, control
characters and those that reorder text are shown as escapes (\x1b, \u202e); in a
file or a pipe tsv and csv hold the text as it is. Give --safe-csv for a file that
a spreadsheet will open.`
}

// Run executes the command.
func (c *sqlCmd) Run(ctx context.Context) error {
	query := c.Query
	if query == "-" {
		b, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
		if err != nil {
			return fmt.Errorf("read the statement: %w", err)
		}
		query = string(b)
	}
	how := layout{format: c.Format, safe: c.SafeCSV, shown: term.IsTerminal(os.Stdout.Fd())}
	if c.SafeCSV {
		how.format = "csv"
	}
	return c.asking(ctx, func(conn driver.Conn) error { return ask(ctx, conn, query, how, os.Stdout) })
}

// ask runs one statement and writes its answer.
func ask(ctx context.Context, conn driver.Conn, query string, how layout, w io.Writer) error {
	if !answers(query) {
		return conn.Exec(ctx, query)
	}
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	out := newWriter(how, w, rows.Columns())
	for rows.Next() {
		values := make([]any, len(rows.ColumnTypes()))
		for i, t := range rows.ColumnTypes() {
			values[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(values...); err != nil {
			return err
		}
		for i, v := range values {
			values[i] = plain(reflect.ValueOf(v).Elem().Interface(), rows.ColumnTypes()[i].DatabaseTypeName())
		}
		if err := out.row(values); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), out.end())
}

// answers reports whether a statement returns rows, by its first word.
func answers(query string) bool {
	query = code(query)
	end := strings.IndexFunc(query, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 {
		end = len(query)
	}
	switch strings.ToUpper(query[:end]) {
	case "SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK":
		return true
	}
	return false
}

// code is the query without the comments, blanks and brackets it begins with.
func code(query string) string {
	for {
		query = strings.TrimLeft(query, " \t\r\n(")
		var found bool
		switch {
		case strings.HasPrefix(query, "--"), strings.HasPrefix(query, "#"):
			_, query, found = strings.Cut(query, "\n")
		case strings.HasPrefix(query, "/*"):
			_, query, found = strings.Cut(query, "*/")
		default:
			return query
		}
		if !found {
			return ""
		}
	}
}

// plain turns a scanned value into what a person reads: pointers followed, keys
// in hex, times in UTC without a fraction of zero.
func plain(v any, typ string) any {
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return nil
		}
		return plain(r.Elem().Interface(), typ)
	}
	switch v := v.(type) {
	case time.Time:
		if strings.HasPrefix(strings.TrimPrefix(typ, "Nullable("), "DateTime") {
			return v.UTC().Format("2006-01-02 15:04:05.999")
		}
		return v.UTC().Format(time.DateOnly)
	case string:
		if strings.Contains(typ, "FixedString(16)") {
			return hex.EncodeToString([]byte(v))
		}
	case []string:
		if strings.Contains(typ, "FixedString(16)") {
			keys := make([]string, len(v))
			for i := range v {
				keys[i] = hex.EncodeToString([]byte(v[i]))
			}
			return keys
		}
	}
	return v
}

// alignRows is how many rows of a table are aligned together: rows are held in
// memory until they are aligned, and a result may be larger than the memory.
const alignRows = 1000

// layout is how an answer is written.
type layout struct {
	format string // table, tsv, csv or json
	safe   bool   // csv: no text is a formula
	shown  bool   // on a terminal
}

// writer writes rows in one of the formats.
type writer struct {
	layout
	columns []string
	out     io.Writer
	tabs    *tabwriter.Writer
	csv     *csv.Writer
	rows    int
}

func newWriter(how layout, w io.Writer, columns []string) *writer {
	out := &writer{layout: how, columns: columns, out: w}
	switch how.format {
	case "json":
		out.out = terminal.JSONWriter{W: w}
		return out
	case "csv":
		out.csv = csv.NewWriter(w)
	case "table":
		out.tabs = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		out.out = out.tabs
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = out.text(c)
	}
	_ = out.line(names) // the rows or the end say it again
	return out
}

// text is one cell that somebody else may have written.
func (w *writer) text(s string) string {
	if w.safe {
		s = terminal.SafeCell(s)
	}
	switch {
	case w.format == "table" || w.shown:
		return terminal.Clean(s)
	case w.format == "tsv":
		return strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(s)
	}
	return s
}

func (w *writer) line(cells []string) error {
	if w.csv != nil {
		return w.csv.Write(cells)
	}
	_, err := fmt.Fprintln(w.out, strings.Join(cells, "\t"))
	return err
}

func (w *writer) row(values []any) error {
	w.rows++
	if w.format == "json" {
		object := make(map[string]any, len(values))
		for i, v := range values {
			if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
				v = nil // JSON has no such numbers
			}
			object[w.columns[i]] = v
		}
		return json.NewEncoder(w.out).Encode(object)
	}
	cells := make([]string, len(values))
	for i, v := range values {
		cells[i] = w.cell(v)
	}
	err := w.line(cells)
	if err == nil && w.rows%alignRows == 0 {
		err = w.end()
	}
	return err
}

func (w *writer) cell(v any) string {
	switch v := v.(type) {
	case nil:
		if w.csv != nil {
			return "" // what spreadsheets take for no value
		}
		return "NULL"
	case float64:
		return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.6f", v), "0"), ".")
	case string:
		return w.text(v)
	case []string, map[string]string:
		return w.text(fmt.Sprint(v))
	default:
		return terminal.Clean(fmt.Sprint(v))
	}
}

func (w *writer) end() error {
	switch {
	case w.csv != nil:
		w.csv.Flush()
		return w.csv.Error()
	case w.tabs != nil:
		return w.tabs.Flush()
	}
	return nil
}
