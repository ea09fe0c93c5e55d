package stream

import (
	"fmt"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// canonical returns a text that is equal for expressions that mean the same
// within a scope: case and the names of sources do not matter.
func (c *compiler) canonical(sc *scope, e saql.Expr) string {
	var b strings.Builder
	c.writeCanonical(&b, sc, e)
	return b.String()
}

func (c *compiler) writeCanonical(b *strings.Builder, sc *scope, exprs ...saql.Expr) {
	for i, e := range exprs {
		if i > 0 {
			b.WriteString(", ")
		}
		switch e := e.(type) {
		case nil:
			b.WriteString("none")
		case *saql.Literal:
			fmt.Fprintf(b, "%q", saql.AppendValue(nil, e.Value))
		case *saql.Column:
			b.WriteString(canonicalColumn(sc, e))
		case *saql.Member:
			c.writeCanonical(b, sc, e.X)
			b.WriteString("." + strings.ToLower(e.Name.Text))
		case *saql.Unary:
			c.writeForm(b, sc, string(e.Op), e.X)
		case *saql.Binary:
			c.writeForm(b, sc, string(e.Op), e.L, e.R)
		case *saql.Between:
			c.writeForm(b, sc, fmt.Sprint("between ", e.Not), e.X, e.Lo, e.Hi)
		case *saql.In:
			c.writeForm(b, sc, fmt.Sprint("in ", e.Not), append([]saql.Expr{e.X}, e.List...)...)
		case *saql.Like:
			c.writeForm(b, sc, fmt.Sprint("like ", e.Not), e.X, e.Pattern)
		case *saql.IsNull:
			c.writeForm(b, sc, fmt.Sprint("is null ", e.Not), e.X)
		case *saql.Case:
			c.writeForm(b, sc, "case", caseParts(e)...)
		case *saql.Cast:
			c.writeForm(b, sc, fmt.Sprint("cast ", e.Try, " ", e.Type), e.X)
		case *saql.Call:
			c.writeCall(b, sc, e)
		}
	}
}

func (c *compiler) writeForm(b *strings.Builder, sc *scope, form string, parts ...saql.Expr) {
	b.WriteString("(" + form + " ")
	c.writeCanonical(b, sc, parts...)
	b.WriteString(")")
}

func (c *compiler) writeCall(b *strings.Builder, sc *scope, e *saql.Call) {
	fmt.Fprintf(b, "(%s %t %t ", strings.ToLower(e.Name), e.Star, e.Distinct)
	c.writeCanonical(b, sc, e.Args...)
	if o := e.Over; o != nil {
		b.WriteString(" over ")
		c.writeCanonical(b, sc, o.PartitionBy...)
		for _, key := range o.OrderBy {
			fmt.Fprintf(b, " order %t ", key.Desc)
			c.writeCanonical(b, sc, key.X)
		}
		if o.Limit != nil {
			fmt.Fprintf(b, " limit %s ", strings.ToLower(o.Limit.Unit.Text))
			c.writeCanonical(b, sc, o.Limit.N)
		}
		b.WriteString(" when ")
		c.writeCanonical(b, sc, o.When)
	}
	b.WriteString(")")
}

func caseParts(e *saql.Case) []saql.Expr {
	parts := []saql.Expr{e.Operand}
	for _, w := range e.Whens {
		parts = append(parts, w.Cond, w.Then)
	}
	return append(parts, e.Else)
}

// canonicalColumn returns the place of the source and the names behind it.
func canonicalColumn(sc *scope, col *saql.Column) string {
	path, at := col.Path, "?"
	for i := range sc.sources {
		if sameName(sc.sources[i].name, path[0].Text) && len(path) > 1 {
			at, path = fmt.Sprint(i), path[1:]
			break
		}
	}
	if at == "?" {
		if owner, err := sc.owner(path[0]); err == nil {
			for i := range sc.sources {
				if owner == &sc.sources[i] {
					at = fmt.Sprint(i)
				}
			}
		}
	}
	for _, name := range path {
		at += "." + strings.ToLower(name.Text)
	}
	return at
}
