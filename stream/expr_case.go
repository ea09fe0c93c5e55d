package stream

import (
	"github.com/weir-iot/weir/saql"
)

func (c *compiler) between(sc *scope, e *saql.Between) (*operand, error) {
	exprs := []saql.Expr{e.X, e.Lo, e.Hi}
	ops, err := c.exprs(sc, exprs)
	if err != nil {
		return nil, err
	}
	ops = alike(sc, exprs, ops...)
	x, lo, hi, not, pos := ops[0].eval, ops[1].eval, ops[2].eval, e.Not, e.At
	eval := func(row *saql.Row) (saql.Value, error) {
		v, err := x(row)
		if err != nil {
			return saql.Null, err
		}
		above, err := compareTo(saql.Ge, v, lo, row, pos)
		if err != nil {
			return saql.Null, err
		}
		below, err := compareTo(saql.Le, v, hi, row, pos)
		if err != nil {
			return saql.Null, err
		}
		outside := !above.IsNull() && !above.Bit() || !below.IsNull() && !below.Bit()
		if !outside && (above.IsNull() || below.IsNull()) {
			return saql.Null, nil
		}
		return saql.Bit(outside == not), nil
	}
	return fold(&operand{eval: eval}, ops...), nil
}

func compareTo(op func(a, b saql.Value) (saql.Value, error), v saql.Value, other evaluator, row *saql.Row, pos saql.Pos) (saql.Value, error) {
	o, err := other(row)
	if err != nil {
		return saql.Null, err
	}
	r, err := op(v, o)
	if err != nil {
		return saql.Null, at(pos, err)
	}
	return r, nil
}

// in compiles X IN (…): true where X equals an entry, else NULL where X or an
// entry is, else false.
func (c *compiler) in(sc *scope, e *saql.In) (*operand, error) {
	exprs := append([]saql.Expr{e.X}, e.List...)
	ops, err := c.exprs(sc, exprs)
	if err != nil {
		return nil, err
	}
	ops = alike(sc, exprs, ops...)
	x, list, not, pos := ops[0].eval, ops[1:], e.Not, e.At
	eval := func(row *saql.Row) (saql.Value, error) {
		v, err := x(row)
		if err != nil || v.IsNull() {
			return saql.Null, err
		}
		unknown := false
		for _, entry := range list {
			equal, err := compareTo(saql.Eq, v, entry.eval, row, pos)
			switch {
			case err != nil:
				return saql.Null, err
			case equal.IsNull():
				unknown = true
			case equal.Bit():
				return saql.Bit(!not), nil
			}
		}
		if unknown {
			return saql.Null, nil
		}
		return saql.Bit(not), nil
	}
	return fold(&operand{eval: eval}, ops...), nil
}

// A branch is one WHEN … THEN ….
type branch struct{ when, then evaluator }

func (c *compiler) caseWhen(sc *scope, e *saql.Case) (*operand, error) {
	var branches []branch
	for _, w := range e.Whens {
		cond := w.Cond
		if e.Operand != nil {
			cond = &saql.Binary{At: w.Cond.Pos(), Op: saql.OpEq, L: e.Operand, R: w.Cond}
		}
		ops, err := c.exprs(sc, []saql.Expr{cond, w.Then})
		if err != nil {
			return nil, err
		}
		branches = append(branches, branch{ops[0].eval, ops[1].eval})
	}
	otherwise := constant(saql.Null)
	if e.Else != nil {
		var err error
		if otherwise, err = c.expr(sc, e.Else); err != nil {
			return nil, err
		}
	}
	pos := e.At
	return &operand{eval: func(row *saql.Row) (saql.Value, error) {
		for _, b := range branches {
			v, err := b.when(row)
			if err != nil {
				return saql.Null, err
			}
			holds, err := saql.Truth(v)
			if err != nil {
				return saql.Null, at(pos, err)
			}
			if holds {
				return b.then(row)
			}
		}
		return otherwise.eval(row)
	}}, nil
}
