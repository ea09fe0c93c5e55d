package saql

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func someValues() []Value {
	return []Value{
		Null, Bigint(0), Bigint(-1), Bigint(math.MaxInt64), Bigint(math.MinInt64),
		Float(0), Float(math.Copysign(0, -1)), Float(-1.5), Float(math.Inf(1)), Float(math.NaN()),
		String(""), String("a"), String("ä😀\x00"), Datetime(0), Datetime(MaxTicks), Bit(false), Bit(true),
		RecordValue(&Record{}), ArrayValue(nil),
		RecordValue(&Record{Fields: []Field{{"a", Bigint(1)}, {"", ArrayValue([]Value{Null, String("x")})}}}),
		ArrayValue([]Value{ArrayValue([]Value{Bit(true)}), Float(2)}),
	}
}

func TestBinaryRoundTrip(t *testing.T) {
	var b []byte
	for _, v := range someValues() {
		b = AppendValue(b, v)
	}
	rest := b
	for _, v := range someValues() {
		var got Value
		var err error
		if got, rest, err = ReadValue(rest); err != nil {
			t.Fatal(err)
		}
		if !Identical(got, v) || !bytes.Equal(AppendValue(nil, got), AppendValue(nil, v)) {
			t.Errorf("%s became %s", show(v), show(got))
		}
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
}

func TestBinaryOwnsMemory(t *testing.T) {
	b := AppendValue(nil, String("kept"))
	v, _, err := ReadValue(b)
	clear(b)
	if err != nil || v.Str() != "kept" {
		t.Errorf("%q, %v", v.Str(), err)
	}
}

func TestBinaryErrors(t *testing.T) {
	for _, v := range someValues() {
		b := AppendValue(nil, v)
		for n := range b {
			if _, _, err := ReadValue(b[:n]); err == nil {
				t.Errorf("%s cut to %d of %d bytes is read", show(v), n, len(b))
			}
		}
	}
	for _, b := range []string{"\x63", "\x05\x02", "\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", "\x07\xff\xff\xff\xff\x0f\x00", strings.Repeat("\x07\x01", MaxDepth+1) + "\x00"} {
		if v, _, err := ReadValue([]byte(b)); err == nil {
			t.Errorf("%.20q is read as %s", b, v.kind)
		}
	}
}

func FuzzReadValue(f *testing.F) {
	for _, v := range someValues() {
		f.Add(AppendValue(nil, v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := ReadValue(b)
		if err != nil {
			return
		}
		again := AppendValue(nil, v)
		w, tail, err := ReadValue(again)
		if err != nil || len(tail) != 0 || !bytes.Equal(again, AppendValue(nil, w)) || len(rest) > len(b) {
			t.Fatalf("%s is not read back: %s, %v", show(v), show(w), err)
		}
	})
}
