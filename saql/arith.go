package saql

import (
	"errors"
	"fmt"
	"math"
)

var (
	errDivideByZero = errors.New("division of a bigint by zero")
	errOverflow     = errors.New("the result is outside of the range of bigint")
)

// Add returns a + b: the sum of two numbers, which wraps where both are bigint,
// or two strings one behind the other. NULL with anything is NULL.
func Add(a, b Value) (Value, error) {
	if a.kind == KindBigint && b.kind == KindBigint {
		return Bigint(a.Bigint() + b.Bigint()), nil
	}
	if a.kind == KindString && b.kind == KindString {
		if len(a.Str())+len(b.Str()) > maxText {
			return Null, errTextSize
		}
		return String(a.Str() + b.Str()), nil
	}
	x, y, kind, err := numbers(OpAdd, a, b)
	switch {
	case err != nil || kind == KindNull:
		return Null, err
	case kind == KindBigint:
		return Bigint(x.Bigint() + y.Bigint()), nil
	}
	return Float(x.Float() + y.Float()), nil
}

// Sub returns a - b; two bigints wrap.
func Sub(a, b Value) (Value, error) {
	x, y, kind, err := numbers(OpSub, a, b)
	switch {
	case err != nil || kind == KindNull:
		return Null, err
	case kind == KindBigint:
		return Bigint(x.Bigint() - y.Bigint()), nil
	}
	return Float(x.Float() - y.Float()), nil
}

// Mul returns a * b; two bigints wrap.
func Mul(a, b Value) (Value, error) {
	x, y, kind, err := numbers(OpMul, a, b)
	switch {
	case err != nil || kind == KindNull:
		return Null, err
	case kind == KindBigint:
		return Bigint(x.Bigint() * y.Bigint()), nil
	}
	return Float(x.Float() * y.Float()), nil
}

// Div returns a / b: truncated where both are bigint, and then an error if b is
// zero. Floats follow IEEE 754.
func Div(a, b Value) (Value, error) {
	x, y, kind, err := numbers(OpDiv, a, b)
	switch {
	case err != nil || kind == KindNull:
		return Null, err
	case kind == KindFloat:
		return Float(x.Float() / y.Float()), nil
	}
	if err := divisible(x.Bigint(), y.Bigint()); err != nil {
		return Null, err
	}
	return Bigint(x.Bigint() / y.Bigint()), nil
}

// Mod returns the remainder of a / b, which has the sign of a.
func Mod(a, b Value) (Value, error) {
	x, y, kind, err := numbers(OpMod, a, b)
	switch {
	case err != nil || kind == KindNull:
		return Null, err
	case kind == KindFloat:
		return Float(math.Mod(x.Float(), y.Float())), nil
	}
	if err := divisible(x.Bigint(), y.Bigint()); err != nil {
		return Null, err
	}
	return Bigint(x.Bigint() % y.Bigint()), nil
}

// divisible refuses what the processor traps: x / 0 and -2^63 / -1.
func divisible(x, y int64) error {
	if y == 0 {
		return errDivideByZero
	}
	if y == -1 && x == math.MinInt64 {
		return errOverflow
	}
	return nil
}

// Neg returns -a; the least bigint is its own negative.
func Neg(a Value) (Value, error) {
	switch a.kind {
	case KindNull:
		return Null, nil
	case KindBigint, KindBit:
		return Bigint(-a.Bigint()), nil
	case KindFloat:
		return Float(-a.Float()), nil
	}
	return Null, unaryError(OpSub, a)
}

// Plus returns +a, which is a.
func Plus(a Value) (Value, error) {
	switch a.kind {
	case KindNull, KindBigint, KindBit, KindFloat:
		return a, nil
	}
	return Null, unaryError(OpAdd, a)
}

// numbers brings both operands to one kind: bigint or float, a bit counting as
// a bigint. The kind is NULL if one of them is.
func numbers(op Op, a, b Value) (x, y Value, kind Kind, err error) {
	if a.kind == KindNull || b.kind == KindNull {
		return Null, Null, KindNull, nil
	}
	if !a.isNumber() || !b.isNumber() {
		return Null, Null, KindNull, binaryError(op, a, b)
	}
	if a.kind == KindFloat || b.kind == KindFloat {
		return Float(a.number()), Float(b.number()), KindFloat, nil
	}
	return a, b, KindBigint, nil
}

// isNumber reports that v is a bigint, a float or a bit.
func (v Value) isNumber() bool {
	return v.kind == KindBigint || v.kind == KindFloat || v.kind == KindBit
}

// number returns a bigint, float or bit as a float.
func (v Value) number() float64 {
	if v.kind == KindFloat {
		return v.Float()
	}
	return float64(v.Bigint())
}

func binaryError(op Op, a, b Value) error {
	return fmt.Errorf("operator %s does not take '%s' and '%s'; CAST one of them", op, a.kind, b.kind)
}

func unaryError(op Op, a Value) error {
	return fmt.Errorf("operator %s does not take '%s'", op, a.kind)
}

// BitAnd returns a & b: a bit of two bits, else a bigint.
func BitAnd(a, b Value) (Value, error) {
	return bitwise(OpBitAnd, a, b, func(x, y int64) int64 { return x & y })
}

// BitOr returns a | b: a bit of two bits, else a bigint.
func BitOr(a, b Value) (Value, error) {
	return bitwise(OpBitOr, a, b, func(x, y int64) int64 { return x | y })
}

// BitXor returns a ^ b: a bit of two bits, else a bigint.
func BitXor(a, b Value) (Value, error) {
	return bitwise(OpBitXor, a, b, func(x, y int64) int64 { return x ^ y })
}

func bitwise(op Op, a, b Value, f func(x, y int64) int64) (Value, error) {
	if a.kind == KindNull || b.kind == KindNull {
		return Null, nil
	}
	if !a.isInteger() || !b.isInteger() {
		return Null, binaryError(op, a, b)
	}
	n := f(a.Bigint(), b.Bigint())
	if a.kind == KindBit && b.kind == KindBit {
		return Bit(n != 0), nil
	}
	return Bigint(n), nil
}

// BitNot returns ~a: the other bit, or all bits of a bigint inverted.
func BitNot(a Value) (Value, error) {
	switch a.kind {
	case KindNull:
		return Null, nil
	case KindBit:
		return Bit(!a.Bit()), nil
	case KindBigint:
		return Bigint(^a.Bigint()), nil
	}
	return Null, unaryError(OpBitNot, a)
}

// isInteger reports that v is a bigint or a bit.
func (v Value) isInteger() bool { return v.kind == KindBigint || v.kind == KindBit }

// truncate converts a float to a bigint: towards zero, and the least bigint for
// NaN and for what does not fit.
func truncate(f float64) int64 {
	if f >= -(1<<63) && f < 1<<63 {
		return int64(f)
	}
	return math.MinInt64
}
