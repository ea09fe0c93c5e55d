package saql

import "strings"

// A place is where in a SELECT an expression stands.
type place struct {
	scope   *scope
	clause  string
	grouped bool   // SELECT or HAVING with GROUP BY: aggregates may be here
	within  string // the aggregate or analytic function that it is an argument of
}

// expr checks the names, the calls and the types of an expression.
func (c *checker) expr(e Expr, p place) {
	c.parts(e, p)
	c.kind(e)
}

// parts checks names and calls.
func (c *checker) parts(e Expr, p place) {
	Walk(e, func(e Expr) bool {
		switch e := e.(type) {
		case *Column:
			c.column(e, p.scope)
			return false
		case *Call:
			c.call(e, p)
			return false
		default:
			return true
		}
	})
}

// column checks a path of names where the columns of its source are known.
func (c *checker) column(col *Column, sc *scope) {
	first := col.Path[0]
	if r, ok := sc.source(first.Text); ok {
		if len(col.Path) > 1 && !r.open && !hasName(r.columns, col.Path[1].Text) {
			n := col.Path[1]
			c.failNear(n.At, n.Text, r.columns, "unknown column %s of %s", n.Text, r.name)
		}
		return
	}
	if sc.open() || hasName(sc.columns(), first.Text) {
		return
	}
	candidates, what := sc.columns(), "column"
	if len(col.Path) > 1 {
		what = "input or column"
		for _, r := range sc.sources {
			candidates = append(candidates, r.name)
		}
	}
	c.failNear(first.At, first.Text, candidates, "unknown %s %s", what, first.Text)
}

// unqualified returns a path without the name of its source.
func (sc *scope) unqualified(path []Name) []Name {
	if _, ok := sc.source(path[0].Text); ok && len(path) > 1 {
		return path[1:]
	}
	return path
}

// normal returns a text that is the same for expressions that mean the same
// but for the case of letters and the names of sources.
func (sc *scope) normal(e Expr) string {
	p := printer{path: sc.unqualified}
	p.expr(e, precOr)
	return strings.ToLower(p.b.String())
}

// sample returns a value of a kind: what an operator does with it, it does with
// all of its kind.
func sample(k Kind) Value {
	switch k {
	case KindBigint:
		return Bigint(1)
	case KindFloat:
		return Float(1)
	case KindString:
		return String("")
	case KindBit:
		return Bit(true)
	case KindRecord:
		return RecordValue(&Record{})
	case KindArray:
		return ArrayValue(nil)
	default:
		return Null
	}
}

// kind returns the kind that an expression has in every row, KindNull if that
// is not known or a datetime's, and checks that operators get kinds they take.
func (c *checker) kind(e Expr) Kind {
	switch e := e.(type) {
	case *Literal:
		return e.Value.Kind()
	case *Cast:
		c.kind(e.X)
		if e.Type == KindDatetime {
			return KindNull
		}
		return e.Type
	case *Unary:
		x := c.kind(e.X)
		if f := unaryFunc(e.Op); f != nil {
			v, err := f(sample(x))
			c.reportAt(e.At, err)
			return v.Kind()
		}
	case *Binary:
		return c.operator(e.At, e.Op, c.kind(e.L), c.kind(e.R))
	case *Between:
		x := c.kind(e.X)
		c.operator(e.Lo.Pos(), OpGe, x, c.kind(e.Lo))
		c.operator(e.Hi.Pos(), OpLe, x, c.kind(e.Hi))
	case *In:
		x := c.kind(e.X)
		for _, item := range e.List {
			c.operator(item.Pos(), OpEq, x, c.kind(item))
		}
	case *Like:
		c.text(e.X)
		c.text(e.Pattern)
	case *IsNull:
		c.kind(e.X)
	case *Member:
		c.kind(e.X)
	case *Case:
		c.caseKinds(e)
	case *Call:
		c.argumentKinds(e)
	}
	return KindNull
}

// operator returns the kind of l op r.
func (c *checker) operator(at Pos, op Op, l, r Kind) Kind {
	f := arithFunc(op)
	if f == nil {
		f = compareFunc(op)
	}
	if f == nil {
		return KindNull
	}
	v, err := f(sample(l), sample(r))
	c.reportAt(at, err)
	return v.Kind()
}

func (c *checker) reportAt(at Pos, err error) {
	if err != nil {
		c.fail(at, "%v", err)
	}
}

// text fails for an operand of LIKE that is known to be no string.
func (c *checker) text(e Expr) {
	if k := c.kind(e); k != KindNull && k != KindString {
		c.fail(e.Pos(), "LIKE does not take '%s'; CAST it", k)
	}
}

func (c *checker) caseKinds(e *Case) {
	operand := KindNull
	if e.Operand != nil {
		operand = c.kind(e.Operand)
	}
	for _, w := range e.Whens {
		k := c.kind(w.Cond)
		if e.Operand != nil {
			c.operator(w.Cond.Pos(), OpEq, operand, k)
		}
		c.kind(w.Then)
	}
	if e.Else != nil {
		c.kind(e.Else)
	}
}

func (c *checker) argumentKinds(e *Call) {
	f, scalar := LookupFunction(e.Name)
	for i, arg := range e.Args {
		k := c.kind(arg)
		if scalar && !(f.Unit && i == 0) && k != KindNull && !f.Param(i).Has(k) {
			c.fail(arg.Pos(), "argument %d of %s is of type '%s', expected %s", i+1, f.Name, k, f.Param(i))
		}
	}
	if e.Over == nil {
		return
	}
	for _, k := range e.Over.PartitionBy {
		c.kind(k)
	}
	if e.Over.When != nil {
		c.kind(e.Over.When)
	}
}
