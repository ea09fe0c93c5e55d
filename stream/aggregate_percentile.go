package stream

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/weir-iot/weir/saql"
)

// percentile is PERCENTILE_CONT and PERCENTILE_DISC (p) OVER (ORDER BY x): NULL
// of nothing.
type percentile struct {
	p    float64
	desc bool
	of   func(sorted []saql.Value, p float64) saql.Value

	values []saql.Value // numbers, as they came
}

func newPercentile(of func([]saql.Value, float64) saql.Value) func(*saql.Call, []*operand) (func() aggregate, error) {
	return func(call *saql.Call, args []*operand) (func() aggregate, error) {
		p := saql.TryConvert(args[0].value, saql.KindFloat)
		if !args[0].constant || p.IsNull() || !(p.Float() >= 0 && p.Float() <= 1) {
			return nil, saql.Errorf(call.Args[0].Pos(), "the percentile of %s is not a constant from 0 to 1", call.Name)
		}
		if len(call.Over.OrderBy) != 1 {
			return nil, saql.Errorf(call.Over.OrderBy[1].X.Pos(), "%s with a second key of ORDER BY", call.Name)
		}
		desc := call.Over.OrderBy[0].Desc
		return func() aggregate { return &percentile{p: p.Float(), desc: desc, of: of} }, nil
	}
}

// continuous interpolates between the two values nearest to p.
func continuous(sorted []saql.Value, p float64) saql.Value {
	at := p * float64(len(sorted)-1)
	low := math.Floor(at)
	x, y := number(sorted[int(low)]), number(sorted[int(math.Ceil(at))])
	return saql.Float(x + (at-low)*(y-x))
}

// discrete returns the first value that p of all values do not exceed.
func discrete(sorted []saql.Value, p float64) saql.Value {
	n := int(math.Ceil(p * float64(len(sorted))))
	return sorted[max(n, 1)-1]
}

func (a *percentile) add(args []saql.Value) error {
	if v := args[1]; !v.IsNull() {
		a.values = append(a.values, v)
	}
	return nil
}

func (a *percentile) merge(later aggregate) error {
	a.values = append(a.values, later.(*percentile).values...)
	return nil
}

func (a *percentile) result() (saql.Value, error) {
	if len(a.values) == 0 {
		return saql.Null, nil
	}
	sorted := slices.Clone(a.values)
	slices.SortStableFunc(sorted, func(x, y saql.Value) int {
		order, _ := saql.Compare(x, y) // numbers compare
		if a.desc {
			return -order
		}
		return order
	})
	return a.of(sorted, a.p), nil
}

func (a *percentile) reset() { a.values = a.values[:0] }

func (a *percentile) snapshot(b []byte) []byte {
	return appendValues(binary.AppendUvarint(b, uint64(len(a.values))), a.values)
}

func (a *percentile) restore(b []byte) ([]byte, error) {
	r := reader{b: b}
	a.values = make([]saql.Value, r.count())
	r.values(a.values)
	return r.b, r.err
}
