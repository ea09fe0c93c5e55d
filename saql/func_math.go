package saql

import (
	"errors"
	"math"
)

// abs is ABS(x).
func abs(args []Value) (Value, error) {
	x := args[0]
	if x.kind == KindFloat {
		return Float(math.Abs(x.Float())), nil
	}
	switch n := x.Bigint(); {
	case n == math.MinInt64:
		return Null, errOverflow
	case n < 0:
		return Bigint(-n), nil
	}
	return x, nil
}

// ceiling is CEILING(x), of x's type.
func ceiling(args []Value) (Value, error) {
	if args[0].kind == KindFloat {
		return Float(math.Ceil(args[0].Float())), nil
	}
	return args[0], nil
}

// floor is FLOOR(x), of x's type.
func floor(args []Value) (Value, error) {
	if args[0].kind == KindFloat {
		return Float(math.Floor(args[0].Float())), nil
	}
	return args[0], nil
}

// exp is EXP(x), a float.
func exp(args []Value) (Value, error) { return Float(math.Exp(args[0].number())), nil }

// square is SQUARE(x), a float.
func square(args []Value) (Value, error) {
	x := args[0].number()
	return Float(x * x), nil
}

var errNegativeRoot = errors.New("SQRT of a negative number")

// sqrt is SQRT(x), a float.
func sqrt(args []Value) (Value, error) {
	x := args[0].number()
	if x < 0 {
		return Null, errNegativeRoot
	}
	return Float(math.Sqrt(x)), nil
}

// sign is SIGN(x), of x's type.
func sign(args []Value) (Value, error) {
	x := args[0]
	s := 0
	switch n := x.number(); {
	case n > 0:
		s = 1
	case n < 0:
		s = -1
	case n != n:
		return x, nil
	}
	if x.kind == KindFloat {
		return Float(float64(s)), nil
	}
	return Bigint(int64(s)), nil
}

// power is POWER(x, y), of x's type: a bigint is computed as a float and cut
// off, so that POWER(2, -1) is 0 and an overflow the least bigint.
func power(args []Value) (Value, error) {
	p := math.Pow(args[0].number(), args[1].number())
	if args[0].kind == KindFloat {
		return Float(p), nil
	}
	return Bigint(truncate(p)), nil
}

// round is ROUND(x, length), of x's type: half away from zero, to length
// decimals, or to tens, hundreds, … where length is negative.
func round(args []Value) (Value, error) {
	places := args[1].Bigint()
	if args[0].kind == KindFloat {
		return Float(roundFloat(args[0].Float(), places)), nil
	}
	return Bigint(roundBigint(args[0].Bigint(), places)), nil
}

func roundFloat(x float64, places int64) float64 {
	switch {
	case places == 0:
		return math.Round(x)
	case places > 15 || math.Abs(x) >= 1e16 && places > 0 || math.IsInf(x, 0):
		return x // a float has no such decimals
	case places < -308:
		return 0 * x
	case places < 0:
		scale := math.Pow(10, float64(-places))
		return math.Round(x/scale) * scale
	}
	scale := math.Pow(10, float64(places))
	return math.Round(x*scale) / scale
}

func roundBigint(n, places int64) int64 {
	if places >= 0 {
		return n
	}
	if places < -18 {
		return 0
	}
	scale := int64(1)
	for range -places {
		scale *= 10
	}
	rest := n % scale
	switch {
	case rest >= scale-rest:
		return n - rest + scale
	case -rest >= scale+rest:
		return n - rest - scale
	}
	return n - rest
}
