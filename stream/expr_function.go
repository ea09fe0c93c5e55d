package stream

import (
	"sync"

	"github.com/weir-iot/weir/saql"
)

// scalar compiles a call of a function of the language.
func (c *compiler) scalar(sc *scope, e *saql.Call) (*operand, error) {
	f, ok := saql.LookupFunction(e.Name)
	if !ok {
		err := saql.Errorf(e.At, "unknown function %s", e.Name)
		if near := saql.Nearest(e.Name, saql.Functions()); near != "" {
			err.Hint = "did you mean " + near + "?"
		}
		return nil, err
	}
	if n := len(e.Args); n < f.MinArgs || f.MaxArgs >= 0 && n > f.MaxArgs {
		return nil, saql.Errorf(e.At, "%s with %d arguments", f.Name, n)
	}
	args := make([]*operand, len(e.Args))
	for i, a := range e.Args {
		op, err := c.argument(sc, f, i, a)
		if err != nil {
			return nil, err
		}
		args[i] = op
	}
	eval := f.Eval
	if i, ok := f.Pattern(); ok && args[i].constant && !args[i].value.IsNull() {
		var err error
		if eval, err = f.Bind(args[i].value.Str()); err != nil {
			return nil, saql.Errorf(e.Args[i].Pos(), "%s: %v", f.Name, err)
		}
	}
	return fold(&operand{eval: callWith(eval, args, e.At)}, args...), nil
}

// argument compiles argument i of f: a unit of time, an input whose time is
// meant, or an expression.
func (c *compiler) argument(sc *scope, f *saql.Function, i int, a saql.Expr) (*operand, error) {
	if f.Unit && i == 0 {
		unit, err := unitOf(a)
		return constant(saql.String(unit.String())), err
	}
	if col, ok := a.(*saql.Column); ok && f.Name == "DATEDIFF" && len(col.Path) == 1 {
		if src := sc.source(col.Path[0].Text); src != nil {
			return &operand{eval: src.timestamp()}, nil
		}
	}
	op, err := c.expr(sc, a)
	if err != nil {
		return nil, err
	}
	if op.constant && !op.value.IsNull() && !f.Param(i).Has(op.value.Kind()) {
		return nil, saql.Errorf(a.Pos(), "argument %d of %s is of type '%s'; expected %s", i+1, f.Name, op.value.Kind(), f.Param(i))
	}
	return op, nil
}

// unitOf returns the unit of time that an argument names.
func unitOf(a saql.Expr) (saql.Unit, error) {
	if col, ok := a.(*saql.Column); ok && len(col.Path) == 1 {
		name := col.Path[0]
		if u, ok := saql.ParseUnit(name.Text); ok {
			return u, nil
		}
		return 0, unknownName(name, "unit of time", saql.UnitNames())
	}
	return 0, saql.Errorf(a.Pos(), "expected a unit of time such as second")
}

// frames holds the arguments of calls that are under way: programs run in
// parallel, and a call does not allocate.
var frames = sync.Pool{New: func() any { return new(frame) }}

type frame struct{ args []saql.Value }

// callWith evaluates the arguments, then the function.
func callWith(f func([]saql.Value) (saql.Value, error), args []*operand, pos saql.Pos) evaluator {
	return func(row *saql.Row) (saql.Value, error) {
		fr := frames.Get().(*frame)
		defer frames.Put(fr)
		fr.args = fr.args[:0]
		for _, a := range args {
			v, err := a.eval(row)
			if err != nil {
				return saql.Null, err
			}
			fr.args = append(fr.args, v)
		}
		v, err := f(fr.args)
		if err != nil {
			return saql.Null, at(pos, err)
		}
		return v, nil
	}
}

// like compiles X LIKE pattern.
func (c *compiler) like(sc *scope, e *saql.Like) (*operand, error) {
	ops, err := c.exprs(sc, []saql.Expr{e.X, e.Pattern})
	if err != nil {
		return nil, err
	}
	x, pattern, not, pos := ops[0], ops[1], e.Not, e.At
	var ready *saql.LikePattern
	if pattern.constant && pattern.value.Kind() == saql.KindString {
		ready = saql.CompileLike(pattern.value.Str())
	}
	eval := func(row *saql.Row) (saql.Value, error) {
		v, err := x.eval(row)
		if err != nil {
			return saql.Null, err
		}
		p, err := pattern.eval(row)
		switch {
		case err != nil || v.IsNull() || p.IsNull():
			return saql.Null, err
		case v.Kind() != saql.KindString || p.Kind() != saql.KindString:
			return saql.Null, &RowError{At: pos, Reason: "LIKE compares '" + v.Kind().String() + "' with '" + p.Kind().String() + "'; expected two strings"}
		}
		if ready != nil {
			return saql.Bit(ready.Match(v.Str()) != not), nil
		}
		return saql.Bit(saql.CompileLike(p.Str()).Match(v.Str()) != not), nil
	}
	return fold(&operand{eval: eval}, ops...), nil
}
