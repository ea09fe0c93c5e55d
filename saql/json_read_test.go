package saql

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func decodeText(t *testing.T, body string, paths ...string) (string, error) {
	t.Helper()
	var columns []DecodeColumn
	for _, p := range paths {
		columns = append(columns, pathOf(p))
	}
	values := make([]Value, len(columns))
	err := NewDecoder(columns).Decode([]byte(body), values)
	var b []string
	for _, v := range values {
		b = append(b, show(v))
	}
	return strings.Join(b, ", "), err
}

// pathOf splits a.b; * is the empty path.
func pathOf(s string) DecodeColumn {
	if s == "*" {
		return nil
	}
	return strings.Split(s, ".")
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ name, body, columns, want string }{
		{"kinds", `{"i":-5,"f":1.0,"e":1e3,"s":"x","t":true,"o":false,"n":null}`, "i f e s t o n x",
			`bigint -5, float 1, float 1000, "x", bit true, bit false, NULL, NULL`},
		{"white space", " { \"a\" :\t1 ,\n\"b\": 2 }\r\n", "a b", `bigint 1, bigint 2`},
		{"byte order mark", "\uFEFF{\"a\":1}", "a", `bigint 1`},
		{"empty object", `{}`, "a", `NULL`},
		{"nested", `{"sensor":{"temp":21.5,"x":{"y":"deep"}},"a":1}`, "sensor.temp sensor.x.y a", `float 21.5, "deep", bigint 1`},
		{"nested through a scalar", `{"sensor":5}`, "sensor.temp", `NULL`},
		{"nested through an array", `{"sensor":[{"temp":1}]}`, "sensor.temp", `NULL`},
		{"a record and what is in it", `{"s":{"t":1,"u":2}}`, "s s.t", `record [{t bigint 1} {u bigint 2}], bigint 1`},
		{"whole", `{"a":1,"b":{"c":2}}`, "* a b.c", `record [{a bigint 1} {b record [{c bigint 2}]}], bigint 1, bigint 2`},
		{"the same column twice", `{"a":1}`, "a b a", `bigint 1, NULL, bigint 1`},
		{"array", `{"a":[1,[2],{"b":3}],"c":[]}`, "a c", `array [bigint 1 array [bigint 2] record [{b bigint 3}]], array []`},
		{"last of equal names", `{"a":1,"a":2}`, "a", `bigint 2`},
		{"last of equal names is another kind", `{"s":{"t":1},"s":{"u":2}}`, "s.t s.u", `NULL, bigint 2`},
		{"last of equal names is scalar", `{"s":{"t":1},"s":3}`, "s.t", `NULL`},
		{"equal names in a record", `{"s":{"t":1,"u":2,"t":3}}`, "s", `record [{t bigint 3} {u bigint 2}]`},
		{"other case", `{"DeviceID":"d"}`, "deviceId", `"d"`},
		{"exact before other case", `{"Temp":1,"temp":2,"TEMP":3}`, "temp", `bigint 2`},
		{"exact behind other case", `{"Temp":1,"TEMP":3,"temp":2}`, "temp", `bigint 2`},
		{"first of other cases", `{"Temp":1,"TEMP":3}`, "temp", `bigint 1`},
		{"last of equal other cases", `{"Temp":1,"TEMP":3,"Temp":4}`, "temp", `bigint 4`},
		{"two columns of one name", `{"Temp":1}`, "temp TEMP", `bigint 1, bigint 1`},
		{"name beyond ASCII", `{"grösse":1,"GRÖSSE":2}`, "Grösse", `bigint 1`},
		{"name with an escape", `{"t\u0065mp":1}`, "temp", `bigint 1`},
		{"escapes", `{"s":"a\n\"\\\/\u00e4\ud83d\ude00\b\f\r\t"}`, "s", `"a\n\"\\/ä😀\b\f\r\t"`},
		{"half pairs", `{"s":"\ud83dx\ude00\ud83d\ud83d\ude00"}`, "s", `"�x��😀"`},
		{"limits", `{"a":9223372036854775807,"b":-9223372036854775808,"c":-0}`, "a b c", `bigint 9223372036854775807, bigint -9223372036854775808, bigint 0`},
		{"floats", `{"a":0.1,"b":-1.5E-7,"c":123456789012345678.5,"d":1e-400,"g":18446744073709551616.5,"e":2.2250738585072014e-308}`, "a b c d e g",
			`float 0.1, float -1.5e-07, float 1.2345678901234568e+17, float 0, float 2.2250738585072014e-308, float 1.8446744073709552e+19`},
		{"an integer that nobody reads may be wide", `{"big":99999999999999999999,"a":1}`, "a", `bigint 1`},
	} {
		got, err := decodeText(t, c.body, strings.Fields(c.columns)...)
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"empty", ``, "byte 0: expected an object, found the end"},
		{"scalar", `5`, "byte 0: expected an object, found '5'"},
		{"array", `[]`, "byte 0: expected an object, found '['"},
		{"text behind", `{"a":1} x`, "byte 8: expected the end of the text, found 'x'"},
		{"no comma", `{"a":1 "b":2}`, "byte 7: expected ',' or '}', found '\"'"},
		{"comma too many", `{"a":1,}`, "byte 7: expected a name in quotes, found '}'"},
		{"no colon", `{"a" 1}`, "byte 5: expected ':', found '1'"},
		{"no value", `{"a":}`, "byte 5: expected a value, found '}'"},
		{"open string", `{"a":"x`, "byte 7: expected '\"', found the end"},
		{"control character", "{\"a\":\"x\n\"}", "byte 7: a control character in a string; expected an escape"},
		{"bad escape", `{"a":"\x"}`, "byte 6: unknown escape in a string"},
		{"leading zero", `{"a":01}`, "byte 6: expected a value, found '1'"},
		{"no fraction", `{"a":1.}`, "byte 7: expected a digit, found '}'"},
		{"no exponent", `{"a":1e+}`, "byte 8: expected a digit, found '}'"},
		{"bare word", `{"a":nul}`, "byte 5: expected a value, found 'n'"},
		{"in what nobody reads", `{"a":1,"x":{"y":[1,tru]}}`, "byte 19: expected a value, found 't'"},
		{"leading zero in what nobody reads", `{"x":01}`, "byte 6: expected a value, found '1'"},
		{"not closed", `{"a":{"b":1}`, "byte 12: expected ',' or '}', found the end"},
		{"wide integer", `{"a":9223372036854775808}`, "byte 5: an integer outside of the range of bigint; send it as a string"},
		{"wide negative", `{"a":-9223372036854775809}`, "byte 5: an integer outside of the range of bigint; send it as a string"},
		{"wide float", `{"a":1e400}`, "byte 5: a number outside of the range of float"},
		{"not UTF-8", "{\"a\":1,\"x\":\"\xff\"}", "byte 12: the text is not valid UTF-8"},
		{"UTF-16", "\xff\xfe{\x00", "byte 0: the text is UTF-16; expected UTF-8"},
		{"too deep", `{"x":` + strings.Repeat("[", MaxDepth), fmt.Sprintf("byte %d: nested deeper than 512", 5+MaxDepth-1)},
		{"too deep where it is read", `{"a":` + strings.Repeat(`{"a":`, MaxDepth), fmt.Sprintf("byte %d: nested deeper than 512", 5*MaxDepth)},
	} {
		_, err := decodeText(t, c.body, "a", "b")
		var at *DecodeError
		if !errors.As(err, &at) || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestRows(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"object", `{"a":1}`, "0: bigint 1"},
		{"array", ` [ {"a":1} , {"a":"x"},{} ] `, `0: bigint 1; 1: "x"; 2: NULL`},
		{"empty array", `[]`, ""},
		{"elements that are no objects", `[{"a":1},5,[{"a":2}],null,{"a":3}]`,
			"0: bigint 1; 1: byte 9: expected an object, found '5'; 2: byte 11: expected an object, found '['; 3: byte 21: expected an object, found 'n'; 4: bigint 3"},
		{"a wide integer in one row", `[{"a":1e999},{"a":2}]`, "0: byte 6: a number outside of the range of float; 1: bigint 2"},
		{"no rows of a body that is not JSON", `[{"a":1},{"a":2]`, "byte 15: expected ',' or '}', found ']'"},
		{"scalar", `"x"`, `byte 0: expected an object, found '"'`},
		{"not UTF-8", "[{\"a\":1},{\"a\":\"\xff\"}]", "byte 15: the text is not valid UTF-8"},
	} {
		d := NewDecoder([]DecodeColumn{{"a"}})
		values := make([]Value, 1)
		var got []string
		err := d.Rows([]byte(c.body), values, func(i int, err error) error {
			if err != nil {
				got = append(got, fmt.Sprintf("%d: %v", i, err))
			} else {
				got = append(got, fmt.Sprintf("%d: %s", i, show(values[0])))
			}
			return nil
		})
		if err != nil {
			got = append(got, err.Error())
		}
		if all := strings.Join(got, "; "); all != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, all, c.want)
		}
	}
	stop := errors.New("stop")
	calls := 0
	err := NewDecoder(nil).Rows([]byte(`[{},{}]`), nil, func(int, error) error { calls++; return stop })
	if err != stop || calls != 1 {
		t.Errorf("each returned an error: %d calls, %v", calls, err)
	}
}

// TestDecodeReuse decodes rows of different shapes with one Decoder: nothing of
// one row is seen in the next, and memory is given out once per row.
func TestDecodeReuse(t *testing.T) {
	d := NewDecoder([]DecodeColumn{{}, {"a"}, {"b", "c"}})
	values := make([]Value, 3)
	for i := range 100 {
		body := fmt.Sprintf(`{"a":[%d,"\u0041%d"],"b":{"c":{"d":"\t%d"}}}`, i, i, i)
		if i%3 == 0 {
			body = `{"b":1}`
		}
		if err := d.Decode([]byte(body), values); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`array [bigint %d "A%d"] record [{d "\t%d"}]`, i, i, i)
		if i%3 == 0 {
			want = "NULL NULL"
		}
		if got := show(values[1]) + " " + show(values[2]); got != want {
			t.Fatalf("row %d: %s, want %s", i, got, want)
		}
	}
}

// TestDecodeAllocatesNothing reads rows with records, arrays and escapes: all of
// it lives in memory that the row before used.
func TestDecodeAllocatesNothing(t *testing.T) {
	body := []byte(`{"a":[1,[2,"\t"]],"b":{"c":{"d":"\u00e4"}},"e":1.5}`)
	for _, columns := range [][]DecodeColumn{{{}, {"e"}}, {{"a"}, {"b", "c"}}} {
		d := NewDecoder(columns)
		values := make([]Value, len(columns))
		var out []byte
		row := func() {
			if err := d.Decode(body, values); err != nil {
				t.Fatal(err)
			}
			out = AppendJSON(out[:0], values[0])
		}
		for range 10 {
			row()
		}
		rows := func() {
			for range 1000 {
				row()
			}
		}
		if n := testing.AllocsPerRun(5, rows); n > 0 {
			t.Errorf("%v: %v allocations of 1000 rows", columns, n)
		}
	}
}

// TestDecodeLayouts decodes objects whose members come, go and change places:
// what an earlier one had at a place says nothing about a later one.
func TestDecodeLayouts(t *testing.T) {
	d := NewDecoder([]DecodeColumn{{"a"}, {"b", "c"}, {"long"}})
	values := make([]Value, 3)
	long := strings.Repeat("long", 20)
	for _, c := range []struct{ body, want string }{
		{`{"a":1,"x":2,"b":{"c":3}}`, "bigint 1 bigint 3 NULL"},
		{`{"a":1,"x":2,"b":{"c":3}}`, "bigint 1 bigint 3 NULL"},
		{`{"x":2,"a":1,"b":{"y":4,"c":3}}`, "bigint 1 bigint 3 NULL"},
		{`{"A":1,"x":2,"b":{"C":3}}`, "bigint 1 bigint 3 NULL"},
		{`{"A":5,"x":2,"b":{"C":6}}`, "bigint 5 bigint 6 NULL"},
		{`{"a": 1,"x":2,"b": {"c": 3}}`, "bigint 1 bigint 3 NULL"},
		{`{"A":1,"a":2,"A":3,"b":5}`, "bigint 2 NULL NULL"},
		{`{"A":1,"AB":2,"A":3,"b":{"c":null}}`, "bigint 3 NULL NULL"},
		{`{"` + long + `":1,"long":2}`, "NULL NULL bigint 2"},
		{`{"a" : 1 , "b" : {"c" : 3}}`, "bigint 1 bigint 3 NULL"},
		{`{"a" : 1 , "b" : {"c" : 4}}`, "bigint 1 bigint 4 NULL"},
		{`{"a":1,"b":[{"c":3}]}`, "bigint 1 NULL NULL"},
		{`{}`, "NULL NULL NULL"},
	} {
		if err := d.Decode([]byte(c.body), values); err != nil {
			t.Fatal(err)
		}
		if got := show(values[0]) + " " + show(values[1]) + " " + show(values[2]); got != c.want {
			t.Errorf("%s: %s, want %s", c.body, got, c.want)
		}
	}
	d = NewDecoder([]DecodeColumn{{"a"}, {"A"}, {"b"}})
	for _, body := range []string{`{"a":1,"b":2}`, `{"a":1,"b":2}`, `{"a": 1,"b": 2}`, `{"A":1,"b":2}`} {
		if err := d.Decode([]byte(body), values); err != nil || show(values[0])+show(values[1])+show(values[2]) != "bigint 1bigint 1bigint 2" {
			t.Errorf("%s: %s, %s, %s, %v", body, show(values[0]), show(values[1]), show(values[2]), err)
		}
	}
	for _, broken := range []string{`{"a":`, `{"a" : `, `{"a": `, `{"a"`, `{"a":}`} {
		if err := d.Decode([]byte(broken), values); err == nil {
			t.Errorf("%s is read", broken)
		}
	}
}

func TestDecodeManyNames(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range 100 {
		fmt.Fprintf(&b, `"n%d":%d,"same":%d,`, i, i, i)
	}
	b.WriteString(`"n5":"last"}`)
	values := make([]Value, 1)
	if err := NewDecoder([]DecodeColumn{{}}).Decode([]byte(b.String()), values); err != nil {
		t.Fatal(err)
	}
	r := values[0].Record()
	if len(r.Fields) != 101 || r.Fields[1].Name != "same" || r.Fields[1].Value.Bigint() != 99 || r.Get("n5").Str() != "last" {
		t.Errorf("%d fields, second %v", len(r.Fields), r.Fields[1])
	}
}

// FuzzDecode compares with encoding/json: what both take and what it means.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":{"c":"x\u00e4"},"A":[1.5,true,null]}`, `{"a":{"b":1},"a":2}`, `{"":0}`, `{"a":-0.0e1}`, "{\"a\":\"\xff\"}", `[{"a":1}]`, `{"b":123456789.123456789}`} {
		f.Add([]byte(s))
	}
	all := NewDecoder([]DecodeColumn{{}})
	some := NewDecoder([]DecodeColumn{{"a"}, {"b", "c"}, {"B"}})
	f.Fuzz(func(t *testing.T, body []byte) {
		whole, values := make([]Value, 1), make([]Value, 3)
		original := bytes.Clone(body)
		err := all.Decode(body, whole)
		someErr := some.Decode(body, values)
		if !bytes.Equal(original, body) {
			t.Fatal("the body changed")
		}
		if err == nil && someErr != nil {
			t.Fatalf("less is read and fails: %v", someErr)
		}
		if err != nil {
			return
		}
		if !json.Valid(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))) {
			t.Fatalf("accepts %q, which is not JSON", body)
		}
		for i, path := range [][]string{{"a"}, {"b", "c"}, {"B"}} {
			if want := whole[0].at(path); !Identical(values[i], want) {
				t.Fatalf("%v is %s, in the record %s", path, show(values[i]), show(want))
			}
		}
		again := make([]Value, 1)
		written := AppendJSON(nil, whole[0])
		if err := NewDecoder([]DecodeColumn{{}}).Decode(written, again); err != nil || !Identical(whole[0], again[0]) {
			t.Fatalf("%s is written as %s and read back as %s, %v", show(whole[0]), written, show(again[0]), err)
		}
	})
}
