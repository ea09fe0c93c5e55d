package saql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted // a name in [ ] or " "
	tokenString
	tokenInteger
	tokenFloat
	tokenSymbol
)

// A token is one word of a script. Its text is without quotes.
type token struct {
	kind   tokenKind
	at     Pos
	text   string
	double bool // in " "
}

// is reports that the token is this keyword, in any case, or this symbol.
func (t token) is(text string) bool {
	switch t.kind {
	case tokenWord:
		return strings.EqualFold(t.text, text)
	case tokenSymbol:
		return t.text == text
	default:
		return false
	}
}

// String gives the token as an error message names it.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "end of script"
	case tokenQuoted:
		return quoteName(t.text)
	case tokenString:
		return quoteString(t.text)
	default:
		return `"` + t.text + `"`
	}
}

// maxScript bounds the work that a script can ask of the parser, in bytes.
const maxScript = 1 << 20

// lex splits a script into tokens; the last one is tokenEnd.
func lex(src string) ([]token, *Error) {
	l := lexer{rest: strings.TrimPrefix(src, "\ufeff"), at: Pos{1, 1}}
	if len(src) > maxScript {
		return nil, Errorf(l.at, "the script has %d bytes, at most %d are allowed", len(src), maxScript)
	}
	var tokens []token
	for {
		t := l.token()
		if l.err != nil {
			return nil, l.err
		}
		tokens = append(tokens, t)
		if t.kind == tokenEnd {
			return tokens, nil
		}
	}
}

type lexer struct {
	rest string
	at   Pos
	err  *Error
}

// take consumes n bytes and returns them.
func (l *lexer) take(n int) string {
	s := l.rest[:n]
	l.rest = l.rest[n:]
	for _, r := range s {
		l.at.Column++
		if r == '\n' {
			l.at.Line++
			l.at.Column = 1
		}
	}
	return s
}

// takeWhile consumes the runes that ok accepts.
func (l *lexer) takeWhile(ok func(rune) bool) string {
	n := strings.IndexFunc(l.rest, func(r rune) bool { return !ok(r) })
	if n < 0 {
		n = len(l.rest)
	}
	return l.take(n)
}

func (l *lexer) fail(at Pos, format string, args ...any) token {
	l.err = Errorf(at, format, args...)
	return token{}
}

func (l *lexer) token() token {
	if !l.skipSpace() {
		return token{}
	}
	at := l.at
	if l.rest == "" {
		return token{kind: tokenEnd, at: at}
	}
	r, size := utf8.DecodeRuneInString(l.rest)
	switch {
	case r == utf8.RuneError && size == 1:
		return l.fail(at, "the script is not UTF-8")
	case r == '\'':
		return l.quoted(tokenString, "a string", '\'')
	case r == '"':
		return l.quoted(tokenQuoted, "a name", '"')
	case r == '[':
		return l.quoted(tokenQuoted, "a name", ']')
	case isDigit(l.rest[0]), r == '.' && len(l.rest) > 1 && isDigit(l.rest[1]):
		return l.number()
	case isNameStart(r):
		return token{kind: tokenWord, at: at, text: l.takeWhile(isNamePart)}
	}
	for _, s := range symbols {
		if strings.HasPrefix(l.rest, s) {
			return token{kind: tokenSymbol, at: at, text: l.take(len(s))}
		}
	}
	return l.fail(at, "unexpected character %q", r)
}

// symbols lists the longer ones before their prefixes.
var symbols = [...]string{
	"<>", "!=", "<=", ">=", "!<", "!>",
	"=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", "(", ")", ",", ".", ";",
}

// skipSpace passes over blanks and comments; it reports false on an error.
func (l *lexer) skipSpace() bool {
	for {
		l.takeWhile(unicode.IsSpace)
		switch {
		case strings.HasPrefix(l.rest, "--"):
			l.takeWhile(func(r rune) bool { return r != '\n' })
		case strings.HasPrefix(l.rest, "/*"):
			if !l.skipComment() {
				return false
			}
		default:
			return true
		}
	}
}

// skipComment passes over a comment, which may hold others.
func (l *lexer) skipComment() bool {
	at := l.at
	for depth := 0; ; {
		switch {
		case l.rest == "":
			l.fail(at, "the comment has no end, expected */")
			return false
		case strings.HasPrefix(l.rest, "/*"):
			l.take(2)
			depth++
		case strings.HasPrefix(l.rest, "*/"):
			l.take(2)
			if depth--; depth == 0 {
				return true
			}
		default:
			l.take(1)
			l.takeWhile(func(r rune) bool { return r != '*' && r != '/' })
		}
	}
}

// quoted reads a text whose closing quote is written twice inside of it.
func (l *lexer) quoted(kind tokenKind, what string, end byte) token {
	at := l.at
	l.take(1)
	var text strings.Builder
	for {
		n := strings.IndexByte(l.rest, end)
		if n < 0 {
			return l.fail(at, "%s has no end, expected %c", what, end)
		}
		text.WriteString(l.take(n))
		l.take(1)
		if l.rest == "" || l.rest[0] != end {
			break
		}
		text.WriteString(l.take(1))
	}
	switch {
	case !utf8.ValidString(text.String()):
		return l.fail(at, "the script is not UTF-8")
	case kind == tokenQuoted && text.Len() == 0:
		return l.fail(at, "a name is empty")
	}
	return token{kind: kind, at: at, text: text.String(), double: end == '"'}
}

// number reads digits[.digits][e[sign]digits].
func (l *lexer) number() token {
	at, kind := l.at, tokenInteger
	text := l.digits()
	if strings.HasPrefix(l.rest, ".") {
		kind = tokenFloat
		text += l.take(1) + l.digits()
	}
	if n := exponent(l.rest); n > 0 {
		kind = tokenFloat
		text += l.take(n) + l.digits()
	}
	if tail := l.takeWhile(isNamePart); tail != "" {
		return l.fail(at, "%q is not a number", text+tail)
	}
	return token{kind: kind, at: at, text: text}
}

func (l *lexer) digits() string {
	n := 0
	for n < len(l.rest) && isDigit(l.rest[n]) {
		n++
	}
	return l.take(n)
}

// exponent returns the length of the e and the sign that digits follow, or 0.
func exponent(s string) int {
	n := 0
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		n++
		if n < len(s) && (s[n] == '+' || s[n] == '-') {
			n++
		}
		if n < len(s) && isDigit(s[n]) {
			return n
		}
	}
	return 0
}

func isNameStart(r rune) bool { return unicode.IsLetter(r) || r == '_' || r == '@' || r == '#' }

func isNamePart(r rune) bool {
	return isNameStart(r) || unicode.IsDigit(r) || r == '$' || unicode.IsMark(r)
}
