package twinquery

import (
	"fmt"
	"strconv"
	"strings"
)

// String prints the query so that it parses to the same query.
func (q *Query) String() string {
	p := &printer{}
	p.WriteString("SELECT ")
	if q.Top > 0 {
		p.WriteString("TOP " + strconv.Itoa(q.Top) + " ")
	}
	if q.Items == nil {
		p.WriteByte('*')
	}
	for i, item := range q.Items {
		p.comma(i)
		item.Expr.print(p, precOr)
		if item.As != "" {
			p.WriteString(" AS ")
			p.alias(item.As)
		}
	}
	p.WriteString(" FROM " + string(q.From))
	if q.Alias != "" {
		p.WriteString(" AS " + q.Alias)
	}
	if q.Where != nil {
		p.WriteString(" WHERE ")
		q.Where.print(p, precOr)
	}
	for i, path := range q.GroupBy {
		if i == 0 {
			p.WriteString(" GROUP BY ")
		}
		p.comma(i)
		path.print(p, precPrimary)
	}
	return p.String()
}

type printer struct{ strings.Builder }

func (p *printer) comma(i int) {
	if i > 0 {
		p.WriteString(", ")
	}
}

func (p *printer) alias(s string) {
	if isName(s) && !isReserved(s) {
		p.WriteString(s)
	} else {
		p.str(s)
	}
}

func (p *printer) str(s string) {
	p.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\'' || r == '\\':
			p.WriteByte('\\')
			p.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(p, `\u%04x`, r)
		default:
			p.WriteRune(r)
		}
	}
	p.WriteByte('\'')
}

// binary prints x op y, in parentheses where the place binds tighter than op.
func (p *printer) binary(outer, inner int, x Expr, op string, y Expr, left, right int) {
	p.open(outer, inner)
	x.print(p, left)
	p.WriteString(" " + op + " ")
	y.print(p, right)
	p.closing(outer, inner)
}

func (p *printer) open(outer, inner int) {
	if inner < outer {
		p.WriteByte('(')
	}
}

func (p *printer) closing(outer, inner int) {
	if inner < outer {
		p.WriteByte(')')
	}
}

func (p *printer) list(open string, items []Expr, closing string) {
	p.WriteString(open)
	for i, x := range items {
		p.comma(i)
		x.print(p, precOr)
	}
	p.WriteString(closing)
}

func (l *Literal) print(p *printer, _ int) {
	switch v := l.Value.(type) {
	case string:
		p.str(v)
	case float64:
		p.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
	case bool:
		p.WriteString(strconv.FormatBool(v))
	case undefined:
		p.WriteString("undefined")
	default:
		p.WriteString("null")
	}
}

func (path *Path) print(p *printer, _ int) {
	for i, s := range path.Steps {
		switch {
		case s.IsIndex:
			p.WriteString("[" + strconv.Itoa(s.Index) + "]")
		case i == 0:
			p.WriteString(s.Name)
		case isName(s.Name):
			p.WriteString("." + s.Name)
		default:
			p.WriteByte('[')
			p.str(s.Name)
			p.WriteByte(']')
		}
	}
}

func (a *Array) print(p *printer, _ int) { p.list("[", a.Items, "]") }

func (u *Unary) print(p *printer, outer int) {
	if u.Op == "NOT" {
		p.open(outer, precNot)
		p.WriteString("NOT ")
		u.X.print(p, precNot)
		p.closing(outer, precNot)
		return
	}
	p.open(outer, precUnary)
	p.WriteString(u.Op)
	u.X.print(p, precUnary)
	p.closing(outer, precUnary)
}

func (b *Binary) print(p *printer, outer int) {
	prec := precedence(b.Op)
	left, right := prec, prec+1
	if prec == precCompare { // comparisons do not chain
		left = prec + 1
	}
	p.binary(outer, prec, b.X, b.Op, b.Y, left, right)
}

func precedence(op string) int {
	switch op {
	case "OR":
		return precOr
	case "AND":
		return precAnd
	case "+", "-":
		return precAdd
	case "*", "/", "%":
		return precMultiply
	default:
		return precCompare
	}
}

func (in *In) print(p *printer, outer int) {
	op := "IN"
	if in.Not {
		op = "NIN"
	}
	p.binary(outer, precCompare, in.X, op, in.List, precCompare+1, precPrimary)
}

func (c *Call) print(p *printer, _ int) { p.list(c.Name+"(", c.Args, ")") }
