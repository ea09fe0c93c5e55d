package saql

import (
	"math"
	"testing"
)

func TestAppendJSON(t *testing.T) {
	for _, c := range []struct {
		v    Value
		want string
	}{
		{Null, `null`},
		{Bigint(-5), `-5`},
		{Float(16.65700324376424), `16.65700324376424`},
		{Float(0.30000000000000004), `0.30000000000000004`},
		{Float(-383), `-383.0`},
		{Float(0), `0.0`},
		{Float(math.Copysign(0, -1)), `-0.0`},
		{Float(999999999999999), `999999999999999.0`},
		{Float(1e15), `1E+15`},
		{Float(9007199254740993), `9.007199254740992E+15`},
		{Float(1.25e-7), `1.25E-07`},
		{Float(0.0001), `0.0001`},
		{Float(0.00012345), `0.00012345`},
		{Float(0.000099), `9.9E-05`},
		{Float(5e-324), `5E-324`},
		{Float(math.MaxFloat64), `1.7976931348623157E+308`},
		{Float(math.NaN()), `"NaN"`},
		{Float(math.Inf(-1)), `"-Infinity"`},
		{Bit(true), `true`},
		{Datetime(0), `"0001-01-01T00:00:00.0000000Z"`},
		{String("a\"\\/\b\f\n\r\t\x01ä\u2028\u0085\x7f"), `"a\"\\/\b\f\n\r\t\u0001ä\u2028\u0085` + "\x7f\""},
		{String("\xff"), `"` + "\uFFFD" + `"`},
		{ArrayValue([]Value{Bigint(1), Null}), `[1,null]`},
		{RecordValue(&Record{Fields: []Field{{"a", Bigint(1)}, {"b\n", ArrayValue(nil)}}}), `{"a":1,"b\n":[]}`},
	} {
		if got := string(AppendJSON(nil, c.v)); got != c.want {
			t.Errorf("%s is written as %s, want %s", show(c.v), got, c.want)
		}
	}
}

func TestSchemaAppendJSON(t *testing.T) {
	record := func(fields ...Field) Value { return RecordValue(&Record{Fields: fields}) }
	for _, c := range []struct {
		name    string
		columns []SchemaColumn
		values  []Value
		want    string
	}{
		{"named", []SchemaColumn{{Name: "a"}, {Name: "b"}}, []Value{Bigint(1), Null}, `{"a":1,"b":null}`},
		{"none", nil, nil, `{}`},
		{"spread in place", []SchemaColumn{{Name: "x"}, {Spread: true}, {Name: "y"}},
			[]Value{Bigint(1), record(Field{"a", Bigint(2)}, Field{"b", Null}), Bigint(3)}, `{"x":1,"a":2,"b":null,"y":3}`},
		{"the left one wins", []SchemaColumn{{Name: "a"}, {Spread: true}, {Spread: true}, {Name: "C"}},
			[]Value{Bigint(1), record(Field{"A", Bigint(2)}, Field{"b", Bigint(3)}), record(Field{"b", Bigint(4)}, Field{"c", Bigint(5)}), Bigint(6)}, `{"a":1,"b":3,"c":5}`},
		{"names of one record stay", []SchemaColumn{{Spread: true}}, []Value{record(Field{"a", Bigint(1)}, Field{"A", Bigint(2)})}, `{"a":1,"A":2}`},
		{"a spread NULL has no columns", []SchemaColumn{{Spread: true}, {Name: "a"}}, []Value{Null, Bigint(1)}, `{"a":1}`},
	} {
		s := Schema{Columns: c.columns}
		if got := string(s.AppendJSON(nil, c.values)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := string(AppendJSON(nil, RecordValue(s.Record(c.values)))); got != c.want {
			t.Errorf("%s, as a record: %s, want %s", c.name, got, c.want)
		}
	}
}
