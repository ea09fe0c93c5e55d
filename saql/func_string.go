package saql

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is how many bytes a string that the language makes may have.
const maxText = 1 << 20

var errTextSize = fmt.Errorf("the string would be longer than %d bytes", maxText)

func negativeLength(name string, n int64) error {
	return fmt.Errorf("the length that %s takes is %d; expected 0 or more", name, n)
}

// length is LEN(s): UTF-16 code units, spaces at the end included.
func length(args []Value) (Value, error) { return Bigint(int64(utf16Len(args[0].Str()))), nil }

// upper is UPPER(s).
func upper(args []Value) (Value, error) { return String(strings.ToUpper(args[0].Str())), nil }

// lower is LOWER(s).
func lower(args []Value) (Value, error) { return String(strings.ToLower(args[0].Str())), nil }

// trim is TRIM(s).
func trim(args []Value) (Value, error) { return String(strings.TrimSpace(args[0].Str())), nil }

// leftTrim is LTRIM(s).
func leftTrim(args []Value) (Value, error) {
	return String(strings.TrimLeftFunc(args[0].Str(), unicode.IsSpace)), nil
}

// rightTrim is RTRIM(s).
func rightTrim(args []Value) (Value, error) {
	return String(strings.TrimRightFunc(args[0].Str(), unicode.IsSpace)), nil
}

// charIndex is CHARINDEX(find, in [, start]): the position from 1, or 0.
func charIndex(args []Value) (Value, error) {
	find, in := args[0].Str(), args[1].Str()
	from := 0
	if len(args) == 3 && args[2].Bigint() > 1 {
		skip := args[2].Bigint() - 1
		if skip > int64(utf16Len(in)) {
			return Bigint(0), nil
		}
		from, _ = utf16Offset(in, skip)
	}
	i := strings.Index(in[from:], find)
	if i < 0 {
		return Bigint(0), nil
	}
	return Bigint(int64(utf16Len(in[:from+i])) + 1), nil
}

// concat is CONCAT(a, b, …): NULL counts as the empty string.
func concat(args []Value) (Value, error) {
	var b []byte
	for _, a := range args {
		b = appendArg(b, a)
		if len(b) > maxText {
			return Null, errTextSize
		}
	}
	return String(string(b)), nil
}

// concatWS is CONCAT_WS(separator, a, b, …): NULLs are left out.
func concatWS(args []Value) (Value, error) {
	var b []byte
	first := true
	for _, a := range args[1:] {
		if a.kind == KindNull {
			continue
		}
		if !first {
			b = appendArg(b, args[0])
		}
		first = false
		b = appendArg(b, a)
		if len(b) > maxText {
			return Null, errTextSize
		}
	}
	return String(string(b)), nil
}

func appendArg(b []byte, v Value) []byte {
	switch v.kind {
	case KindNull:
		return b
	case KindString:
		return append(b, v.Str()...)
	}
	return appendText15(b, v)
}

// left is LEFT(s, n).
func left(args []Value) (Value, error) {
	n := args[1].Bigint()
	if n < 0 {
		return Null, negativeLength("LEFT", n)
	}
	return String(utf16Slice(args[0].Str(), 0, n)), nil
}

// right is RIGHT(s, n).
func right(args []Value) (Value, error) {
	s, n := args[0].Str(), args[1].Bigint()
	if n < 0 {
		return Null, negativeLength("RIGHT", n)
	}
	all := int64(utf16Len(s))
	return String(utf16Slice(s, max(all-n, 0), all)), nil
}

// substring is SUBSTRING(s, start, length): start counts from 1, and what lies
// before the string uses up length.
func substring(args []Value) (Value, error) {
	start, n := args[1].Bigint(), args[2].Bigint()
	if n < 0 {
		return Null, negativeLength("SUBSTRING", n)
	}
	end := start + n // exclusive, from 1
	if end < start {
		end = 1<<63 - 1
	}
	return String(utf16Slice(args[0].Str(), max(start, 1)-1, max(end, 1)-1)), nil
}

// stuff is STUFF(s, start, length, insert): length characters from start on
// give way to insert.
func stuff(args []Value) (Value, error) {
	s, start, n, insert := args[0].Str(), args[1].Bigint(), args[2].Bigint(), args[3].Str()
	if n < 0 {
		return Null, negativeLength("STUFF", n)
	}
	all := int64(utf16Len(s))
	if start > all {
		return String(""), nil
	}
	from := max(start, 1) - 1
	to := from + min(n, all-from)
	if len(s)+len(insert) > maxText {
		return Null, errTextSize
	}
	return String(utf16Slice(s, 0, from) + insert + utf16Slice(s, to, all)), nil
}

// replace is REPLACE(s, pattern, by).
func replace(args []Value) (Value, error) {
	s, pattern, by := args[0].Str(), args[1].Str(), args[2].Str()
	if pattern == "" {
		return args[0], nil
	}
	if grown := len(by) - len(pattern); grown > 0 && len(s)+grown*strings.Count(s, pattern) > maxText {
		return Null, errTextSize
	}
	return String(strings.ReplaceAll(s, pattern, by)), nil
}

// replicate is REPLICATE(s, n), NULL for a negative n.
func replicate(args []Value) (Value, error) {
	s, n := args[0].Str(), args[1].Bigint()
	switch {
	case n < 0:
		return Null, nil
	case len(s) > 0 && n > int64(maxText/len(s)):
		return Null, errTextSize
	case len(s) == 0:
		return args[0], nil
	}
	return String(strings.Repeat(s, int(n))), nil
}

// space is SPACE(n), NULL for a negative n.
func space(args []Value) (Value, error) {
	return replicate([]Value{String(" "), args[0]})
}

// reverse is REVERSE(s). Surrogate pairs stay together.
func reverse(args []Value) (Value, error) {
	s := args[0].Str()
	b := make([]byte, len(s))
	at := len(b)
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		at -= size
		copy(b[at:], s[i:i+size])
		i += size
	}
	return String(string(b)), nil
}

var errTranslate = errors.New("TRANSLATE takes as many characters as translations")

// translate is TRANSLATE(s, characters, translations), each character once.
func translate(args []Value) (Value, error) {
	from, to := []rune(args[1].Str()), []rune(args[2].Str())
	if len(from) != len(to) {
		return Null, errTranslate
	}
	translated := strings.Map(func(r rune) rune {
		for i, c := range from {
			if c == r {
				return to[i]
			}
		}
		return r
	}, args[0].Str())
	return String(translated), nil
}

// nchar is NCHAR(n): the character of that code point, NULL if there is none.
func nchar(args []Value) (Value, error) {
	n := args[0].Bigint()
	if n < 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return Null, nil
	}
	return String(string(rune(n))), nil
}

// unicodeOf is UNICODE(s): the code point of the first character, NULL of none.
func unicodeOf(args []Value) (Value, error) {
	s := args[0].Str()
	if s == "" {
		return Null, nil
	}
	r, _ := utf8.DecodeRuneInString(s)
	return Bigint(int64(r)), nil
}
