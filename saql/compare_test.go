package saql

import (
	"bytes"
	"math"
	"testing"
)

// TestOrder lists values from the lowest on, those of a group being equal.
func TestOrder(t *testing.T) {
	for _, groups := range [][][]Value{
		{{Null}, {Float(math.NaN())}, {Float(math.Inf(-1))}, {Bigint(math.MinInt64)}, {Float(-1.5)}, {Bigint(0), Float(0), Bit(false)}, {Bigint(1), Float(1), Bit(true)}, {Float(1.5)}, {Bigint(2)}},
		{{Null}, {String("")}, {String("A")}, {String("a"), String("a")}, {String("a ")}, {String("ä")}},
		{{Null}, {Datetime(0)}, {Datetime(1)}},
	} {
		for i, group := range groups {
			for k, other := range groups {
				for _, a := range group {
					for _, b := range other {
						got, err := Compare(a, b)
						if err != nil || sgn(got) != sgn(i-k) {
							t.Errorf("%s to %s: %d, %v", show(a), show(b), got, err)
						}
					}
				}
			}
		}
	}
	for _, pair := range [][2]Value{
		{Bigint(1), String("1")}, {Datetime(1), Bigint(1)}, {Datetime(1), String("")}, {Bit(true), String("")},
		{RecordValue(&Record{}), RecordValue(&Record{})}, {ArrayValue(nil), ArrayValue(nil)},
	} {
		if _, err := Compare(pair[0], pair[1]); err == nil {
			t.Errorf("%s and %s have an order", show(pair[0]), show(pair[1]))
		}
	}
}

func sgn(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// TestKeys lists values that are keys of their own, those of a group being one.
func TestKeys(t *testing.T) {
	record := func(name string, v Value) Value { return RecordValue(&Record{Fields: []Field{{name, v}}}) }
	groups := [][]Value{
		{Null}, {Bigint(1)}, {Float(1)}, {String("1")}, {Bit(true)}, {Datetime(1)},
		{Float(0), Float(math.Copysign(0, -1))}, {Bigint(0)},
		{Float(math.NaN()), Float(math.Float64frombits(math.Float64bits(math.NaN()) ^ 1<<63))},
		{String("")}, {String("a")}, {String("A")}, {String("a ")},
		{record("a", Float(0)), record("a", Float(math.Copysign(0, -1)))}, {record("b", Float(0))}, {record("a", Bigint(0))},
		{ArrayValue(nil)}, {ArrayValue([]Value{Null})}, {ArrayValue([]Value{Float(math.Copysign(0, -1))}), ArrayValue([]Value{Float(0)})},
		{RecordValue(&Record{})},
	}
	for i, group := range groups {
		for k, other := range groups {
			for _, a := range group {
				for _, b := range other {
					same := bytes.Equal(AppendKey(nil, a), AppendKey(nil, b))
					if same != (i == k) || Identical(a, b) != same {
						t.Errorf("%s and %s: the same key %t, identical %t", show(a), show(b), same, Identical(a, b))
					}
				}
			}
		}
	}
}

// TestJoinKeys compares keys with what the operator = says.
func TestJoinKeys(t *testing.T) {
	values := []Value{
		Null, Bigint(1), Float(1), Float(1.5), Bit(true), Bit(false), Float(0), Bigint(0), Float(math.Copysign(0, -1)),
		Float(math.NaN()), Float(math.Inf(1)), Float(1e300), Bigint(math.MinInt64), Float(math.MinInt64), Bigint(math.MaxInt64),
		String("1"), String("a"), Datetime(1), Datetime(0),
	}
	for _, a := range values {
		for _, b := range values {
			ka, oka := AppendJoinKey(nil, a)
			kb, okb := AppendJoinKey(nil, b)
			same := oka && okb && bytes.Equal(ka, kb)
			if eq, _ := Eq(a, b); eq.Bit() != same && !(a.isNumber() && b.isNumber() && math.Abs(a.number()) > 1<<53) {
				t.Errorf("%s and %s: the same key %t, = says %t", show(a), show(b), same, eq.Bit())
			}
		}
	}
}
