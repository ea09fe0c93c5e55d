package saql

// Constant computes an expression of literals and arithmetic; ok is false if it
// is none, or if computing it fails.
func Constant(e Expr) (v Value, ok bool) {
	switch e := e.(type) {
	case *Literal:
		return e.Value, true
	case *Unary:
		x, ok := Constant(e.X)
		if f := unaryFunc(e.Op); f != nil && ok {
			v, err := f(x)
			return v, err == nil
		}
	case *Binary:
		l, okL := Constant(e.L)
		r, okR := Constant(e.R)
		if f := arithFunc(e.Op); f != nil && okL && okR {
			v, err := f(l, r)
			return v, err == nil
		}
	}
	return Null, false
}

func unaryFunc(op Op) func(Value) (Value, error) {
	switch op {
	case OpSub:
		return Neg
	case OpAdd:
		return Plus
	case OpBitNot:
		return BitNot
	default:
		return nil
	}
}

func arithFunc(op Op) func(a, b Value) (Value, error) {
	switch op {
	case OpAdd:
		return Add
	case OpSub:
		return Sub
	case OpMul:
		return Mul
	case OpDiv:
		return Div
	case OpMod:
		return Mod
	case OpBitAnd:
		return BitAnd
	case OpBitOr:
		return BitOr
	case OpBitXor:
		return BitXor
	default:
		return nil
	}
}

func compareFunc(op Op) func(a, b Value) (Value, error) {
	switch op {
	case OpEq:
		return Eq
	case OpNe:
		return Ne
	case OpLt:
		return Lt
	case OpLe:
		return Le
	case OpGt:
		return Gt
	case OpGe:
		return Ge
	default:
		return nil
	}
}
