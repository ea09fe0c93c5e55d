package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// pastRows are the rows of a key for which WHEN holds and that are not older
// than the limit: their times and the arguments of an aggregate.
type pastRows struct {
	limit saql.Ticks
	width int // number of arguments
	fifo[pastRow]
}

type pastRow struct {
	at   saql.Ticks
	args []saql.Value
}

func (p *pastRows) keep(t saql.Ticks, args []saql.Value) {
	kept := make([]saql.Value, len(args))
	for i, v := range args {
		kept[i] = v.Clone()
	}
	p.push(pastRow{t, kept})
}

// expired tells that the oldest row is older than the limit.
func (p *pastRows) expired(t saql.Ticks) bool { return p.len() > 0 && p.at(0).at < t-p.limit }

// append appends the number of rows, then the time of each and its arguments.
func (p *pastRows) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(p.len()))
	for i := range p.len() {
		b = binary.AppendVarint(b, int64(p.at(i).at))
		b = appendValues(b, p.at(i).args)
	}
	return b
}

func (p *pastRows) restore(r *reader) {
	p.fifo = fifo[pastRow]{}
	for range r.count() {
		row := pastRow{r.ticks(), make([]saql.Value, p.width)}
		r.values(row.args)
		p.push(row)
	}
}

// An overAggregate is an aggregate OVER (… LIMIT DURATION …), whose rows are
// this one and those before. Nothing is taken off a sum, which would drift: the
// rows are two stacks, the older half with the aggregate of each row and those
// behind it, the newer half with one aggregate that grows. So a row costs a few
// steps, however many there are.
type overAggregate struct {
	pastRows
	make  func() aggregate
	older []aggregate // of the first len(older) rows, the oldest last
	newer aggregate   // of the rows behind
	total aggregate   // scratch
}

func newOverAggregate(rows pastRows, create func() aggregate) *overAggregate {
	return &overAggregate{pastRows: rows, make: create, newer: create(), total: create()}
}

func (a *overAggregate) next(t saql.Ticks, args []saql.Value, keep bool) (saql.Value, error) {
	for a.expired(t) {
		if len(a.older) == 0 {
			if err := a.turn(a.len()); err != nil {
				return saql.Null, err
			}
			a.newer.reset()
		}
		a.older = a.older[:len(a.older)-1]
		a.pop()
	}
	a.total.reset()
	if n := len(a.older); n > 0 {
		if err := a.total.merge(a.older[n-1]); err != nil {
			return saql.Null, err
		}
	}
	if err := a.total.merge(a.newer); err != nil {
		return saql.Null, err
	}
	if keep {
		if err := a.total.add(args); err != nil {
			return saql.Null, err
		}
		if err := a.newer.add(args); err != nil {
			return saql.Null, err
		}
		a.keep(t, args)
	}
	return a.total.result()
}

// turn makes the first n rows the older half.
func (a *overAggregate) turn(n int) error {
	a.older = a.older[:0]
	for i := n - 1; i >= 0; i-- {
		of := a.make()
		if err := of.add(a.at(i).args); err != nil {
			return err
		}
		if n := len(a.older); n > 0 {
			if err := of.merge(a.older[n-1]); err != nil {
				return err
			}
		}
		a.older = append(a.older, of)
	}
	return nil
}

// append appends the number of rows in the older half, then the rows.
func (a *overAggregate) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(a.older)))
	return a.pastRows.append(b)
}

func (a *overAggregate) restore(r *reader) {
	older := r.count()
	a.pastRows.restore(r)
	if older > a.len() || a.turn(older) != nil {
		r.fail()
		return
	}
	a.newer.reset()
	for i := older; i < a.len(); i++ {
		if a.newer.add(a.at(i).args) != nil {
			r.fail()
			return
		}
	}
}

// An overRows is as overAggregate, for an aggregate that holds all its rows,
// such as COLLECT: it is made anew for each row.
type overRows struct {
	pastRows
	aggregate
}

func (a *overRows) next(t saql.Ticks, args []saql.Value, keep bool) (saql.Value, error) {
	for a.expired(t) {
		a.pop()
	}
	a.reset()
	for i := range a.len() {
		if err := a.add(a.at(i).args); err != nil {
			return saql.Null, err
		}
	}
	if keep {
		if err := a.add(args); err != nil {
			return saql.Null, err
		}
		a.keep(t, args)
	}
	return a.result()
}

func (a *overRows) append(b []byte) []byte { return a.pastRows.append(b) }
func (a *overRows) restore(r *reader)      { a.pastRows.restore(r) }

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
	rows := pastRows{limit: f.limit, width: len(f.args)}
	f.make = func() memory { return newOverAggregate(rows, call.make) }
	if call.large {
		f.make = func() memory { return &overRows{rows, call.make()} }
	}
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
