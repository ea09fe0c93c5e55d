package twinquery

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

type undefined struct{}

// Undefined is the value of what is not there, and of what makes no sense.
var Undefined any = undefined{}

func isUndefined(v any) bool { return v == Undefined }

// number returns v as a number.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

// finite is f, or Undefined where JSON has no such number.
func finite(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Undefined
	}
	return f
}

// The types of JSON, in the order in which MIN and MAX see them.
const (
	typeUndefined = iota
	typeNull
	typeBool
	typeNumber
	typeString
	typeArray
	typeObject
)

func typeOf(v any) int {
	switch v.(type) {
	case undefined:
		return typeUndefined
	case nil:
		return typeNull
	case bool:
		return typeBool
	case float64, json.Number:
		return typeNumber
	case string:
		return typeString
	case []any:
		return typeArray
	default:
		return typeObject
	}
}

func isPrimitive(v any) bool { t := typeOf(v); return typeNull <= t && t <= typeString }

// compare orders two primitive values of one type.
func compare(a, b any) (order int, ok bool) {
	t := typeOf(a)
	if t != typeOf(b) {
		return 0, false
	}
	switch t {
	case typeNull:
		return 0, true
	case typeBool:
		return cmp.Compare(bit(a.(bool)), bit(b.(bool))), true
	case typeNumber:
		x, okX := number(a)
		y, okY := number(b)
		return cmp.Compare(x, y), okX && okY
	case typeString:
		return strings.Compare(a.(string), b.(string)), true
	}
	return 0, false
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// equal is true, false or Undefined: values of different types differ, objects
// and arrays cannot be compared.
func equal(a, b any) any {
	if isUndefined(a) || isUndefined(b) {
		return Undefined
	}
	if typeOf(a) != typeOf(b) {
		return false
	}
	order, ok := compare(a, b)
	if !ok {
		return Undefined
	}
	return order == 0
}

// appendJSON writes v without escaping what only HTML minds.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case json.Number:
		return append(b, v...)
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return append(b, "null"...) // a value that no JSON document can hold
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}
