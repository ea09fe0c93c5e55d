package saql

import "strings"

// call reads the arguments of the function that a path names, and its OVER.
func (p *parser) call(path *Column) *Call {
	c := &Call{At: path.At, Name: p.functionName(path.Path)}
	p.operator()
	p.expect("(")
	switch {
	case p.accept("*"):
		c.Star = true
		if p.accept(",") {
			c.Args = p.arguments()
		}
	case p.accept("DISTINCT"):
		c.Distinct = true
		c.Args = p.arguments()
	case p.is(")"):
	default:
		p.skipAll()
		c.Args = p.arguments()
		p.propertyName(c)
	}
	if !p.accept(")") {
		p.unexpected(`"," or ")"`)
	}
	if !p.timestamp && p.is("OVER") {
		c.Over = p.over()
	}
	return c
}

// functionName joins a path: a call keeps its name as one text.
func (p *parser) functionName(path []Name) string {
	names := make([]string, len(path))
	for i, n := range path {
		if strings.Contains(n.Text, ".") {
			p.fail(Errorf(n.At, "unexpected %s, expected the name of a function", quoteName(n.Text)))
		}
		names[i] = n.Text
	}
	return strings.Join(names, ".")
}

// propertyName makes text of a name in double quotes that says which property
// to get: GetRecordPropertyValue(r, "[a][b]") reads the property [a][b].
func (p *parser) propertyName(c *Call) {
	if !strings.EqualFold(c.Name, "GetRecordPropertyValue") || len(c.Args) != 2 {
		return
	}
	last := p.tokens[p.next-1]
	if col, ok := c.Args[1].(*Column); ok && last.double && last.at == col.At {
		c.Args[1] = &Literal{At: col.At, Value: String(last.text)}
	}
}

// skipAll passes over the ALL of COUNT(ALL x), which is the default; ALL may
// also be a column.
func (p *parser) skipAll() {
	if t := p.peekAt(1); p.is("ALL") && (isName(t) || t.kind == tokenInteger || t.kind == tokenString) {
		p.advance()
	}
}

// over reads OVER (…), its clauses in any order.
func (p *parser) over() *Over {
	o := &Over{At: p.peek().at}
	p.expect("OVER", "(")
	for {
		at := p.peek().at
		switch {
		case o.PartitionBy == nil && p.accept("PARTITION", "BY"):
			o.PartitionBy = p.arguments()
		case o.OrderBy == nil && p.accept("ORDER", "BY"):
			o.OrderBy = list(p, p.order)
		case o.Limit == nil && p.accept("LIMIT"):
			o.Limit = p.limit(at)
		case o.When == nil && p.accept("WHEN"):
			o.When = p.binary(precOr)
		case p.accept(")"):
			return o
		default:
			p.unexpected(`PARTITION BY, ORDER BY, LIMIT DURATION, WHEN or ")"`)
			return o
		}
	}
}

// order reads an expression [ASC | DESC].
func (p *parser) order() Order {
	o := Order{X: p.binary(precOr)}
	if !p.accept("ASC") {
		o.Desc = p.accept("DESC")
	}
	return o
}

// limit reads what follows LIMIT: DURATION (unit, n).
func (p *parser) limit(at Pos) *Limit {
	l := &Limit{At: at}
	p.expect("DURATION", "(")
	l.Unit = p.name("a unit of time")
	p.expect(",")
	l.N = p.binary(precOr)
	p.expect(")")
	return l
}
