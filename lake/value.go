package lake

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// A Value is one value of a row; the zero Value is null.
type Value struct {
	kind Type
	num  uint64
	text string
}

// Type returns the value's type, "" of null.
func (v Value) Type() Type { return v.kind }

// IsNull reports that there is no value.
func (v Value) IsNull() bool { return v.kind == "" }

// Float returns the value of a Double.
func (v Value) Float() float64 { return math.Float64frombits(v.num) }

// Bool returns the value of a Boolean.
func (v Value) Bool() bool { return v.num != 0 }

// Int returns the value of a Long or an Integer.
func (v Value) Int() int64 { return int64(v.num) }

// Time returns the value of a Timestamp.
func (v Value) Time() time.Time { return time.UnixMicro(int64(v.num)).UTC() }

// Text returns the value of a String or a Binary.
func (v Value) Text() string { return v.text }

// AppendJSON appends the value as JSON: a time as text, Binary in base64.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.kind {
	case Double:
		return appendFloat(b, v.Float())
	case Boolean:
		return strconv.AppendBool(b, v.Bool())
	case Long, Integer:
		return strconv.AppendInt(b, v.Int(), 10)
	case Timestamp:
		return append(v.Time().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
	case String:
		quoted, _ := json.Marshal(v.text) // a string cannot fail
		return append(b, quoted...)
	case Binary:
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), []byte(v.text)), '"')
	default:
		return append(b, "null"...)
	}
}

// appendFloat writes a number as encoding/json does.
func appendFloat(b []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// valueOf converts a value of a column of type kind. Strings are copied.
func valueOf(v parquet.Value, kind Type) Value {
	if v.IsNull() {
		return Value{}
	}
	switch v.Kind() {
	case parquet.Double:
		return Value{Double, math.Float64bits(v.Double()), ""}
	case parquet.Float: // other writers' tables
		return Value{Double, math.Float64bits(float64(v.Float())), ""}
	case parquet.Boolean:
		if v.Boolean() {
			return Value{Boolean, 1, ""}
		}
		return Value{Boolean, 0, ""}
	case parquet.Int32:
		return Value{kind, uint64(int64(v.Int32())), ""}
	case parquet.Int64:
		return Value{kind, uint64(v.Int64()), ""}
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return Value{kind, 0, string(v.ByteArray())}
	default:
		return Value{}
	}
}
