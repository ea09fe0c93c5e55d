package udf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/dop251/goja"

	"github.com/weir-iot/weir/saql"
)

// toJS converts as Stream Analytics does: bigint and float to Number, datetime
// to Date with its milliseconds, nvarchar(max) to String, record to Object,
// array to Array, NULL to null; and bit to Boolean.
func (s *script) toJS(v saql.Value) goja.Value {
	switch v.Kind() {
	case saql.KindBigint:
		return s.vm.ToValue(v.Bigint())
	case saql.KindFloat:
		return s.vm.ToValue(v.Float())
	case saql.KindString:
		return s.vm.ToValue(v.Str())
	case saql.KindBit:
		return s.vm.ToValue(v.Bit())
	case saql.KindDatetime:
		d, err := s.vm.New(s.date, s.vm.ToValue(v.Datetime().Time().UnixMilli()))
		if err != nil {
			panic(err)
		}
		return d
	case saql.KindRecord:
		o := s.vm.NewObject()
		for _, f := range v.Record().Fields {
			// Set would take __proto__ for something else.
			if err := o.DefineDataProperty(f.Name, s.toJS(f.Value), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE); err != nil {
				panic(err)
			}
		}
		return o
	case saql.KindArray:
		items := make([]any, len(v.Array()))
		for i, e := range v.Array() {
			items[i] = s.toJS(e)
		}
		return s.vm.NewArray(items...)
	default:
		return goja.Null()
	}
}

var (
	errType  = errors.New("the result is of a type that queries do not have")
	errDepth = fmt.Errorf("the result is nested deeper than %d, or contains itself", saql.MaxDepth)
)

// fromJS converts as Stream Analytics does: a round Number that is one to
// bigint, others to float, Date to datetime, String to nvarchar(max), Object to
// record, Array to array, null and undefined to NULL; and Boolean to bit. All
// else is an error.
func (s *script) fromJS(v goja.Value, depth int) (saql.Value, error) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return saql.Null, nil
	}
	if o, ok := v.(*goja.Object); ok {
		if depth == 0 {
			return saql.Null, errDepth
		}
		return s.fromObject(o, depth-1)
	}
	if _, ok := v.(*goja.Symbol); ok {
		return saql.Null, fmt.Errorf("%w: Symbol", errType)
	}
	switch e := v.Export().(type) {
	case int64:
		return saql.Bigint(e), nil
	case float64:
		return number(e), nil
	case bool:
		return saql.Bit(e), nil
	case string:
		return saql.String(e), nil
	}
	return saql.Null, fmt.Errorf("%w: %s", errType, v)
}

func number(f float64) saql.Value {
	if f == math.Trunc(f) && f >= math.MinInt64 && f < math.MaxInt64 { // the latter rounds to 2**63
		return saql.Bigint(int64(f))
	}
	return saql.Float(f)
}

func (s *script) fromObject(o *goja.Object, depth int) (saql.Value, error) {
	switch class := o.ClassName(); class {
	case "Date":
		return fromDate(o)
	case "Array":
		n := o.Get("length").ToInteger()
		if n > maxFrame {
			return saql.Null, fmt.Errorf("the result is an array of %d elements", n)
		}
		a := make([]saql.Value, n)
		for i := range a {
			var err error
			if a[i], err = s.fromJS(o.Get(strconv.Itoa(i)), depth); err != nil {
				return saql.Null, err
			}
		}
		return saql.ArrayValue(a), nil
	case "String":
		return saql.String(o.String()), nil
	case "Number", "Boolean":
		return s.fromJS(s.vm.ToValue(o.Export()), depth)
	case "Function", "Error":
		return saql.Null, fmt.Errorf("%w: %s", errType, class)
	}
	if _, ok := o.Export().(*goja.Promise); ok {
		return saql.Null, fmt.Errorf("%w: Promise", errType)
	}
	r := &saql.Record{}
	for _, name := range o.Keys() {
		v, err := s.fromJS(o.Get(name), depth)
		if err != nil {
			return saql.Null, err
		}
		r.Fields = append(r.Fields, saql.Field{Name: name, Value: v})
	}
	return saql.RecordValue(r), nil
}

func fromDate(o *goja.Object) (saql.Value, error) {
	t, ok := o.Export().(time.Time)
	if !ok {
		return saql.Null, errors.New("the result is an invalid Date")
	}
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return saql.Null, fmt.Errorf("the result is a Date of the year %d, which a datetime cannot be", y)
	}
	return saql.Datetime(saql.TicksOf(t)), nil
}
