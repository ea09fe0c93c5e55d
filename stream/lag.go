package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// A lag is LAG(x, offset, default) OVER (… LIMIT DURATION …): x of the row that
// came offset rows before this one, of those for which WHEN holds. One that is
// older than the limit is not found; one that is exactly so is.
type lag struct {
	offset int
	limit  saql.Ticks
	past   fifo[pastValue] // at most offset
}

type pastValue struct {
	at    saql.Ticks
	value saql.Value
}

func (l *lag) next(t saql.Ticks, args []saql.Value, keep bool) (saql.Value, error) {
	for l.past.len() > 0 && l.past.at(0).at < t-l.limit {
		l.past.pop()
	}
	found := args[1]
	if l.past.len() == l.offset {
		found = l.past.at(0).value
	}
	if keep {
		if l.past.len() == l.offset {
			l.past.pop()
		}
		l.past.push(pastValue{t, args[0].Clone()})
	}
	return found, nil
}

// append appends the number of values, then the time of each and itself.
func (l *lag) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(l.past.len()))
	for i := range l.past.len() {
		p := l.past.at(i)
		b = binary.AppendVarint(b, int64(p.at))
		b = saql.AppendValue(b, p.value)
	}
	return b
}

func (l *lag) restore(r *reader) {
	n := r.count()
	if n > l.offset {
		r.fail()
		return
	}
	l.past = fifo[pastValue]{}
	for range n {
		l.past.push(pastValue{r.ticks(), r.value()})
	}
}

// lagFunction compiles LAG.
func (c *compiler) lagFunction(sc *scope, e *saql.Call) (*overFunction, error) {
	if err := argumentCount(e, 1, 3, "LAG(x), LAG(x, offset) or LAG(x, offset, default)"); err != nil {
		return nil, err
	}
	offset, err := lagOffset(e)
	if err != nil {
		return nil, err
	}
	f, err := c.pastFunction(sc, e, 2)
	if err != nil {
		return nil, err
	}
	limit := f.limit
	f.make = func() memory { return &lag{offset: offset, limit: limit} }
	return f, nil
}

// maxOffset bounds the memory of a LAG.
const maxOffset = 1 << 20

func lagOffset(e *saql.Call) (int, error) {
	arg := argument(e, 1)
	if arg == nil {
		return 1, nil
	}
	v, _ := saql.Constant(arg)
	if v.Kind() != saql.KindBigint || v.Bigint() < 1 || v.Bigint() > maxOffset {
		return 0, saql.Errorf(arg.Pos(), "the offset of LAG is a constant bigint from 1 to %d", maxOffset)
	}
	return int(v.Bigint()), nil
}

// argumentOrRow compiles the first argument of a call, or the whole row for *.
func (c *compiler) argumentOrRow(sc *scope, e *saql.Call) (evaluator, error) {
	if !e.Star {
		op, err := c.expr(sc, e.Args[0])
		if err != nil {
			return nil, err
		}
		return op.eval, nil
	}
	var columns []starColumn
	for _, src := range sc.sources {
		columns = append(columns, src.rel.star()...)
	}
	return recordOf(columns), nil
}

// argument returns argument i of a call whose argument 0 may be *; nil: it has none.
func argument(e *saql.Call, i int) saql.Expr {
	if e.Star {
		i--
	}
	if i < 0 || i >= len(e.Args) {
		return nil
	}
	return e.Args[i]
}

// pastFunction compiles what LAG and LAST have in common: x, or the row itself
// for *, and the default at argument i.
func (c *compiler) pastFunction(sc *scope, e *saql.Call, i int) (*overFunction, error) {
	f, err := c.overLimit(sc, e)
	if err != nil {
		return nil, err
	}
	x, err := c.argumentOrRow(sc, e)
	if err != nil {
		return nil, err
	}
	f.args = []evaluator{x, constant(saql.Null).eval}
	if otherwise := argument(e, i); otherwise != nil {
		op, err := c.expr(sc, otherwise)
		if err != nil {
			return nil, err
		}
		f.args[1] = op.eval
	}
	return f, nil
}
