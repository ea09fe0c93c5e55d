package saql

import "fmt"

// Truth returns whether a condition holds: NULL does not, a number does unless
// it is 0. Other kinds are an error.
func Truth(v Value) (bool, error) {
	switch v.kind {
	case KindNull:
		return false, nil
	case KindBit, KindBigint:
		return v.num != 0, nil
	case KindFloat:
		return v.Float() != 0, nil
	}
	return false, fmt.Errorf("'%s' is no condition; expected a bit", v.kind)
}

// And returns a AND b as a bit, NULL counting as false. Who has a false a need
// not evaluate b.
func And(a, b Value) (Value, error) {
	x, err := Truth(a)
	if err != nil {
		return Null, err
	}
	y, err := Truth(b)
	if err != nil {
		return Null, err
	}
	return Bit(x && y), nil
}

// Or returns a OR b as a bit, NULL counting as false.
func Or(a, b Value) (Value, error) {
	x, err := Truth(a)
	if err != nil {
		return Null, err
	}
	y, err := Truth(b)
	if err != nil {
		return Null, err
	}
	return Bit(x || y), nil
}

// Not returns NOT a; NOT NULL is NULL.
func Not(a Value) (Value, error) {
	if a.kind == KindNull {
		return Null, nil
	}
	x, err := Truth(a)
	if err != nil {
		return Null, err
	}
	return Bit(!x), nil
}
