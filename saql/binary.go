package saql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// AppendValue appends v in the encoding of operator state: one byte for the
// kind, then
//
//	bigint, datetime  zigzag varint
//	float             8 bytes, little-endian
//	bit               one byte, 0 or 1
//	string            length as varint, bytes
//	record            number of fields as varint, then name and value of each
//	array             number of elements as varint, then the values
//
// Equal values give equal bytes, and no encoding is the beginning of another.
func AppendValue(b []byte, v Value) []byte {
	b = append(b, byte(v.kind))
	switch v.kind {
	case KindBigint, KindDatetime:
		return binary.AppendVarint(b, v.Bigint())
	case KindFloat:
		return binary.LittleEndian.AppendUint64(b, v.num)
	case KindBit:
		return append(b, byte(v.num))
	case KindString:
		return appendText(b, v.Str())
	case KindRecord:
		r := v.Record()
		b = binary.AppendUvarint(b, uint64(len(r.Fields)))
		for _, f := range r.Fields {
			b = appendText(b, f.Name)
			b = AppendValue(b, f.Value)
		}
	case KindArray:
		a := v.Array()
		b = binary.AppendUvarint(b, uint64(len(a)))
		for _, e := range a {
			b = AppendValue(b, e)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

var errTruncated = errors.New("saql: an encoded value ends too early")

// ReadValue reads what AppendValue appended and returns what follows it. The
// value shares no memory with b.
func ReadValue(b []byte) (v Value, rest []byte, err error) {
	return readValue(b, MaxDepth)
}

func readValue(b []byte, depth int) (Value, []byte, error) {
	if len(b) == 0 {
		return Null, nil, errTruncated
	}
	kind, b := Kind(b[0]), b[1:]
	switch kind {
	case KindNull:
		return Null, b, nil
	case KindBigint, KindDatetime:
		n, size := binary.Varint(b)
		if size <= 0 {
			return Null, nil, errTruncated
		}
		return Value{kind: kind, num: uint64(n)}, b[size:], nil
	case KindFloat:
		if len(b) < 8 {
			return Null, nil, errTruncated
		}
		return Float(math.Float64frombits(binary.LittleEndian.Uint64(b))), b[8:], nil
	case KindBit:
		if len(b) == 0 || b[0] > 1 {
			return Null, nil, errTruncated
		}
		return Bit(b[0] == 1), b[1:], nil
	case KindString:
		s, rest, err := readText(b)
		return String(s), rest, err
	}
	if depth == 0 {
		return Null, nil, errDepth
	}
	switch kind {
	case KindRecord:
		return readRecord(b, depth)
	case KindArray:
		return readArray(b, depth)
	}
	return Null, nil, fmt.Errorf("saql: an encoded value has the unknown kind %d", kind)
}

func readRecord(b []byte, depth int) (Value, []byte, error) {
	n, b, err := readLen(b)
	if err != nil {
		return Null, nil, err
	}
	r := &Record{Fields: make([]Field, 0, min(n, 64))}
	for range n {
		var f Field
		if f.Name, b, err = readText(b); err != nil {
			return Null, nil, err
		}
		if f.Value, b, err = readValue(b, depth-1); err != nil {
			return Null, nil, err
		}
		r.Fields = append(r.Fields, f)
	}
	return RecordValue(r), b, nil
}

func readArray(b []byte, depth int) (Value, []byte, error) {
	n, b, err := readLen(b)
	if err != nil {
		return Null, nil, err
	}
	a := make([]Value, 0, min(n, 64))
	for range n {
		var e Value
		if e, b, err = readValue(b, depth-1); err != nil {
			return Null, nil, err
		}
		a = append(a, e)
	}
	return ArrayValue(a), b, nil
}

func readText(b []byte) (string, []byte, error) {
	n, b, err := readLen(b)
	if err != nil {
		return "", nil, err
	}
	return string(b[:n]), b[n:], nil
}

// readLen reads a length or a count; each of what it counts takes a byte or more.
func readLen(b []byte) (int, []byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return 0, nil, errTruncated
	}
	return int(n), b[size:], nil
}
