// Package mqtt311 reads and writes the packets of MQTT 3.1.1 (OASIS standard,
// 29 October 2014), in both directions, and IoT Hub's property bags.
//
// Parsers work in place: strings and slices of a parsed packet point into the
// frame's bytes and live as long as those stay unchanged. Nothing is allocated
// per packet. Encoders append to a slice. Every parser is a pure function that
// refuses malformed input with an error matching ErrMalformed.
//
// It leaves out policy (who may send what, and how large) and the packets of
// QoS 2, which IoT Hub does not speak.
package mqtt311

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
	"unsafe"
)

var (
	// ErrMalformed matches every refusal of a parser.
	ErrMalformed = errors.New("mqtt311: malformed packet")
	// ErrProtocol is a CONNECT of another protocol or level; it is answered
	// with RefusedProtocol (section 3.1.2.2).
	ErrProtocol = errors.New("mqtt311: not MQTT 3.1.1: protocol name must be MQTT, level 4")
)

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// The refusals of hot parsers are made once.
var (
	errShort    = malformed("field runs over the end of the packet")
	errTrailing = malformed("bytes after the last field")
	errUTF8     = malformed("string is not UTF-8, or holds U+0000 (section 1.5.3)")
	errID       = malformed("packet identifier is 0 (section 2.3.1)")
	errFlags    = malformed("reserved flags of the fixed header (section 2.2.2)")
	errLength   = malformed("remaining length of more than four bytes (section 2.2.3)")
	errQoS      = malformed("QoS 3 (section 3.3.1.2)")
	errTopic    = malformed("empty topic (section 4.7.3)")
	errEmpty    = malformed("no topic filter (sections 3.8.3, 3.10.3)")
)

// MaxString is the length in bytes of the longest string or binary field (section 1.5.3).
const MaxString = 1<<16 - 1

// A reader walks over the fields of one packet; its first error sticks.
type reader struct {
	b   []byte
	err error
}

func (r *reader) byte() byte {
	if len(r.b) < 1 {
		r.fail(errShort)
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uint16() uint16 {
	if len(r.b) < 2 {
		r.fail(errShort)
		return 0
	}
	v := binary.BigEndian.Uint16(r.b)
	r.b = r.b[2:]
	return v
}

func (r *reader) id() uint16 {
	v := r.uint16()
	if v == 0 {
		r.fail(errID)
	}
	return v
}

func (r *reader) binary() []byte {
	n := int(r.uint16())
	if n > len(r.b) {
		r.fail(errShort)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string {
	v := r.binary()
	if !validString(v) {
		r.fail(errUTF8)
		return ""
	}
	return alias(v)
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
		r.b = nil
	}
}

func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		return errTrailing
	}
	return r.err
}

// validString reports whether b may be an MQTT string (section 1.5.3).
func validString(b []byte) bool {
	ascii := true
	for _, c := range b {
		if c == 0 {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(b)
}

// alias returns b as a string that shares its memory.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// appendString appends a length-prefixed string. Strings longer than MaxString
// have no encoding: callers check, so it is an invariant here.
func appendString[S ~string | ~[]byte](b []byte, s S) []byte {
	if len(s) > MaxString {
		panic("mqtt311: field longer than MaxString")
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
