package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// An isFirst is ISFIRST(unit, n): 1 for the first row of an interval for which
// WHEN holds, else 0. Intervals are those of a tumbling window: (k·d, (k+1)·d].
type isFirst struct {
	length saql.Ticks
	newest saql.Ticks // the interval that had a row already; -1 at first
}

func (f *isFirst) next(t saql.Ticks, _ []saql.Value, keep bool) (saql.Value, error) {
	interval := (t - 1) / f.length
	if !keep || interval == f.newest {
		return saql.Bigint(0), nil
	}
	f.newest = interval
	return saql.Bigint(1), nil
}

func (f *isFirst) append(b []byte) []byte { return binary.AppendVarint(b, int64(f.newest)) }

func (f *isFirst) restore(r *reader) { f.newest = r.ticks() }

// isFirstFunction compiles ISFIRST.
func (c *compiler) isFirstFunction(sc *scope, e *saql.Call) (*overFunction, error) {
	const form = "ISFIRST(minute, 10)"
	if err := argumentCount(e, 2, 2, form); err != nil {
		return nil, err
	}
	unit, ok := e.Args[0].(*saql.Column)
	switch {
	case !ok || len(unit.Path) != 1:
		err := saql.Errorf(e.Args[0].Pos(), "expected a unit of time")
		err.Hint = "write " + form
		return nil, err
	case e.Over != nil && e.Over.Limit != nil:
		err := saql.Errorf(e.Over.Limit.At, "ISFIRST with LIMIT DURATION")
		err.Hint = "its arguments are its interval"
		return nil, err
	}
	f, err := c.overClause(sc, e)
	if err != nil {
		return nil, err
	}
	interval := saql.Limit{At: e.At, Unit: unit.Path[0], N: e.Args[1]}
	length, err := interval.Duration()
	f.limit, f.idle = length, length
	f.make = func() memory { return &isFirst{length: length, newest: -1} }
	return f, err
}
