package clickhouse

import "strings"

// statement is one SQL text, taken apart as far as running it needs.
type statement struct {
	// text is the statement without data: for an insert with data its head, up to VALUES or FORMAT.
	text string
	// insert is true if data follows, in the format dataFormat; tail is the part of it that came with the text.
	insert     bool
	dataFormat string
	tail       string
	// outputFormat is what a FORMAT clause names, or empty.
	outputFormat string
	// streams is true if the result may be sent block by block: the engine streams SELECT only.
	streams bool
}

// parseStatement looks at the head of src. It refuses only what it knows would run in a way the client does not
// expect; everything else is for the engine to judge.
func parseStatement(src string) (statement, *exception) {
	s := &scanner{src: src}
	first := s.next()
	for first.kind == tokenSymbol && (first.text == ";" || first.text == "(") {
		first = s.next()
	}
	switch {
	case first.kind == tokenEnd:
		return statement{}, raise(codeSyntaxError, "SYNTAX_ERROR", "Syntax error: Empty query")
	case first.is("INSERT"):
		return parseInsert(s, first)
	}
	st := statement{text: src, streams: first.is("SELECT") || first.is("WITH")}
	var e *exception
	st.outputFormat, e = outputFormat(s, &st)
	return st, e
}

// outputFormat finds a FORMAT clause: the word outside brackets, followed by a name and nothing else but SETTINGS
// or the end. A column that is called format is followed by something else. It refuses data behind an insert that
// is not the first word (WITH … INSERT, EXPLAIN INSERT), where the engine would read it from the text (C3).
func outputFormat(s *scanner, st *statement) (string, *exception) {
	var name string
	var previous token
	settings, inserts := false, false
	for {
		t := s.next()
		inserts = inserts || t.depth == 0 && t.is("INTO") && previous.is("INSERT")
		switch {
		case inserts && t.depth == 0 && (t.is("VALUES") || t.is("FORMAT")):
			return "", raise(codeNotImplemented, "NOT_IMPLEMENTED", "Data behind an INSERT that does not begin the statement is not available: begin with INSERT")
		case t.kind == tokenInvalid:
			return "", unterminated(t)
		case t.kind == tokenEnd:
			return name, nil
		case t.depth > 0:
		case t.kind == tokenWord && previous.is("FORMAT"):
			name, settings = t.text, false
		case t.is("SETTINGS"):
			settings = true
		case t.is("INTO"):
			st.streams = false // INSERT … SELECT behind WITH, or INTO OUTFILE
			fallthrough
		case t.text != ";" && !settings && !t.is("FORMAT"):
			name = ""
		}
		previous = t
	}
}

func unterminated(t token) *exception {
	return raise(codeSyntaxError, "SYNTAX_ERROR", "Syntax error: a quote or comment at position %d has no end", t.start+1)
}

// parseInsert finds where the head of an insert ends. The engine must never see what comes after (C3).
func parseInsert(s *scanner, first token) (statement, *exception) {
	t := skipTarget(s)
	for ; ; t = s.next() {
		switch {
		case t.kind == tokenInvalid:
			return statement{}, unterminated(t)
		case t.kind == tokenEnd, t.text == ";":
			if rest := (&scanner{src: s.src, pos: t.end}).next(); rest.kind != tokenEnd {
				return statement{}, raise(codeSyntaxError, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
			}
			return head(s.src[first.start:t.start], "Values", ""), nil
		case t.depth > 0:
		case t.is("SELECT"), t.is("WITH"):
			return insertSelect(s)
		case t.is("INFILE"):
			return statement{}, raise(codeNotImplemented, "NOT_IMPLEMENTED", "INSERT … FROM INFILE is not available: send the data in the body of the request")
		case t.is("VALUES"):
			return head(s.src[first.start:t.start], "Values", s.src[t.end:]), nil
		case t.is("FORMAT"):
			name := s.next()
			if name.kind != tokenWord {
				return statement{}, raise(codeSyntaxError, "SYNTAX_ERROR", "Syntax error: FORMAT names no format")
			}
			return head(s.src[first.start:t.start], name.text, dataAfterFormat(s.src[name.end:])), nil
		}
	}
}

// skipTarget passes INTO TABLE db.t, so that a table may be called values or format, and returns what follows.
func skipTarget(s *scanner) token {
	t := s.next()
	if t.is("INTO") {
		t = s.next()
	}
	if t.is("TABLE") || t.is("FUNCTION") {
		t = s.next()
	}
	if t.kind != tokenWord && t.kind != tokenQuoted {
		return t
	}
	for t = s.next(); t.text == "."; t = s.next() {
		s.next()
	}
	return t
}

// head makes the insert's head one line: the engine's client cuts texts at blank lines, and now there are none.
func head(src, format, tail string) statement {
	var b strings.Builder
	s := &scanner{src: src}
	end := 0
	for t := s.next(); t.kind != tokenEnd; t = s.next() {
		if b.Len() > 0 && t.start > end {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
		end = t.end
	}
	return statement{text: b.String(), insert: true, dataFormat: format, tail: tail}
}

// dataAfterFormat skips what a server skips between the format's name and the data: blanks and one line break.
func dataAfterFormat(tail string) string {
	tail = strings.TrimLeft(tail, " \t\f\v")
	tail = strings.TrimPrefix(tail, ";")
	tail = strings.TrimLeft(tail, " \t\f\v")
	tail = strings.TrimPrefix(tail, "\r")
	return strings.TrimPrefix(tail, "\n")
}

// insertSelect has no data, except through input(), which the engine cannot feed.
func insertSelect(s *scanner) (statement, *exception) {
	var previous token
	for t := s.next(); t.kind != tokenEnd; t = s.next() {
		if t.kind == tokenInvalid {
			return statement{}, unterminated(t)
		}
		if t.text == "(" && previous.is("input") {
			return statement{}, raise(codeNotImplemented, "NOT_IMPLEMENTED", "INSERT … SELECT … FROM input() is not available: insert into the table and let a materialized view transform")
		}
		previous = t
	}
	return statement{text: s.src}, nil
}

// secondStatement reports whether text in the format Values goes on after a semicolon. A server refuses it; the
// engine's stream would silently leave it out.
func secondStatement(values string) bool {
	s := &scanner{src: values}
	for t := s.next(); t.kind != tokenEnd && t.kind != tokenInvalid; t = s.next() {
		if t.text == ";" && t.depth == 0 {
			return s.next().kind != tokenEnd
		}
	}
	return false
}

// namesFile reports whether a canonical text (the engine's own formatQuery) names the function file, called or
// handed to APPLY. Scanning the canonical form and not what the user wrote leaves no room for escapes, comments
// or quotes that we and the engine would read differently.
func namesFile(canonical string) bool {
	s := &scanner{src: canonical}
	for t := s.next(); t.kind != tokenEnd; t = s.next() {
		switch t.kind {
		case tokenInvalid:
			return true // not canonical after all: refuse
		case tokenWord:
			if strings.EqualFold(t.text, "file") {
				return true
			}
		case tokenQuoted:
			name := t.text[1 : len(t.text)-1]
			if strings.EqualFold(name, "file") || strings.ContainsRune(name, '\\') {
				return true
			}
		}
	}
	return false
}
