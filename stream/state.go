package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// The state of operators is written with varints, saql.AppendValue and what
// stands here; a reader reads it.

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, x bool) []byte {
	if x {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendKey(b []byte, k saql.Key) []byte {
	b = binary.AppendVarint(b, int64(k.Partition))
	b = binary.AppendVarint(b, k.Seq)
	return binary.AppendVarint(b, int64(k.Index))
}

func appendValues(b []byte, values []saql.Value) []byte {
	for _, v := range values {
		b = saql.AppendValue(b, v)
	}
	return b
}

// A reader reads state from b. After an error all that it reads is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() { r.b, r.err = nil, errState }

func (r *reader) varint() int64 {
	n, width := binary.Varint(r.b)
	if width <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[width:]
	return n
}

func (r *reader) ticks() saql.Ticks { return saql.Ticks(r.varint()) }

// count reads a number of things that take a byte or more each.
func (r *reader) count() int {
	n, width := binary.Uvarint(r.b)
	if width <= 0 || n > uint64(len(r.b)-width) {
		r.fail()
		return 0
	}
	r.b = r.b[width:]
	return int(n)
}

func (r *reader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) bool() bool {
	if len(r.b) == 0 || r.b[0] > 1 {
		r.fail()
		return false
	}
	x := r.b[0] == 1
	r.b = r.b[1:]
	return x
}

func (r *reader) key() saql.Key {
	return saql.Key{Partition: int(r.varint()), Seq: r.varint(), Index: int(r.varint())}
}

func (r *reader) value() saql.Value {
	if r.err != nil {
		return saql.Null
	}
	v, rest, err := saql.ReadValue(r.b)
	if err != nil {
		r.fail()
		return saql.Null
	}
	r.b = rest
	return v
}

func (r *reader) values(to []saql.Value) {
	for i := range to {
		to[i] = r.value()
	}
}

// end is the result of reading a state to its end.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail()
	}
	return r.err
}
