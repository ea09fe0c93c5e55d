package stream

import (
	"encoding/binary"
	"slices"

	"github.com/weir-iot/weir/saql"
)

// collect is COLLECT([x]): an array of all values, NULL too, in the order of rows.
type collect struct{ values []saql.Value }

func (a *collect) add(args []saql.Value) error {
	a.values = append(a.values, args[0].Clone())
	return nil
}

func (a *collect) merge(later aggregate) error {
	a.values = append(a.values, later.(*collect).values...)
	return nil
}

func (a *collect) result() (saql.Value, error) { return saql.ArrayValue(slices.Clone(a.values)), nil }

func (a *collect) reset() {
	clear(a.values)
	a.values = a.values[:0]
}

func (a *collect) snapshot(b []byte) []byte {
	return appendValues(binary.AppendUvarint(b, uint64(len(a.values))), a.values)
}

func (a *collect) restore(b []byte) ([]byte, error) {
	r := reader{b: b}
	a.values = make([]saql.Value, r.count())
	r.values(a.values)
	return r.b, r.err
}
