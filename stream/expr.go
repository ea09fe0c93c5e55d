package stream

import (
	"errors"

	"github.com/weir-iot/weir/saql"
)

// An evaluator computes an expression of a row. It keeps nothing of the row and
// does not allocate but for what makes a string, a record or an array.
type evaluator func(row *saql.Row) (saql.Value, error)

// An operand is a compiled expression, and what is known of it: that it is a
// constant, or a plain value of the row.
type operand struct {
	eval     evaluator
	constant bool
	value    saql.Value // of a constant
	plain    bool
	slot     int // of a plain value
}

func constant(v saql.Value) *operand {
	return &operand{eval: func(*saql.Row) (saql.Value, error) { return v, nil }, constant: true, value: v}
}

// load evaluates to what is at a place.
func load(r ref) evaluator {
	slot := r.slot
	if len(r.fields) == 0 && slot >= 0 {
		return func(row *saql.Row) (saql.Value, error) { return row.Values[slot], nil }
	}
	return func(row *saql.Row) (saql.Value, error) { return r.value(row), nil }
}

func located(r ref) *operand {
	return &operand{eval: load(r), plain: len(r.fields) == 0, slot: r.slot}
}

// fold evaluates an operand of constants; one that fails is left to fail when a
// row needs it.
func fold(op *operand, args ...*operand) *operand {
	for _, a := range args {
		if !a.constant {
			return op
		}
	}
	v, err := op.eval(&saql.Row{})
	if err != nil {
		return op
	}
	return constant(v)
}

// at gives an error its place, unless it has one.
func at(pos saql.Pos, err error) error {
	var placed *RowError
	if errors.As(err, &placed) {
		return err
	}
	return &RowError{At: pos, Reason: err.Error()}
}

// expr compiles an expression.
func (c *compiler) expr(sc *scope, e saql.Expr) (*operand, error) {
	if sc.special != nil {
		if op, err := sc.special(e); op != nil || err != nil {
			return op, err
		}
	}
	if r, ok := sc.result(e); ok {
		return located(r), nil
	}
	switch e := e.(type) {
	case *saql.Literal:
		return constant(e.Value), nil
	case *saql.Column:
		return c.column(sc, e)
	case *saql.Member:
		return c.member(sc, e)
	case *saql.Unary:
		return c.unary(sc, e)
	case *saql.Binary:
		return c.binary(sc, e)
	case *saql.Between:
		return c.between(sc, e)
	case *saql.In:
		return c.in(sc, e)
	case *saql.Like:
		return c.like(sc, e)
	case *saql.IsNull:
		return c.isNull(sc, e)
	case *saql.Case:
		return c.caseWhen(sc, e)
	case *saql.Cast:
		return c.cast(sc, e)
	case *saql.Call:
		return c.call(sc, e)
	}
	return nil, saql.Errorf(e.Pos(), "an expression that is not known here")
}

// exprs compiles several expressions.
func (c *compiler) exprs(sc *scope, list []saql.Expr) ([]*operand, error) {
	ops := make([]*operand, len(list))
	for i, e := range list {
		op, err := c.expr(sc, e)
		if err != nil {
			return nil, err
		}
		ops[i] = op
	}
	return ops, nil
}

func (c *compiler) column(sc *scope, e *saql.Column) (*operand, error) {
	if sc.refuse != nil {
		return nil, sc.refuse(e)
	}
	r, err := sc.resolve(e)
	if err != nil {
		return nil, err
	}
	return located(r), nil
}

func (c *compiler) member(sc *scope, e *saql.Member) (*operand, error) {
	x, err := c.expr(sc, e.X)
	if err != nil {
		return nil, err
	}
	name := e.Name.Text
	return fold(&operand{eval: func(row *saql.Row) (saql.Value, error) {
		v, err := x.eval(row)
		if rec := v.Record(); rec != nil {
			return rec.Get(name), err
		}
		return saql.Null, err
	}}, x), nil
}

// unaryOps are the operators in front of one operand.
var unaryOps = map[saql.Op]func(saql.Value) (saql.Value, error){
	saql.OpNot:    saql.Not,
	saql.OpSub:    saql.Neg,
	saql.OpAdd:    saql.Plus,
	saql.OpBitNot: saql.BitNot,
}

func (c *compiler) unary(sc *scope, e *saql.Unary) (*operand, error) {
	x, err := c.expr(sc, e.X)
	if err != nil {
		return nil, err
	}
	apply, pos := unaryOps[e.Op], e.At
	return fold(&operand{eval: func(row *saql.Row) (saql.Value, error) {
		v, err := x.eval(row)
		if err != nil {
			return saql.Null, err
		}
		if v, err = apply(v); err != nil {
			return saql.Null, at(pos, err)
		}
		return v, nil
	}}, x), nil
}

// binaryOps are the operators that evaluate both their operands.
var binaryOps = map[saql.Op]func(a, b saql.Value) (saql.Value, error){
	saql.OpEq: saql.Eq, saql.OpNe: saql.Ne,
	saql.OpLt: saql.Lt, saql.OpLe: saql.Le,
	saql.OpGt: saql.Gt, saql.OpGe: saql.Ge,
	saql.OpAdd: saql.Add, saql.OpSub: saql.Sub,
	saql.OpMul: saql.Mul, saql.OpDiv: saql.Div, saql.OpMod: saql.Mod,
	saql.OpBitAnd: saql.BitAnd, saql.OpBitOr: saql.BitOr, saql.OpBitXor: saql.BitXor,
}

func (c *compiler) binary(sc *scope, e *saql.Binary) (*operand, error) {
	l, err := c.expr(sc, e.L)
	if err != nil {
		return nil, err
	}
	r, err := c.expr(sc, e.R)
	if err != nil {
		return nil, err
	}
	switch e.Op {
	case saql.OpAnd:
		return fold(&operand{eval: connect(l, r, saql.And, false, e.At)}, l, r), nil
	case saql.OpOr:
		return fold(&operand{eval: connect(l, r, saql.Or, true, e.At)}, l, r), nil
	case saql.OpEq, saql.OpNe, saql.OpLt, saql.OpLe, saql.OpGt, saql.OpGe:
		ops := alike(sc, []saql.Expr{e.L, e.R}, l, r)
		l, r = ops[0], ops[1]
	}
	return fold(&operand{eval: apply(binaryOps[e.Op], l, r, e.At)}, l, r), nil
}

// connect evaluates AND and OR; where l decides, r is not evaluated.
func connect(l, r *operand, op func(a, b saql.Value) (saql.Value, error), decides bool, pos saql.Pos) evaluator {
	return func(row *saql.Row) (saql.Value, error) {
		a, err := l.eval(row)
		if err != nil {
			return saql.Null, err
		}
		holds, err := saql.Truth(a)
		if err != nil {
			return saql.Null, at(pos, err)
		}
		if holds == decides {
			return saql.Bit(decides), nil
		}
		b, err := r.eval(row)
		if err != nil {
			return saql.Null, err
		}
		v, err := op(saql.Bit(holds), b)
		if err != nil {
			return saql.Null, at(pos, err)
		}
		return v, nil
	}
}

// apply evaluates an operator of two operands. A value of the row and a
// constant, which most are, cost no further call.
func apply(op func(a, b saql.Value) (saql.Value, error), l, r *operand, pos saql.Pos) evaluator {
	if l.plain && r.constant {
		slot, b := l.slot, r.value
		return func(row *saql.Row) (saql.Value, error) {
			v, err := op(row.Values[slot], b)
			if err != nil {
				return saql.Null, at(pos, err)
			}
			return v, nil
		}
	}
	return func(row *saql.Row) (saql.Value, error) {
		a, err := l.eval(row)
		if err != nil {
			return saql.Null, err
		}
		b, err := r.eval(row)
		if err != nil {
			return saql.Null, err
		}
		if a, err = op(a, b); err != nil {
			return saql.Null, at(pos, err)
		}
		return a, nil
	}
}

func (c *compiler) isNull(sc *scope, e *saql.IsNull) (*operand, error) {
	x, err := c.expr(sc, e.X)
	if err != nil {
		return nil, err
	}
	not := e.Not
	return fold(&operand{eval: func(row *saql.Row) (saql.Value, error) {
		v, err := x.eval(row)
		return saql.Bit(v.IsNull() != not), err
	}}, x), nil
}

func (c *compiler) cast(sc *scope, e *saql.Cast) (*operand, error) {
	x, err := c.expr(sc, e.X)
	if err != nil {
		return nil, err
	}
	to, pos := e.Type, e.At
	if e.Try {
		// What fails within X fails as it does elsewhere: only the cast is tried.
		return fold(&operand{eval: func(row *saql.Row) (saql.Value, error) {
			v, err := x.eval(row)
			return saql.TryConvert(v, to), err
		}}, x), nil
	}
	return fold(&operand{eval: func(row *saql.Row) (saql.Value, error) {
		v, err := x.eval(row)
		if err != nil {
			return saql.Null, err
		}
		if v, err = saql.Convert(v, to); err != nil {
			return saql.Null, at(pos, err)
		}
		return v, nil
	}}, x), nil
}

// toDatetime evaluates to a datetime, also of its text.
func toDatetime(x evaluator, pos saql.Pos) evaluator {
	return func(row *saql.Row) (saql.Value, error) {
		v, err := x(row)
		if err != nil {
			return saql.Null, err
		}
		if v, err = saql.Convert(v, saql.KindDatetime); err != nil {
			return saql.Null, at(pos, err)
		}
		return v, nil
	}
}

// timestamp evaluates to System.Timestamp().
func timestamp(row *saql.Row) (saql.Value, error) { return saql.Datetime(row.Time), nil }
