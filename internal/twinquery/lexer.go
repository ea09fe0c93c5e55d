package twinquery

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

type kind uint8

const (
	tokEnd kind = iota
	tokName
	tokNumber
	tokString
	tokSign // an operator or a bracket
)

// A token is one word of a query; text is its spelling, value what a number or
// string means.
type token struct {
	kind  kind
	pos   Pos
	text  string
	value any
}

// describe is how an error speaks of t.
func (t token) describe() string {
	if t.kind == tokEnd {
		return "the end of the query"
	}
	return quote(t.text)
}

// syntaxError is an error at a byte offset; locate makes it an *Error.
type syntaxError struct {
	pos     Pos
	message string
}

func (e *syntaxError) Error() string { return e.message }

// locate turns a byte offset into a line and a column.
func locate(src string, err error) error {
	e, ok := err.(*syntaxError)
	if !ok {
		return err
	}
	before := src[:e.pos]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return &Error{line, column, e.message}
}

// A lexer cuts src into tokens, one at a call, since what "[[" means depends
// on where the parser is.
type lexer struct {
	src string
	off int
}

var signs = []string{"!=", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "."}

func (l *lexer) next() (token, error) {
	l.off = len(l.src) - len(strings.TrimLeftFunc(l.src[l.off:], unicode.IsSpace))
	if l.off == len(l.src) {
		return token{kind: tokEnd, pos: Pos(l.off)}, nil
	}
	switch r, _ := utf8.DecodeRuneInString(l.src[l.off:]); {
	case r == '\'' || r == '"':
		return l.str(byte(r))
	case isDigit(r):
		return l.number()
	case isNameStart(r):
		return l.name(), nil
	default:
		return l.sign(r)
	}
}

func isDigit(r rune) bool     { return '0' <= r && r <= '9' }
func isNameStart(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) }
func isNamePart(r rune) bool  { return isNameStart(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// isName says that s can stand in a path without brackets.
func isName(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && isNameStart(r) && strings.IndexFunc(s, func(r rune) bool { return !isNamePart(r) }) < 0
}

func (l *lexer) cut(k kind, n int) token {
	t := token{kind: k, pos: Pos(l.off), text: l.src[l.off : l.off+n]}
	l.off += n
	return t
}

func (l *lexer) name() token {
	rest := l.src[l.off:]
	n := strings.IndexFunc(rest, func(r rune) bool { return !isNamePart(r) })
	if n < 0 {
		n = len(rest)
	}
	return l.cut(tokName, n)
}

func (l *lexer) sign(r rune) (token, error) {
	for _, s := range signs {
		if strings.HasPrefix(l.src[l.off:], s) {
			return l.cut(tokSign, len(s)), nil
		}
	}
	hint := ""
	switch r {
	case '&':
		hint = ": write AND"
	case '|':
		hint = ": write OR"
	case '!':
		hint = ": write NOT, or != to compare"
	case ';':
		hint = ": a query is one statement without a semicolon"
	}
	return token{}, &syntaxError{Pos(l.off), "unexpected character " + strconv.QuoteRune(r) + hint}
}

func (l *lexer) number() (token, error) {
	rest := l.src[l.off:]
	n := 0
	if hex, ok := strings.CutPrefix(strings.ToLower(rest), "0x"); ok {
		n = 2 + span(hex, "0123456789abcdef")
	} else {
		n = decimal(rest)
	}
	start := Pos(l.off)
	// What touches a number belongs to it: 12abc is no number and a name.
	if r, _ := utf8.DecodeRuneInString(rest[n:]); n < len(rest) && isNamePart(r) {
		return token{}, &syntaxError{start, quote(rest[:n]+string(r)) + " is not a number; a name that begins with a digit is written [[name]]"}
	}
	t := l.cut(tokNumber, n)
	v, err := parseNumber(t.text)
	if err != nil {
		return token{}, &syntaxError{start, quote(t.text) + " is not a number"}
	}
	t.value = v
	return t, nil
}

func parseNumber(s string) (float64, error) {
	if len(s) > 1 && (s[1] == 'x' || s[1] == 'X') {
		n, err := strconv.ParseUint(s[2:], 16, 64)
		return float64(n), err
	}
	return strconv.ParseFloat(s, 64)
}

// decimal returns how many bytes of s are digits[.digits][e[+-]digits].
func decimal(s string) int {
	const digits = "0123456789"
	n := span(s, digits)
	if n+1 < len(s) && s[n] == '.' && isDigit(rune(s[n+1])) {
		n += 1 + span(s[n+1:], digits)
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if d := span(s[e:], digits); d > 0 {
			n = e + d
		}
	}
	return n
}

// span returns how many leading bytes of s are in set.
func span(s, set string) int {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) < 0 {
			return i
		}
	}
	return len(s)
}

// str reads a string: a doubled quote or a backslash escapes, as in JSON.
func (l *lexer) str(q byte) (token, error) {
	var b strings.Builder
	rest := l.src[l.off:]
	for i := 1; i < len(rest); {
		c := rest[i]
		switch {
		case c == q && i+1 < len(rest) && rest[i+1] == q:
			b.WriteByte(q)
			i += 2
		case c == q:
			t := l.cut(tokString, i+1)
			t.value = b.String()
			return t, nil
		case c == '\\':
			r, n := unescape(rest[i:])
			if n == 0 {
				return token{}, &syntaxError{Pos(l.off + i), `unknown escape in a string: write \\ for a backslash`}
			}
			b.WriteRune(r)
			i += n
		default:
			b.WriteByte(c)
			i++
		}
	}
	return token{}, &syntaxError{Pos(l.off), "the string that begins here has no closing " + string(q)}
}

// unescape reads the escape that s begins with and its length, 0 if it is none.
func unescape(s string) (r rune, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"'\/bfnrt`, s[1]); i >= 0 {
		return rune("\"'\\/\b\f\n\r\t"[i]), 2
	}
	r, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if utf16.IsSurrogate(r) {
		if low, ok := hex4(s[6:]); ok && utf16.DecodeRune(r, low) != unicode.ReplacementChar {
			return utf16.DecodeRune(r, low), 12
		}
		return unicode.ReplacementChar, 6
	}
	return r, 6
}

// hex4 reads \uXXXX.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 32)
	return rune(n), err == nil
}

// quote puts s between quotes for an error, shortened.
func quote(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return "'" + s + "'"
}
