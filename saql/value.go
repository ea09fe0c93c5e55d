package saql

import (
	"math"
	"strings"
	"unsafe"
)

// A Kind is the type that a Value has. Types belong to values, not to columns.
type Kind uint8

// The kinds of values; the zero Kind is that of NULL.
const (
	KindNull     Kind = iota
	KindBigint        // int64, wraps
	KindFloat         // float64
	KindString        // nvarchar(max), UTF-8
	KindDatetime      // Ticks, UTC
	KindBit           // 0 or 1
	KindRecord
	KindArray
)

// A Type is a type as CAST and CREATE TABLE write it.
type Type = Kind

func (k Kind) String() string {
	switch k {
	case KindBigint:
		return "bigint"
	case KindFloat:
		return "float"
	case KindString:
		return "nvarchar(max)"
	case KindDatetime:
		return "datetime"
	case KindBit:
		return "bit"
	case KindRecord:
		return "record"
	case KindArray:
		return "array"
	default:
		return "null"
	}
}

// Ticks is a datetime: 100 ns since 0001-01-01T00:00:00Z, as .NET counts them.
type Ticks int64

// A Value is one value of a row, 24 bytes, without allocation but for records
// and arrays. The zero Value is NULL. A string may point into a buffer that its
// giver reuses: who keeps a Value keeps a Clone.
type Value struct {
	ref  unsafe.Pointer // string data, *Record or *[]Value
	num  uint64         // int64, float64 bits, Ticks, 0 or 1, or the length of the string
	kind Kind
}

// A Record is an ordered list of named values; names are unique.
type Record struct{ Fields []Field }

// A Field is one entry of a Record.
type Field struct {
	Name  string
	Value Value
}

// Null is the value NULL.
var Null Value

// Bigint returns a bigint.
func Bigint(n int64) Value { return Value{kind: KindBigint, num: uint64(n)} }

// Float returns a float.
func Float(f float64) Value { return Value{kind: KindFloat, num: math.Float64bits(f)} }

// Datetime returns a datetime.
func Datetime(t Ticks) Value { return Value{kind: KindDatetime, num: uint64(t)} }

// Bit returns a bit.
func Bit(b bool) Value {
	if b {
		return Value{kind: KindBit, num: 1}
	}
	return Value{kind: KindBit}
}

// String returns an nvarchar(max) that shares s's memory.
func String(s string) Value {
	return Value{kind: KindString, num: uint64(len(s)), ref: unsafe.Pointer(unsafe.StringData(s))}
}

// RecordValue returns a record; r is shared and must not change.
func RecordValue(r *Record) Value { return Value{kind: KindRecord, ref: unsafe.Pointer(r)} }

// ArrayValue returns an array; a is shared and must not change.
func ArrayValue(a []Value) Value { return Value{kind: KindArray, ref: unsafe.Pointer(&a)} }

// Kind returns v's kind.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports that v is NULL.
func (v Value) IsNull() bool { return v.kind == KindNull }

// Bigint returns the value of a bigint; of other kinds it has no meaning.
func (v Value) Bigint() int64 { return int64(v.num) }

// Float returns the value of a float; of other kinds it has no meaning.
func (v Value) Float() float64 { return math.Float64frombits(v.num) }

// Datetime returns the value of a datetime; of other kinds it has no meaning.
func (v Value) Datetime() Ticks { return Ticks(v.num) }

// Bit returns the value of a bit; of other kinds it has no meaning.
func (v Value) Bit() bool { return v.num != 0 }

// Str returns the text of a string, "" of other kinds.
func (v Value) Str() string {
	if v.kind != KindString {
		return ""
	}
	return unsafe.String((*byte)(v.ref), int(v.num))
}

// Record returns the record, nil of other kinds.
func (v Value) Record() *Record {
	if v.kind != KindRecord {
		return nil
	}
	return (*Record)(v.ref)
}

// Array returns the elements of an array, nil of other kinds.
func (v Value) Array() []Value {
	if v.kind != KindArray {
		return nil
	}
	return *(*[]Value)(v.ref)
}

// Get returns the field called name: the one of exactly that name, else the
// first that differs from it in case only, else NULL.
func (r *Record) Get(name string) Value {
	for i := range r.Fields {
		if r.Fields[i].Name == name {
			return r.Fields[i].Value
		}
	}
	for i := range r.Fields {
		if strings.EqualFold(r.Fields[i].Name, name) {
			return r.Fields[i].Value
		}
	}
	return Null
}

// Clone returns a deep copy that shares no memory with v.
func (v Value) Clone() Value {
	switch v.kind {
	case KindString:
		return String(strings.Clone(v.Str()))
	case KindRecord:
		r := v.Record()
		c := &Record{Fields: make([]Field, len(r.Fields))}
		for i, f := range r.Fields {
			c.Fields[i] = Field{strings.Clone(f.Name), f.Value.Clone()}
		}
		return RecordValue(c)
	case KindArray:
		a := v.Array()
		c := make([]Value, len(a))
		for i := range a {
			c[i] = a[i].Clone()
		}
		return ArrayValue(c)
	default:
		return v
	}
}
