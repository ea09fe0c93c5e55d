package saql

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// AppendJSON appends v as Stream Analytics writes it: floats with the fewest
// digits that read back the same, and a fraction or an exponent to tell them
// from bigints (20.0, 1E+15); datetimes as strings with 7 digits; NaN and the
// infinities as the strings "NaN", "Infinity" and "-Infinity"; bits as true
// and false.
func AppendJSON(b []byte, v Value) []byte {
	switch v.kind {
	case KindBigint:
		return strconv.AppendInt(b, v.Bigint(), 10)
	case KindFloat:
		return appendJSONFloat(b, v.Float())
	case KindString:
		return appendJSONString(b, v.Str())
	case KindDatetime:
		b = append(b, '"')
		b = v.Datetime().AppendText(b)
		return append(b, '"')
	case KindBit:
		return strconv.AppendBool(b, v.Bit())
	case KindRecord:
		b = append(b, '{')
		for i, f := range v.Record().Fields {
			b = appendMember(b, i == 0, f.Name, f.Value)
		}
		return append(b, '}')
	case KindArray:
		b = append(b, '[')
		for i, e := range v.Array() {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendJSON(b, e)
		}
		return append(b, ']')
	default:
		return append(b, "null"...)
	}
}

// AppendJSON appends a row as an object. A name that is there already is left
// out: the left one wins.
func (s *Schema) AppendJSON(b []byte, values []Value) []byte {
	b = append(b, '{')
	first := true
	s.each(values, func(name string, v Value) {
		b = appendMember(b, first, name, v)
		first = false
	})
	return append(b, '}')
}

// Record returns a row as a record, which shares memory with the values.
func (s *Schema) Record(values []Value) *Record {
	r := &Record{Fields: make([]Field, 0, len(s.Columns))}
	s.each(values, func(name string, v Value) {
		r.Fields = append(r.Fields, Field{name, v})
	})
	return r
}

// each calls f for every value of a row, the fields of spread ones included.
func (s *Schema) each(values []Value, f func(name string, v Value)) {
	for i, c := range s.Columns {
		if !c.Spread {
			if !s.named(values[:i], c.Name) {
				f(c.Name, values[i])
			}
			continue
		}
		r := values[i].Record()
		if r == nil {
			continue
		}
		for _, field := range r.Fields {
			if !s.named(values[:i], field.Name) {
				f(field.Name, field.Value)
			}
		}
	}
}

// named reports that one of the first columns has that name, but for case.
func (s *Schema) named(values []Value, name string) bool {
	for i := range values {
		c := &s.Columns[i]
		if !c.Spread {
			if len(c.Name) == len(name) && strings.EqualFold(c.Name, name) {
				return true
			}
			continue
		}
		r := values[i].Record()
		for k := 0; r != nil && k < len(r.Fields); k++ {
			if n := r.Fields[k].Name; len(n) == len(name) && strings.EqualFold(n, name) {
				return true
			}
		}
	}
	return false
}

func appendMember(b []byte, first bool, name string, v Value) []byte {
	if !first {
		b = append(b, ',')
	}
	b = appendJSONString(b, name)
	b = append(b, ':')
	return AppendJSON(b, v)
}

func appendJSONFloat(b []byte, f float64) []byte {
	if f-f != 0 { // NaN or infinite
		b = append(b, '"')
		b = appendFloat(b, f, -1)
		return append(b, '"')
	}
	if n := int64(f); float64(n) == f && n > -1e15 && n < 1e15 && n != 0 {
		b = strconv.AppendInt(b, n, 10)
		return append(b, ".0"...)
	}
	from := len(b)
	b = appendFloat(b, f, -1)
	for _, c := range b[from:] {
		if c == '.' || c == 'E' {
			return b
		}
	}
	return append(b, ".0"...)
}

const hexDigits = "0123456789abcdef"

func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		if plainASCII[s[i]] {
			i++
			continue
		}
		if s[i] < utf8.RuneSelf {
			b = append(b, s[from:i]...)
			b = appendEscape(b, s[i])
			i++
			from = i
			continue
		}
		switch r, size := utf8.DecodeRuneInString(s[i:]); {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[from:i]...)
			b = append(b, "\uFFFD"...)
			i++
			from = i
		case r == '\u0085', r == '\u2028', r == '\u2029': // line ends to some readers
			b = append(b, s[from:i]...)
			b = append(b, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			i += size
			from = i
		default:
			i += size
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

// plainASCII are the bytes of a string that stand for themselves.
var plainASCII = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
