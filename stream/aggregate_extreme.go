package stream

import (
	"github.com/weir-iot/weir/saql"
)

// extreme is MIN and MAX: NULL of nothing. A string that is a number counts as
// a float unless the query casts it to nvarchar(max).
type extreme struct {
	sign int // +1: MAX
	text bool

	best saql.Value
}

// newExtreme makes MAX of a sign +1, MIN of -1.
func newExtreme(sign int) func(*saql.Call, []*operand) (func() aggregate, error) {
	return func(call *saql.Call, _ []*operand) (func() aggregate, error) {
		cast, ok := call.Args[0].(*saql.Cast)
		text := ok && cast.Type == saql.KindString
		return func() aggregate { return &extreme{sign: sign, text: text} }, nil
	}
}

func (a *extreme) add(args []saql.Value) error {
	v := args[0]
	if v.Kind() == saql.KindString && !a.text {
		if f := saql.TryConvert(v, saql.KindFloat); !f.IsNull() {
			v = f
		}
	}
	return a.take(v)
}

func (a *extreme) take(v saql.Value) error {
	if v.IsNull() {
		return nil
	}
	if !a.best.IsNull() {
		if order, err := saql.Compare(v, a.best); err != nil || order*a.sign <= 0 {
			return err
		}
	}
	a.best = v.Clone()
	return nil
}

func (a *extreme) merge(later aggregate) error      { return a.take(later.(*extreme).best) }
func (a *extreme) result() (saql.Value, error)      { return a.best, nil }
func (a *extreme) reset()                           { a.best = saql.Null }
func (a *extreme) snapshot(b []byte) []byte         { return saql.AppendValue(b, a.best) }
func (a *extreme) restore(b []byte) ([]byte, error) { return restoreValue(&a.best, b) }
