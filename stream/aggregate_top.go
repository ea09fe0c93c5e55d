package stream

import (
	"encoding/binary"
	"slices"

	"github.com/weir-iot/weir/saql"
)

// An ordered is a value and the keys that ORDER BY ranks it by.
type ordered struct{ values []saql.Value }

// ranking is ORDER BY: NULL is the lowest value; rows of equal keys keep their order.
type ranking struct{ desc []bool }

func newRanking(call *saql.Call) ranking {
	var r ranking
	for _, key := range call.Over.OrderBy {
		r.desc = append(r.desc, key.Desc)
	}
	return r
}

// compare orders keys: negative if a comes first.
func (r ranking) compare(a, b []saql.Value) (int, error) {
	for i, desc := range r.desc {
		order, err := saql.Compare(a[i], b[i])
		if err != nil {
			return 0, err
		}
		if order != 0 {
			if desc {
				return -order, nil
			}
			return order, nil
		}
	}
	return 0, nil
}

// top is COLLECTTOP(n[, x]) OVER (ORDER BY …) and, with one, TOPONE([x]).
type top struct {
	ranking
	most int
	one  bool

	rows []ordered // the best, best first; the value, then the keys
}

func newTopOne(call *saql.Call, _ []*operand) (func() aggregate, error) {
	r := newRanking(call)
	return func() aggregate { return &top{ranking: r, most: 1, one: true} }, nil
}

func newCollectTop(call *saql.Call, args []*operand) (func() aggregate, error) {
	n := args[0]
	if !n.constant || n.value.Kind() != saql.KindBigint || n.value.Bigint() < 1 {
		return nil, saql.Errorf(call.Args[0].Pos(), "the number of events of %s is not a positive constant", call.Name)
	}
	r, most := newRanking(call), int(min(n.value.Bigint(), maxTop))
	return func() aggregate { return &top{ranking: r, most: most} }, nil
}

// maxTop bounds the number of COLLECTTOP.
const maxTop = 1 << 20

func (a *top) add(args []saql.Value) error {
	if !a.one {
		args = args[1:] // the number
	}
	return a.take(args, true)
}

// take puts a value with its keys at its rank.
func (a *top) take(row []saql.Value, clone bool) error {
	at := len(a.rows)
	for at > 0 {
		order, err := a.compare(row[1:], a.rows[at-1].values[1:])
		if err != nil {
			return err
		}
		if order >= 0 {
			break
		}
		at--
	}
	if at == a.most {
		return nil
	}
	if len(a.rows) == a.most {
		a.rows = a.rows[:a.most-1]
	}
	if clone {
		kept := make([]saql.Value, len(row))
		for i, v := range row {
			kept[i] = v.Clone()
		}
		row = kept
	}
	a.rows = slices.Insert(a.rows, at, ordered{row})
	return nil
}

func (a *top) merge(later aggregate) error {
	for _, row := range later.(*top).rows {
		if err := a.take(row.values, false); err != nil {
			return err
		}
	}
	return nil
}

func (a *top) result() (saql.Value, error) {
	if a.one {
		if len(a.rows) == 0 {
			return saql.Null, nil
		}
		return a.rows[0].values[0], nil
	}
	ranks := make([]saql.Value, len(a.rows))
	for i, row := range a.rows {
		ranks[i] = saql.RecordValue(&saql.Record{Fields: []saql.Field{
			{Name: "rank", Value: saql.Bigint(int64(i) + 1)},
			{Name: "value", Value: row.values[0]},
		}})
	}
	return saql.ArrayValue(ranks), nil
}

func (a *top) reset() {
	clear(a.rows)
	a.rows = a.rows[:0]
}

func (a *top) snapshot(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(a.rows)))
	for _, row := range a.rows {
		b = appendValues(b, row.values)
	}
	return b
}

func (a *top) restore(b []byte) ([]byte, error) {
	a.reset()
	r := reader{b: b}
	for range r.count() {
		row := ordered{make([]saql.Value, 1+len(a.desc))}
		r.values(row.values)
		a.rows = append(a.rows, row)
	}
	return r.b, r.err
}
