package saql

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Eq returns a = b as a bit, NULL if one of them is. Numbers, strings (byte for
// byte), datetimes and bits compare with their own kind, numbers and bits with
// each other; anything else is an error, not "unequal".
func Eq(a, b Value) (Value, error) {
	if a.kind == KindNull || b.kind == KindNull {
		return Null, nil
	}
	eq, err := equal(OpEq, a, b)
	return Bit(eq), err
}

// Ne returns a <> b.
func Ne(a, b Value) (Value, error) {
	if a.kind == KindNull || b.kind == KindNull {
		return Null, nil
	}
	eq, err := equal(OpNe, a, b)
	return Bit(!eq), err
}

func equal(op Op, a, b Value) (bool, error) {
	switch {
	case a.kind == KindString && b.kind == KindString:
		return a.Str() == b.Str(), nil
	case a.isInteger() && b.isInteger(), a.kind == KindDatetime && b.kind == KindDatetime:
		return a.num == b.num, nil
	case a.isNumber() && b.isNumber():
		return a.number() == b.number(), nil
	}
	return false, compareError(op, a, b)
}

// Lt returns a < b as a bit, NULL if one of them is. Strings have no order here.
func Lt(a, b Value) (Value, error) {
	o, err := order(OpLt, a, b)
	return o.bit(o == less), err
}

// Le returns a <= b.
func Le(a, b Value) (Value, error) {
	o, err := order(OpLe, a, b)
	return o.bit(o == less || o == same), err
}

// Gt returns a > b.
func Gt(a, b Value) (Value, error) {
	o, err := order(OpGt, a, b)
	return o.bit(o == greater), err
}

// Ge returns a >= b.
func Ge(a, b Value) (Value, error) {
	o, err := order(OpGe, a, b)
	return o.bit(o == greater || o == same), err
}

// An ordering is how two values are to each other.
type ordering int8

const (
	unknown   ordering = iota // one is NULL
	unordered                 // one is NaN
	less
	same
	greater
)

func (o ordering) bit(b bool) Value {
	if o == unknown {
		return Null
	}
	return Bit(b)
}

func order(op Op, a, b Value) (ordering, error) {
	switch {
	case a.kind == KindNull || b.kind == KindNull:
		return unknown, nil
	case a.isInteger() && b.isInteger(), a.kind == KindDatetime && b.kind == KindDatetime:
		return same + ordering(cmp.Compare(a.Bigint(), b.Bigint())), nil
	case a.isNumber() && b.isNumber():
		x, y := a.number(), b.number()
		if x != x || y != y {
			return unordered, nil
		}
		return same + ordering(cmp.Compare(x, y)), nil
	}
	return unknown, compareError(op, a, b)
}

func compareError(op Op, a, b Value) error {
	if a.kind == KindString && b.kind == KindString {
		return fmt.Errorf("operator %s does not take strings: they have no order; CAST them", op)
	}
	return fmt.Errorf("operator %s does not compare '%s' with '%s'; CAST one of them", op, a.kind, b.kind)
}

// Compare orders the values that MIN, MAX, PERCENTILE and ORDER BY take:
// negative if a comes before b. NULL is the lowest, then NaN; numbers and bits
// compare with each other, strings byte by byte. Other pairs are an error.
func Compare(a, b Value) (int, error) {
	switch {
	case a.kind == KindNull || b.kind == KindNull:
		return cmp.Compare(min(a.kind, 1), min(b.kind, 1)), nil
	case a.isInteger() && b.isInteger(), a.kind == KindDatetime && b.kind == KindDatetime:
		return cmp.Compare(a.Bigint(), b.Bigint()), nil
	case a.isNumber() && b.isNumber():
		return cmp.Compare(a.number(), b.number()), nil
	case a.kind == KindString && b.kind == KindString:
		return strings.Compare(a.Str(), b.Str()), nil
	}
	return 0, fmt.Errorf("'%s' and '%s' have no order; CAST one of them", a.kind, b.kind)
}

// AppendKey appends bytes that are equal for values that GROUP BY, PARTITION BY
// and COUNT(DISTINCT) hold for one: of the same kind and equal. So 1, 1.0 and
// '1' are three keys; NULL is a key, and so is NaN. No key is the beginning of
// another, so that keys can follow each other.
func AppendKey(b []byte, v Value) []byte {
	switch v.kind {
	case KindFloat:
		f := v.Float()
		switch {
		case f == 0:
			f = 0 // of -0, too
		case f != f:
			f = math.NaN()
		}
		return AppendValue(b, Float(f))
	case KindRecord:
		r := v.Record()
		b = append(b, byte(KindRecord))
		b = binary.AppendUvarint(b, uint64(len(r.Fields)))
		for _, f := range r.Fields {
			b = appendText(b, f.Name)
			b = AppendKey(b, f.Value)
		}
		return b
	case KindArray:
		a := v.Array()
		b = append(b, byte(KindArray))
		b = binary.AppendUvarint(b, uint64(len(a)))
		for _, e := range a {
			b = AppendKey(b, e)
		}
		return b
	}
	return AppendValue(b, v)
}

// AppendJoinKey appends bytes that are equal for values that = holds for equal:
// as AppendKey, but a bit, a bigint and a float of the same whole number are
// one key. A NULL or a NaN equals nothing: ok is false.
func AppendJoinKey(b []byte, v Value) (key []byte, ok bool) {
	switch v.kind {
	case KindNull:
		return b, false
	case KindBit:
		return AppendKey(b, Bigint(v.Bigint())), true
	case KindFloat:
		f := v.Float()
		if n := truncate(f); float64(n) == f {
			return AppendKey(b, Bigint(n)), true
		}
		return AppendKey(b, v), f == f
	}
	return AppendKey(b, v), true
}

// Identical reports that a and b are the same key.
func Identical(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case KindString:
		return a.Str() == b.Str()
	case KindFloat:
		x, y := a.Float(), b.Float()
		return x == y || x != x && y != y
	case KindRecord, KindArray:
		return bytes.Equal(AppendKey(nil, a), AppendKey(nil, b))
	}
	return a.num == b.num
}
