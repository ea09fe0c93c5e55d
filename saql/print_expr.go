package saql

import (
	"math"
	"strconv"
	"strings"
)

func (p *printer) list(all []Expr) {
	for i, e := range all {
		if i > 0 {
			p.text(", ")
		}
		p.expr(e, precOr)
	}
}

// precedence returns how tight the outermost operator of e binds.
func precedence(e Expr) int {
	switch e := e.(type) {
	case *Binary:
		_, prec := binaryOp(token{kind: tokenSymbol, text: string(e.Op)})
		return prec
	case *Unary:
		if e.Op == OpNot {
			return precNot
		}
		return precUnary
	case *Between, *In, *Like, *IsNull:
		return precCompare
	default:
		return precPrimary
	}
}

// expr prints an expression, in parentheses where its operator binds less
// tight than its place asks for.
func (p *printer) expr(e Expr, lowest int) {
	if precedence(e) < lowest {
		p.text("(")
		p.bare(e)
		p.text(")")
		return
	}
	p.bare(e)
}

func (p *printer) bare(e Expr) {
	switch e := e.(type) {
	case *Literal:
		p.literal(e.Value)
	case *Column:
		p.column(e)
	case *Member:
		p.member(e)
	case *Unary:
		p.unary(e)
	case *Binary:
		prec := precedence(e)
		p.expr(e.L, prec)
		p.text(" " + string(e.Op) + " ")
		p.expr(e.R, prec+1)
	case *Between:
		p.predicate(e.X, e.Not, "BETWEEN ")
		p.expr(e.Lo, precAdd)
		p.text(" AND ")
		p.expr(e.Hi, precAdd)
	case *In:
		p.predicate(e.X, e.Not, "IN (")
		p.list(e.List)
		p.text(")")
	case *Like:
		p.predicate(e.X, e.Not, "LIKE ")
		p.expr(e.Pattern, precAdd)
	case *IsNull:
		p.expr(e.X, precCompare)
		p.text(choose(e.Not, " IS NOT NULL", " IS NULL"))
	case *Case:
		p.caseExpr(e)
	case *Cast:
		p.text(choose(e.Try, "TRY_CAST(", "CAST("))
		p.expr(e.X, precOr)
		p.text(" AS " + e.Type.String() + ")")
	case *Call:
		p.call(e)
	}
}

func (p *printer) predicate(x Expr, not bool, keyword string) {
	p.expr(x, precCompare)
	p.text(choose(not, " NOT ", " ") + keyword)
}

func (p *printer) literal(v Value) {
	switch v.Kind() {
	case KindBigint:
		p.text(strconv.FormatInt(v.Bigint(), 10))
	case KindFloat:
		s := strconv.FormatFloat(v.Float(), 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		p.text(s)
	case KindString:
		p.text(quoteString(v.Str()))
	default:
		p.text("NULL")
	}
}

func (p *printer) column(c *Column) {
	path := c.Path
	if p.path != nil {
		path = p.path(path)
	}
	unquoted := make([]Name, len(path))
	for i, n := range path {
		unquoted[i] = Name{Text: n.Text}
	}
	for i, n := range path {
		switch {
		case i > 0:
			p.text(".")
			p.name(n)
		case isSystemTimestamp(unquoted):
			p.text(quoteName(n.Text))
		default:
			p.name(n)
		}
	}
}

// member prints X.name. What X is must not read as part of a path or a number.
func (p *printer) member(m *Member) {
	switch x := m.X.(type) {
	case *Member, *Case, *Cast:
		p.bare(x)
	case *Call:
		p.text(choose(x.Bare, "(", ""))
		p.call(x)
		p.text(choose(x.Bare, ")", ""))
	default:
		p.text("(")
		p.bare(x)
		p.text(")")
	}
	p.text(".")
	p.name(m.Name)
}

// unary prints NOT x, -x, +x and ~x. Two minus signs in a row would begin a comment.
func (p *printer) unary(u *Unary) {
	if u.Op == OpNot {
		p.text("NOT ")
		p.expr(u.X, precNot)
		return
	}
	p.text(string(u.Op))
	if u.Op == OpSub && startsWithMinus(u.X) {
		p.text("(")
		p.bare(u.X)
		p.text(")")
		return
	}
	p.expr(u.X, precUnary)
}

func startsWithMinus(e Expr) bool {
	switch e := e.(type) {
	case *Unary:
		return e.Op == OpSub
	case *Literal:
		return e.Value.Kind() == KindBigint && e.Value.Bigint() < 0 ||
			e.Value.Kind() == KindFloat && math.Signbit(e.Value.Float())
	default:
		return false
	}
}

func (p *printer) caseExpr(c *Case) {
	p.text("CASE")
	if c.Operand != nil {
		p.text(" ")
		p.expr(c.Operand, precOr)
	}
	for _, w := range c.Whens {
		p.text(" WHEN ")
		p.expr(w.Cond, precOr)
		p.text(" THEN ")
		p.expr(w.Then, precOr)
	}
	if c.Else != nil {
		p.text(" ELSE ")
		p.expr(c.Else, precOr)
	}
	p.text(" END")
}

func (p *printer) call(c *Call) {
	for i, n := range strings.Split(c.Name, ".") {
		p.text(choose(i > 0, ".", "") + functionText(n))
	}
	if c.Bare {
		return
	}
	p.text("(")
	switch {
	case c.Star:
		p.text("*" + choose(len(c.Args) > 0, ", ", ""))
	case c.Distinct:
		p.text("DISTINCT ")
	}
	p.list(c.Args)
	p.text(")")
	if c.Over != nil {
		p.over(c.Over)
	}
}

// functionText quotes one part of a function's name; CAST( is read otherwise.
func functionText(s string) string {
	if strings.EqualFold(s, "CAST") || strings.EqualFold(s, "TRY_CAST") {
		return quoteName(s)
	}
	return nameText(s)
}

func (p *printer) over(o *Over) {
	p.text(" OVER (")
	sep := ""
	clause := func(keyword string) {
		p.text(sep + keyword)
		sep = " "
	}
	if o.PartitionBy != nil {
		clause("PARTITION BY ")
		p.list(o.PartitionBy)
	}
	if o.OrderBy != nil {
		clause("ORDER BY ")
		for i, k := range o.OrderBy {
			p.text(choose(i > 0, ", ", ""))
			p.expr(k.X, precOr)
			p.text(choose(k.Desc, " DESC", ""))
		}
	}
	if l := o.Limit; l != nil {
		clause("LIMIT DURATION (")
		p.name(l.Unit)
		p.text(", ")
		p.expr(l.N, precOr)
		p.text(")")
	}
	if o.When != nil {
		clause("WHEN ")
		p.expr(o.When, precOr)
	}
	p.text(")")
}
