package saql

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// A DecodeError says why a body is not what it should be, and where.
type DecodeError struct {
	Offset int // in bytes, from 0
	Msg    string
}

func (e *DecodeError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Msg) }

// jsonScanner walks over JSON text. The first error stops it: i goes behind the
// end, so that every loop falls through.
type jsonScanner struct {
	b    []byte
	i    int
	high bool // a byte over 0x7F was seen: UTF-8 is to be checked
	err  *DecodeError
}

// begin enters a body behind its byte order mark.
func (s *jsonScanner) begin(body []byte) {
	*s = jsonScanner{b: body}
	switch {
	case bytes.HasPrefix(body, []byte("\xEF\xBB\xBF")):
		s.i = 3
	case bytes.HasPrefix(body, []byte("\xFF\xFE")), bytes.HasPrefix(body, []byte("\xFE\xFF")):
		s.fail("the text is UTF-16; expected UTF-8")
	}
	s.space()
}

// end checks that nothing follows, and that the text is valid UTF-8.
func (s *jsonScanner) end() error {
	s.space()
	if s.err == nil && s.i != len(s.b) {
		s.expected("the end of the text")
	}
	if s.err == nil && s.high {
		s.checkUTF8()
	}
	if s.err != nil {
		return s.err
	}
	return nil
}

func (s *jsonScanner) checkUTF8() {
	if utf8.Valid(s.b) {
		return
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(s.b[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	s.i = at
	s.fail("the text is not valid UTF-8")
}

// fail notes an error at i.
func (s *jsonScanner) fail(msg string) {
	if s.err == nil {
		s.err = &DecodeError{Offset: s.i, Msg: msg}
	}
	s.i = len(s.b)
}

func (s *jsonScanner) expected(what string) {
	if s.err != nil {
		return
	}
	if s.i >= len(s.b) {
		s.fail("expected " + what + ", found the end")
		return
	}
	r, _ := utf8.DecodeRune(s.b[s.i:])
	s.fail("expected " + what + ", found " + strconv.QuoteRune(r))
}

// peek returns the byte at i, 0 at the end: no place of the grammar allows it.
func (s *jsonScanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *jsonScanner) space() {
	for s.i < len(s.b) && s.b[s.i] <= ' ' {
		switch s.b[s.i] {
		case ' ', '\n', '\t', '\r':
			s.i++
		default:
			return
		}
	}
}

// open enters a container and reports whether it has anything in it.
func (s *jsonScanner) open(end byte, depth int) bool {
	if depth >= MaxDepth {
		s.fail(errDepth.Error())
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

// more reads what follows a member or an element: true behind a comma, false
// behind the end of the container.
func (s *jsonScanner) more(end byte) bool {
	if i := s.i + 1; i < len(s.b) && s.b[i-1] == ',' && s.b[i] > ' ' {
		s.i = i
		return true
	}
	return s.moreSpaced(end)
}

func (s *jsonScanner) moreSpaced(end byte) bool {
	s.space()
	switch s.peek() {
	case ',':
		s.i++
		s.space()
		return true
	case end:
		s.i++
	default:
		s.expected("',' or " + strconv.QuoteRune(rune(end)))
	}
	return false
}

// skip passes a value without decoding it.
func (s *jsonScanner) skip(depth int) {
	switch s.peek() {
	case '"':
		s.text()
	case '{':
		for ok := s.open('}', depth); ok; ok = s.more('}') {
			s.key()
			s.skip(depth + 1)
		}
	case '[':
		for ok := s.open(']', depth); ok; ok = s.more(']') {
			s.skip(depth + 1)
		}
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.skipNumber()
	}
}

// skipNumber passes a number without its value.
func (s *jsonScanner) skipNumber() {
	b, from := s.b, s.i
	i := from
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == first || b[first] == '0' && i > first+1 || i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e') {
		s.number() // the long way, with its errors
		return
	}
	s.i = i
}

// key reads a name and its colon. The name is what stands between the quotes;
// it is plain if it has no escapes.
func (s *jsonScanner) key() (name []byte, plain bool) {
	if s.peek() != '"' {
		s.expected("a name in quotes")
		return nil, false
	}
	name, plain = s.text()
	if i := s.i + 1; i < len(s.b) && s.b[i-1] == ':' && s.b[i] > ' ' {
		s.i = i
		return name, plain
	}
	s.space()
	if s.peek() != ':' {
		s.expected("':'")
		return nil, false
	}
	s.i++
	s.space()
	return name, plain
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of x that end a run of plain text: quote, backslash,
// control characters and bytes over 0x7F. The lowest mark is exact.
func special(x uint64) uint64 {
	quote, slash := x^(ones*'"'), x^(ones*'\\')
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x | x) & highs
}

// text reads a string from its first quote on and returns what stands between
// the quotes; it is plain if it has no escapes.
func (s *jsonScanner) text() (raw []byte, plain bool) {
	plain = true
	b, from := s.b, s.i+1
	i := from
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
			s.i = len(b)
			s.expected("'\"'")
			return nil, true
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return b[from:i], plain
		case c == '\\':
			plain = false
			n := escapeLen(b[i:])
			if n == 0 {
				s.i = i
				s.fail("unknown escape in a string")
				return nil, true
			}
			i += n
		case c < ' ':
			s.i = i
			s.fail("a control character in a string; expected an escape")
			return nil, true
		case c >= utf8.RuneSelf:
			s.high = true
			i++
		default:
			i++
		}
	}
}

// escapeLen returns the length of the escape that b begins with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case isDigit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (s *jsonScanner) word(word string) {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		s.expected("a value")
		return
	}
	s.i += len(word)
}

// pow10 are the powers of ten that a float holds exactly.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// number reads a number: an integer is a bigint, one with a fraction or an
// exponent a float. What is outside of their range fails only where the number
// is wanted: wide tells it, and the value has no meaning.
func (s *jsonScanner) number() (v Value, wide bool) {
	b, from := s.b, s.i
	i := from
	negative := i < len(b) && b[i] == '-'
	if negative {
		i++
	}
	first := i
	mantissa := uint64(0)
	for i < len(b) && isDigit(b[i]) {
		mantissa = mantissa*10 + uint64(b[i]-'0')
		i++
	}
	digits := i - first
	if digits == 0 || digits > 1 && b[first] == '0' {
		s.i = min(first+1, i)
		s.expected("a value")
		return Null, false
	}
	if i == len(b) || b[i] != '.' && b[i]|0x20 != 'e' {
		s.i = i
		return integer(mantissa, negative, digits)
	}
	point := i
	if b[i] == '.' {
		i++
		for i < len(b) && isDigit(b[i]) {
			mantissa = mantissa*10 + uint64(b[i]-'0')
			i++
		}
		if digits += i - point - 1; i == point+1 {
			s.i = i
			s.expected("a digit")
			return Null, false
		}
	}
	scale := max(i-point-1, 0)
	if i < len(b) && b[i]|0x20 == 'e' {
		s.i = i + 1
		return s.exponent(from)
	}
	s.i = i
	if digits <= 19 && mantissa < 1<<53 && scale < len(pow10) {
		f := float64(mantissa) / pow10[scale]
		if negative {
			f = -f
		}
		return Float(f), false
	}
	return parseFloat(b[from:i])
}

func integer(mantissa uint64, negative bool, digits int) (v Value, wide bool) {
	if digits > 19 {
		return Null, true
	}
	if negative {
		return Bigint(-int64(mantissa)), mantissa > 1<<63
	}
	return Bigint(int64(mantissa)), mantissa > 1<<63-1
}

// exponent reads what follows the e of a number that began at from.
func (s *jsonScanner) exponent(from int) (v Value, wide bool) {
	if c := s.peek(); c == '+' || c == '-' {
		s.i++
	}
	if !isDigit(s.peek()) {
		s.expected("a digit")
		return Null, false
	}
	for isDigit(s.peek()) {
		s.i++
	}
	return parseFloat(s.b[from:s.i])
}

func parseFloat(b []byte) (v Value, wide bool) {
	f, err := strconv.ParseFloat(unsafeString(b), 64)
	return Float(f), err != nil
}
