package mqtt311

import "bytes"

// A Pair is one property of a bag. "key" is Null, "key=" is empty.
type Pair struct {
	Key, Value string
	Null       bool
}

// A Bag walks over an IoT Hub property bag, the last level of a topic:
// percent-encoded pairs, "%24.mid=id%201&a%20b=c%26d&flag". Decoding is in
// place: it changes the bytes that it is made of, so a bag is walked once.
type Bag struct{ rest []byte }

// NewBag takes the bytes behind the topic's fixed part. One trailing '/' is no
// part of the bag: SDKs send it.
func NewBag(b []byte) Bag {
	return Bag{bytes.TrimSuffix(b, []byte{'/'})}
}

var (
	errBagKey  = malformed("property without a name")
	errBagUTF8 = malformed("property is not UTF-8, or holds U+0000, after percent-decoding")
)

// Next returns the next property, ok false at the end. Empty pairs ("a&&b")
// are passed over. A '%' that two hexadecimal digits do not follow stands for
// itself, and so does '+'.
func (b *Bag) Next() (p Pair, ok bool, err error) {
	for len(b.rest) > 0 {
		pair := b.rest
		if i := bytes.IndexByte(pair, '&'); i >= 0 {
			pair, b.rest = pair[:i], b.rest[i+1:]
		} else {
			b.rest = nil
		}
		if len(pair) == 0 {
			continue
		}
		key, value := pair, []byte(nil)
		if i := bytes.IndexByte(pair, '='); i >= 0 {
			key, value = pair[:i], pair[i+1:]
		} else {
			p.Null = true
		}
		if len(key) == 0 {
			return Pair{}, false, errBagKey
		}
		key, value = Unescape(key), Unescape(value)
		if !validString(key) || !validString(value) {
			return Pair{}, false, errBagUTF8
		}
		p.Key, p.Value = alias(key), alias(value)
		return p, true, nil
	}
	return Pair{}, false, nil
}

// Unescape percent-decodes b in place and returns what is left of it.
func Unescape(b []byte) []byte {
	r := bytes.IndexByte(b, '%')
	if r < 0 {
		return b
	}
	w := r
	for r < len(b) {
		c := b[r]
		if c == '%' && r+2 < len(b) {
			if hi, lo := unhex(b[r+1]), unhex(b[r+2]); hi < 16 && lo < 16 {
				c = hi<<4 | lo
				r += 2
			}
		}
		b[w] = c
		w++
		r++
	}
	return b[:w]
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// AppendPair appends one property to a bag; between two the caller puts '&'.
func AppendPair(b []byte, p Pair) []byte {
	b = AppendEscaped(b, p.Key)
	if p.Null {
		return b
	}
	return AppendEscaped(append(b, '='), p.Value)
}

// AppendEscaped appends s with all but letters, digits and "-._~" percent-encoded.
func AppendEscaped(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
