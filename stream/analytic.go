package stream

import (
	"strings"

	"github.com/weir-iot/weir/saql"
)

// An overFunction is a compiled call of a function OVER (…).
type overFunction struct {
	keys  []evaluator            // PARTITION BY
	when  evaluator              // nil: for all rows
	args  []evaluator            // the first is evaluated where WHEN holds
	check func(saql.Value) error // of the first argument; nil: it may be anything
	limit saql.Ticks             // LIMIT DURATION, or the interval of ISFIRST
	idle  saql.Ticks             // how long a key is remembered without a row
	make  func() memory          // for a key
	at    saql.Pos
}

// An analytic computes functions OVER (…): its rows are those that it takes,
// with the results in front. A row for which an argument fails leaves no trace.
type analytic struct {
	functions []overState
	layout    *layout
	fail      Failure
	row       saql.Row // the one that is given
}

// An overState is a function and its memories, and what it is given of a row.
type overState struct {
	*overFunction
	memories *memories
	key      []byte
	values   []saql.Value // of args
	keep     bool         // WHEN holds
}

func newAnalytic(functions []*overFunction, l *layout, fail Failure) *analytic {
	o := &analytic{layout: l, fail: fail, row: saql.Row{Values: make([]saql.Value, l.width())}}
	for _, f := range functions {
		o.functions = append(o.functions, overState{
			overFunction: f,
			memories:     newMemories(f.idle, f.make),
			values:       make([]saql.Value, len(f.args)),
		})
	}
	return o
}

func (o *analytic) Process(_ int, row *saql.Row, emit Emit) error {
	for i := range o.functions {
		if err := o.functions[i].read(row); err != nil {
			return failed(o.fail, at(o.functions[i].at, err), row.Key)
		}
	}
	for i := range o.functions {
		f := &o.functions[i]
		v, err := f.memories.of(f.key, row.Time).next(row.Time, f.values, f.keep)
		if err != nil {
			return failed(o.fail, at(f.at, err), row.Key)
		}
		o.row.Values[i] = v
	}
	o.layout.fill(o.row.Values, 0, row)
	o.row.Time, o.row.Key = row.Time, row.Key
	return emit(&o.row)
}

// read evaluates what the function is given of a row.
func (f *overState) read(row *saql.Row) (err error) {
	f.key = f.key[:0]
	for _, key := range f.keys {
		v, err := key(row)
		if err != nil {
			return err
		}
		f.key = saql.AppendKey(f.key, v)
	}
	f.keep = true
	if f.when != nil {
		if f.keep, err = selected(f.when, row); err != nil {
			return err
		}
	}
	for i, arg := range f.args {
		f.values[i] = saql.Null
		if i == 0 && !f.keep {
			continue
		}
		if f.values[i], err = arg(row); err != nil {
			return err
		}
	}
	if f.keep && f.check != nil {
		return f.check(f.values[0])
	}
	return nil
}

// Advance has nothing to do: the state depends on the rows alone.
func (o *analytic) Advance(saql.Ticks, Emit) error { return nil }

func (o *analytic) Snapshot(b []byte) []byte {
	for i := range o.functions {
		b = o.functions[i].memories.append(b)
	}
	return b
}

func (o *analytic) Restore(b []byte) error {
	r := reader{b: b}
	for i := range o.functions {
		o.functions[i].memories.restore(&r)
	}
	return r.end()
}

// isAnalytic tells the calls that an analytic computes: their results depend on
// the rows that came before.
func isAnalytic(e *saql.Call) bool {
	switch strings.ToLower(e.Name) {
	case "lag", "last", "isfirst", "anomalydetection_spikeanddip", "anomalydetection_changepoint":
		return true
	}
	return e.Over != nil && e.Over.Limit != nil
}

// over compiles a call.
func (c *compiler) over(sc *scope, e *saql.Call) (*overFunction, error) {
	switch strings.ToLower(e.Name) {
	case "lag":
		return c.lagFunction(sc, e)
	case "last":
		return c.lastFunction(sc, e)
	case "isfirst":
		return c.isFirstFunction(sc, e)
	case "anomalydetection_spikeanddip":
		return c.spikeAndDipFunction(sc, e)
	case "anomalydetection_changepoint":
		return c.changePointFunction(sc, e)
	}
	return c.aggregateOver(sc, e)
}

// overClause compiles OVER ([PARTITION BY …] [WHEN …]), which may be missing.
func (c *compiler) overClause(sc *scope, e *saql.Call) (*overFunction, error) {
	f := &overFunction{at: e.At}
	if e.Over == nil {
		return f, nil
	}
	keys, err := c.exprs(sc, e.Over.PartitionBy)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		f.keys = append(f.keys, key.eval)
	}
	when, err := c.condition(sc, e.Over.When)
	f.when = when.eval
	return f, err
}

// overLimit compiles OVER (… LIMIT DURATION (unit, n) …).
func (c *compiler) overLimit(sc *scope, e *saql.Call) (*overFunction, error) {
	if e.Over == nil || e.Over.Limit == nil {
		err := saql.Errorf(e.At, "%s without LIMIT DURATION", e.Name)
		err.Hint = "write " + e.Name + "(…) OVER (LIMIT DURATION(minute, 5))"
		return nil, err
	}
	f, err := c.overClause(sc, e)
	if err != nil {
		return nil, err
	}
	f.limit, err = e.Over.Limit.Duration()
	f.idle = f.limit
	return f, err
}

// argumentCount checks the number of arguments; * is one.
func argumentCount(e *saql.Call, least, most int, form string) error {
	n := len(e.Args)
	if e.Star {
		n++
	}
	if n >= least && n <= most && !e.Distinct {
		return nil
	}
	err := saql.Errorf(e.At, "%s with %d arguments", e.Name, n)
	err.Hint = "write " + form
	return err
}
