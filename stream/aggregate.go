package stream

import (
	"fmt"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// An aggregate is the state of an aggregate function over some rows.
type aggregate interface {
	// add takes the arguments for one row. It keeps clones.
	add(args []saql.Value) error
	// merge adds what another aggregate of the same call has, whose rows all come later.
	merge(later aggregate) error
	result() (saql.Value, error)
	// reset forgets all rows.
	reset()
	snapshot(b []byte) []byte
	restore(b []byte) (rest []byte, err error)
}

// An aggregateCall is a call of an aggregate function in a query.
type aggregateCall struct {
	call *saql.Call
	at   saql.Pos
	text string // canonical
	args []*operand
	make func() aggregate
	// large: the state grows with the number of rows.
	large bool
}

// An aggregateFunc is an aggregate function of the language.
type aggregateFunc struct {
	minArgs, maxArgs int
	// ordered: it has OVER (ORDER BY …).
	ordered bool
	large   bool
	// takes is what its argument may be besides NULL, or with ORDER BY the keys; 0: anything.
	takes saql.Kinds
	// make returns what makes the state of a call; args are those that stand in
	// parentheses.
	make func(call *saql.Call, args []*operand) (func() aggregate, error)
}

// What aggregate functions take.
const (
	numbers = saql.Kinds(1<<saql.KindBigint | 1<<saql.KindFloat | 1<<saql.KindBit)
	sorted  = numbers | 1<<saql.KindDatetime | 1<<saql.KindString
)

// aggregateFuncs are the aggregate functions by name in lower case.
var aggregateFuncs = map[string]aggregateFunc{
	"avg":             {minArgs: 1, maxArgs: 1, takes: numbers, make: plain(func() aggregate { return &average{} })},
	"count":           {minArgs: 0, maxArgs: 1, make: plain(func() aggregate { return &count{} })},
	"max":             {minArgs: 1, maxArgs: 1, takes: sorted, make: newExtreme(+1)},
	"min":             {minArgs: 1, maxArgs: 1, takes: sorted, make: newExtreme(-1)},
	"sum":             {minArgs: 1, maxArgs: 1, takes: numbers, make: plain(func() aggregate { return &sum{} })},
	"stdev":           {minArgs: 1, maxArgs: 1, takes: numbers, make: plain(func() aggregate { return &variance{root: true} })},
	"stdevp":          {minArgs: 1, maxArgs: 1, takes: numbers, make: plain(func() aggregate { return &variance{root: true, population: true} })},
	"var":             {minArgs: 1, maxArgs: 1, takes: numbers, make: plain(func() aggregate { return &variance{} })},
	"varp":            {minArgs: 1, maxArgs: 1, takes: numbers, make: plain(func() aggregate { return &variance{population: true} })},
	"collect":         {minArgs: 0, maxArgs: 1, large: true, make: plain(func() aggregate { return &collect{} })},
	"collecttop":      {minArgs: 1, maxArgs: 2, ordered: true, large: true, takes: sorted, make: newCollectTop},
	"topone":          {minArgs: 0, maxArgs: 1, ordered: true, takes: sorted, make: newTopOne},
	"percentile_cont": {minArgs: 1, maxArgs: 1, ordered: true, large: true, takes: numbers, make: newPercentile(continuous)},
	"percentile_disc": {minArgs: 1, maxArgs: 1, ordered: true, large: true, takes: numbers, make: newPercentile(discrete)},
}

func isAggregate(name string) bool {
	_, ok := aggregateFuncs[strings.ToLower(name)]
	return ok
}

// plain makes the state of a function that takes its arguments as they are.
func plain(state func() aggregate) func(*saql.Call, []*operand) (func() aggregate, error) {
	return func(*saql.Call, []*operand) (func() aggregate, error) { return state, nil }
}

// aggregate compiles a call of an aggregate function; names are those of the
// rows that are aggregated.
func (c *compiler) aggregate(sc *scope, call *saql.Call) (*aggregateCall, error) {
	f := aggregateFuncs[strings.ToLower(call.Name)]
	args, err := c.aggregateArgs(sc, call, f)
	if err != nil {
		return nil, err
	}
	state, err := f.make(call, args)
	if err != nil {
		return nil, err
	}
	a := &aggregateCall{call: call, at: call.At, text: c.canonical(sc, call), args: args, make: state, large: f.large}
	if call.Distinct {
		if !strings.EqualFold(call.Name, "COUNT") {
			return nil, saql.Errorf(call.At, "DISTINCT is for COUNT alone, not for %s", call.Name)
		}
		a.make, a.large = func() aggregate { return &countDistinct{} }, true
	}
	return a, nil
}

// aggregateArgs compiles the arguments, then the keys of ORDER BY.
func (c *compiler) aggregateArgs(sc *scope, call *saql.Call, f aggregateFunc) ([]*operand, error) {
	if n := len(call.Args); n < f.minArgs || n > f.maxArgs {
		return nil, saql.Errorf(call.At, "%s with %d arguments", call.Name, n)
	}
	if f.ordered != (call.Over != nil && len(call.Over.OrderBy) > 0) {
		err := saql.Errorf(call.At, "%s needs OVER (ORDER BY …)", call.Name)
		if !f.ordered {
			err = saql.Errorf(call.Over.At, "OVER (…) of %s without LIMIT DURATION", call.Name)
		}
		return nil, err
	}
	args, err := c.aggregated(sc, call)
	if err != nil {
		return nil, err
	}
	if !f.ordered {
		if f.takes != 0 {
			args[0] = f.checked(call, args[0])
		}
		return args, nil
	}
	for _, key := range call.Over.OrderBy {
		op, err := c.expr(sc, key.X)
		if err != nil {
			return nil, err
		}
		args = append(args, f.checked(call, op))
	}
	return args, nil
}

// checked makes a row with a value that the function does not take fail, before
// anything is added up: the other rows count.
func (f aggregateFunc) checked(call *saql.Call, x *operand) *operand {
	eval, takes := x.eval, f.takes|1<<saql.KindNull
	return &operand{eval: func(row *saql.Row) (saql.Value, error) {
		v, err := eval(row)
		if err == nil && !takes.Has(v.Kind()) {
			err = at(call.At, fmt.Errorf("%s of a value of type '%s'; expected %s", strings.ToUpper(call.Name), v.Kind(), f.takes))
		}
		return v, err
	}}
}

// countedRows are the arguments of COUNT([DISTINCT] input).
func countedRows(src *source, distinct bool) []*operand {
	if !distinct {
		return nil
	}
	return []*operand{{eval: recordOf(src.rel.star())}}
}

// aggregated compiles what stands in parentheses. COUNT(input) is COUNT(*);
// Collect(), CollectTop(n) and TopOne() take whole rows.
func (c *compiler) aggregated(sc *scope, call *saql.Call) ([]*operand, error) {
	name := strings.ToLower(call.Name)
	if name == "count" && len(call.Args) == 1 {
		if col, ok := call.Args[0].(*saql.Column); ok && len(col.Path) == 1 && sc.source(col.Path[0].Text) != nil {
			return countedRows(sc.source(col.Path[0].Text), call.Distinct), nil
		}
	}
	args, err := c.exprs(sc, call.Args)
	if err != nil {
		return nil, err
	}
	whole := map[string]int{"collect": 0, "topone": 0, "collecttop": 1}
	if n, ok := whole[name]; ok && len(args) == n {
		var columns []starColumn
		for _, src := range sc.sources {
			columns = append(columns, src.rel.star()...)
		}
		args = append(args, &operand{eval: recordOf(columns)})
	}
	return args, nil
}
