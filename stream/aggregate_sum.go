package stream

import (
	"encoding/binary"
	"math"

	"github.com/weir-iot/weir/saql"
)

// number returns a number or a bit as a float.
func number(v saql.Value) float64 {
	if v.Kind() == saql.KindFloat {
		return v.Float()
	}
	return float64(v.Bigint())
}

// sum is SUM(x): of bigints a bigint, which wraps; NULL of nothing.
type sum struct{ total saql.Value }

func (a *sum) add(args []saql.Value) (err error) {
	v := args[0]
	switch v.Kind() {
	case saql.KindNull:
		return nil
	case saql.KindBit:
		v = saql.Bigint(v.Bigint())
	}
	if a.total.IsNull() {
		a.total = v
		return nil
	}
	a.total, err = saql.Add(a.total, v)
	return err
}

func (a *sum) merge(later aggregate) error      { return a.add([]saql.Value{later.(*sum).total}) }
func (a *sum) result() (saql.Value, error)      { return a.total, nil }
func (a *sum) reset()                           { a.total = saql.Null }
func (a *sum) snapshot(b []byte) []byte         { return saql.AppendValue(b, a.total) }
func (a *sum) restore(b []byte) ([]byte, error) { return restoreValue(&a.total, b) }

func restoreValue(v *saql.Value, b []byte) ([]byte, error) {
	r := reader{b: b}
	*v = r.value()
	return r.b, r.err
}

// average is AVG(x), a float; NULL of nothing.
type average struct {
	total float64
	n     int64
}

func (a *average) add(args []saql.Value) error {
	if args[0].IsNull() {
		return nil
	}
	a.total += number(args[0])
	a.n++
	return nil
}

func (a *average) merge(later aggregate) error {
	l := later.(*average)
	a.total += l.total
	a.n += l.n
	return nil
}

func (a *average) result() (saql.Value, error) {
	if a.n == 0 {
		return saql.Null, nil
	}
	return saql.Float(a.total / float64(a.n)), nil
}

func (a *average) reset() { *a = average{} }

func (a *average) snapshot(b []byte) []byte {
	return appendFloat(binary.AppendVarint(b, a.n), a.total)
}

func (a *average) restore(b []byte) ([]byte, error) {
	r := reader{b: b}
	a.n, a.total = r.varint(), r.float()
	return r.b, r.err
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

func (r *reader) float() float64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
	r.b = r.b[8:]
	return f
}
