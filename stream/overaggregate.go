package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// An overAggregate is an aggregate OVER (… LIMIT DURATION …): of the rows for
// which WHEN holds and that are not older than the limit, this one included.
type overAggregate struct {
	limit saql.Ticks
	width int // number of arguments
	rows  fifo[pastRow]
	aggregate
}

type pastRow struct {
	at   saql.Ticks
	args []saql.Value
}

func (a *overAggregate) next(t saql.Ticks, args []saql.Value, keep bool) (saql.Value, error) {
	for a.rows.len() > 0 && a.rows.at(0).at < t-a.limit {
		a.rows.pop()
	}
	if keep {
		kept := make([]saql.Value, len(args))
		for i, v := range args {
			kept[i] = v.Clone()
		}
		a.rows.push(pastRow{t, kept})
	}
	v, err := a.compute()
	if err != nil && keep {
		a.rows.unpush()
	}
	return v, err
}

// compute aggregates all rows anew: sums do not drift as they would if old
// values were taken off.
func (a *overAggregate) compute() (saql.Value, error) {
	a.aggregate.reset()
	for i := range a.rows.len() {
		if err := a.add(a.rows.at(i).args); err != nil {
			return saql.Null, err
		}
	}
	return a.result()
}

// append appends the number of rows, then the time of each and its arguments.
func (a *overAggregate) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(a.rows.len()))
	for i := range a.rows.len() {
		b = binary.AppendVarint(b, int64(a.rows.at(i).at))
		b = appendValues(b, a.rows.at(i).args)
	}
	return b
}

func (a *overAggregate) restore(r *reader) {
	a.rows = fifo[pastRow]{}
	for range r.count() {
		row := pastRow{r.ticks(), make([]saql.Value, a.width)}
		r.values(row.args)
		a.rows.push(row)
	}
}

// aggregateOver compiles an aggregate with LIMIT DURATION.
func (c *compiler) aggregateOver(sc *scope, e *saql.Call) (*overFunction, error) {
	if !isAggregate(e.Name) {
		err := saql.Errorf(e.Over.At, "OVER (… LIMIT DURATION …) is not for the function %s", e.Name)
		err.Hint = "it is for LAG, LAST, anomaly detection and aggregates"
		return nil, err
	}
	f, err := c.overLimit(sc, e)
	if err != nil {
		return nil, err
	}
	call, err := c.aggregate(sc, withoutLimit(e))
	if err != nil {
		return nil, err
	}
	for _, arg := range call.args {
		f.args = append(f.args, arg.eval)
	}
	limit, width := f.limit, len(f.args)
	f.make = func() memory { return &overAggregate{limit: limit, width: width, aggregate: call.make()} }
	return f, nil
}

// withoutLimit returns the call as it stands with GROUP BY.
func withoutLimit(e *saql.Call) *saql.Call {
	plain := *e
	plain.Over = nil
	if e.Over.OrderBy != nil {
		plain.Over = &saql.Over{At: e.Over.At, OrderBy: e.Over.OrderBy}
	}
	return &plain
}
