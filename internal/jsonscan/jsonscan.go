// Package jsonscan checks JSON and cuts a body into rows in one pass, without
// decoding it: what the hot path does to every message. It promises to accept
// what encoding/json accepts, less text that is not valid UTF-8 (RFC 8259,
// section 8.1) and values nested deeper than MaxDepth. It leaves out values:
// who wants numbers and strings decodes the row.
package jsonscan

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested. It bounds the stack
// of the scan and of everybody who decodes the row later.
const MaxDepth = 512

var (
	// ErrSyntax says that the text is not JSON.
	ErrSyntax = errors.New("jsonscan: not JSON")
	// ErrUTF8 says that the text would be JSON, but is not valid UTF-8.
	ErrUTF8 = errors.New("jsonscan: not valid UTF-8")
	// ErrDepth says that the text is nested deeper than MaxDepth.
	ErrDepth = errors.New("jsonscan: nested too deep")
)

// A Row is one value of a body, without the white space around it. It points
// into the body.
type Row struct {
	Data []byte
	// Field is the string under the wanted name at the top of Data, decoded; nil
	// if Data is no object, or the value no string. Of equal names the last
	// counts, as in encoding/json.
	Field []byte
}

// Valid reports whether b is one JSON value and nothing more.
func Valid(b []byte) bool {
	s := scanner{b: b}
	s.space()
	s.value(0)
	return s.end() == nil
}

// Rows appends the rows of body to rows: the elements if it is an array, else
// the value itself. With an error nothing is appended.
func Rows(body []byte, field string, rows []Row) ([]Row, error) {
	s := scanner{b: body, field: field}
	n := len(rows)
	s.space()
	if s.peek() == '[' {
		rows = s.elements(rows)
	} else {
		rows = append(rows, s.row(0))
	}
	if err := s.end(); err != nil {
		return rows[:n], err
	}
	return rows, nil
}

// scanner walks over b. The first error stops it: i goes behind the end, so
// that every loop falls through.
type scanner struct {
	b     []byte
	i     int
	high  bool // a byte over 0x7f was seen: UTF-8 is to be checked
	field string
	err   error
}

func (s *scanner) end() error {
	s.space()
	if s.err == nil && s.i != len(s.b) {
		s.err = ErrSyntax
	}
	if s.err == nil && s.high && !utf8.Valid(s.b) {
		s.err = ErrUTF8
	}
	return s.err
}

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.i = len(s.b)
}

// peek returns the byte at i, 0 at the end: no place of the grammar allows it.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.b) && s.b[s.i] <= ' ' {
		switch s.b[s.i] {
		case ' ', '\n', '\t', '\r':
			s.i++
		default:
			return
		}
	}
}

// more reads what follows a member or an element: true behind a comma, false
// behind the end of the container.
func (s *scanner) more(end byte) bool {
	s.space()
	switch s.peek() {
	case ',':
		s.i++
		s.space()
		return true
	case end:
		s.i++
	default:
		s.fail(ErrSyntax)
	}
	return false
}

// open enters a container and reports whether it has anything in it.
func (s *scanner) open(end byte, depth int) bool {
	if depth >= MaxDepth {
		s.fail(ErrDepth)
		return false
	}
	s.i++
	s.space()
	if s.peek() == end {
		s.i++
		return false
	}
	return true
}

func (s *scanner) elements(rows []Row) []Row {
	for ok := s.open(']', 0); ok; ok = s.more(']') {
		rows = append(rows, s.row(1))
	}
	return rows
}

func (s *scanner) row(depth int) Row {
	from := s.i
	var field []byte
	if s.peek() == '{' {
		field = s.fieldOf(depth)
	} else {
		s.value(depth)
	}
	return Row{Data: s.b[from:s.i:s.i], Field: field}
}

func (s *scanner) value(depth int) {
	switch c := s.peek(); c {
	case '{':
		for ok := s.open('}', depth); ok; ok = s.more('}') {
			s.key()
			s.value(depth + 1)
		}
	case '[':
		for ok := s.open(']', depth); ok; ok = s.more(']') {
			s.value(depth + 1)
		}
	case '"':
		s.text()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

// fieldOf scans an object and returns the string under the wanted name.
func (s *scanner) fieldOf(depth int) (field []byte) {
	for ok := s.open('}', depth); ok; ok = s.more('}') {
		from := s.i
		plain := s.key()
		if !s.isField(from, plain) {
			s.value(depth + 1)
			continue
		}
		field = nil
		if from = s.i; s.peek() != '"' {
			s.value(depth + 1)
			continue
		}
		plain = s.text()
		if s.err == nil {
			field = unquote(s.b[from:s.i], plain)
		}
	}
	return field
}

// isField compares the name that begins at from with the wanted one; almost
// always its length tells them apart.
func (s *scanner) isField(from int, plain bool) bool {
	if s.err != nil || s.field == "" {
		return false
	}
	n := from + 1 + len(s.field)
	if plain {
		return n < s.i && s.b[n] == '"' && string(s.b[from+1:n]) == s.field
	}
	to := from + 1
	for s.b[to] != '"' {
		if s.b[to] == '\\' {
			to++
		}
		to++
	}
	return string(unquote(s.b[from:to+1], false)) == s.field
}

// unquote decodes a string that was scanned. Escapes are rare in names and ids.
func unquote(quoted []byte, plain bool) []byte {
	if plain {
		return quoted[1 : len(quoted)-1]
	}
	var v string
	if json.Unmarshal(quoted, &v) != nil {
		return nil
	}
	return []byte(v)
}

// key reads a name and its colon, and reports whether it has no escapes.
func (s *scanner) key() (plain bool) {
	if s.peek() != '"' {
		s.fail(ErrSyntax)
		return false
	}
	plain = s.text()
	s.space()
	if s.peek() != ':' {
		s.fail(ErrSyntax)
		return false
	}
	s.i++
	s.space()
	return plain
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of x that end a run of plain text: quote, backslash,
// control characters and bytes over 0x7f. The lowest mark is exact.
func special(x uint64) uint64 {
	quote, slash := x^(ones*'"'), x^(ones*'\\')
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x | x) & highs
}

// text reads a string from its first quote on and reports whether it has no
// escapes.
func (s *scanner) text() (plain bool) {
	plain = true
	b, i := s.b, s.i+1
	for {
		for i+8 <= len(b) {
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
			break
		}
		if i >= len(b) {
			s.fail(ErrSyntax)
			return plain
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return plain
		case c == '\\':
			plain = false
			n := escape(b[i:])
			if n == 0 {
				s.fail(ErrSyntax)
				return plain
			}
			i += n
		case c < ' ':
			s.fail(ErrSyntax)
			return plain
		case c >= utf8.RuneSelf:
			s.high = true
			i++
		default:
			i++
		}
	}
}

// escape returns the length of the escape that b begins with, 0 if it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func (s *scanner) literal(word string) {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		s.fail(ErrSyntax)
		return
	}
	s.i += len(word)
}

func (s *scanner) number() {
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else {
		s.digits()
	}
	if s.peek() == '.' {
		s.i++
		s.digits()
	}
	if s.peek()|0x20 == 'e' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		s.digits()
	}
}

// digits reads one digit or more.
func (s *scanner) digits() {
	b, i := s.b, s.i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == s.i {
		s.fail(ErrSyntax)
		return
	}
	s.i = i
}
