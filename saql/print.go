package saql

import (
	"strconv"
	"strings"
)

// String gives the script in its canonical layout: keywords in capitals, one
// clause a line, quotes only where a name needs them. Parse reads it back to
// the same tree, positions and quotes apart.
func (s *Script) String() string {
	var p printer
	for _, t := range s.Tables {
		p.table(t)
		p.text("\n")
	}
	for i, step := range s.Steps {
		p.text(choose(i == 0, "WITH ", ",\n"))
		p.name(step.Name)
		p.text(" AS ")
		p.parens(step.Query)
	}
	if len(s.Steps) > 0 {
		p.text("\n")
	}
	for i, q := range s.Queries {
		if i > 0 {
			p.text("\n")
		}
		p.query(q)
		p.text(";\n")
	}
	return p.b.String()
}

// ExprString gives an expression as Script.String prints it.
func ExprString(e Expr) string {
	var p printer
	p.expr(e, precOr)
	return p.b.String()
}

func choose(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}

type printer struct {
	b      strings.Builder
	indent int
	path   func([]Name) []Name // what to print of a column, nil: all
}

func (p *printer) text(s string) { p.b.WriteString(s) }

// line begins a new line at the indentation of the query.
func (p *printer) line() {
	p.text("\n")
	for range p.indent {
		p.text("    ")
	}
}

func (p *printer) name(n Name) { p.text(nameText(n.Text)) }

// as prints AS alias, if there is one.
func (p *printer) as(alias *Name) {
	if alias != nil {
		p.text(" AS ")
		p.name(*alias)
	}
}

// nameText quotes a name where it is no plain word or would be taken for a keyword.
func nameText(s string) string {
	plain := s != "" && !isReserved(s) && !strings.EqualFold(s, "ALL") && !strings.EqualFold(s, "WHEN")
	for i, r := range s {
		if !isNamePart(r) || i == 0 && !isNameStart(r) {
			plain = false
		}
	}
	if plain {
		return s
	}
	return quoteName(s)
}

func quoteName(s string) string { return "[" + strings.ReplaceAll(s, "]", "]]") + "]" }

func quoteString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (p *printer) table(t *CreateTable) {
	p.text("CREATE TABLE ")
	p.name(t.Name)
	p.text(" (")
	for i, c := range t.Columns {
		p.text(choose(i == 0, "\n    ", ",\n    "))
		p.name(c.Name)
		p.text(" " + c.Type.String())
	}
	p.text("\n);\n")
}

// parens prints a query in parentheses, indented.
func (p *printer) parens(q *Query) {
	p.text("(")
	p.indent++
	p.line()
	p.query(q)
	p.indent--
	p.line()
	p.text(")")
}

func (p *printer) query(q *Query) {
	for i, s := range q.Selects {
		if i > 0 {
			p.line()
			p.text("UNION")
			p.line()
		}
		p.selectClause(s)
	}
}

func (p *printer) selectClause(s *Select) {
	p.text("SELECT")
	p.indent++
	for i, it := range s.Items {
		switch {
		case i > 0:
			p.text(",")
			p.line()
		case len(s.Items) > 1:
			p.line()
		default:
			p.text(" ")
		}
		p.item(it)
	}
	p.indent--
	if s.Into != nil {
		p.line()
		p.text("INTO ")
		p.name(*s.Into)
	}
	p.from(&s.From)
	if s.Where != nil {
		p.line()
		p.text("WHERE ")
		p.expr(s.Where, precOr)
	}
	if s.GroupBy != nil {
		p.line()
		p.text("GROUP BY ")
		p.list(s.GroupBy)
	}
	if s.Having != nil {
		p.line()
		p.text("HAVING ")
		p.expr(s.Having, precOr)
	}
}

func (p *printer) item(it Item) {
	switch {
	case it.Star:
		for _, n := range it.Of {
			p.name(n)
			p.text(".")
		}
		p.text("*")
	case beginsAsAlias(it.Expr):
		p.text("(")
		p.expr(it.Expr, precOr)
		p.text(")")
	default:
		p.expr(it.Expr, precOr)
	}
	p.as(it.Alias)
}

// beginsAsAlias reports an expression that begins with name =, which at the
// head of an item means something else.
func beginsAsAlias(e Expr) bool {
	switch e := e.(type) {
	case *Binary:
		c, ok := e.L.(*Column)
		return e.Op == OpEq && ok && len(c.Path) == 1 || beginsAsAlias(e.L)
	case *Between:
		return beginsAsAlias(e.X)
	case *In:
		return beginsAsAlias(e.X)
	case *Like:
		return beginsAsAlias(e.X)
	case *IsNull:
		return beginsAsAlias(e.X)
	default:
		return false
	}
}

func (p *printer) from(f *From) {
	p.line()
	p.text("FROM ")
	p.source(&f.Source)
	for _, it := range f.Tail {
		p.line()
		switch it := it.(type) {
		case *Join:
			p.text(choose(it.Left, "LEFT JOIN ", "JOIN "))
			p.source(&it.Source)
			p.text(" ON ")
			p.expr(it.On, precOr)
		case *Apply:
			p.text(choose(it.Outer, "OUTER APPLY ", "CROSS APPLY "))
			p.call(it.Call)
			p.as(&it.Alias)
		}
	}
}

func (p *printer) source(s *Source) {
	if s.Query != nil {
		p.parens(s.Query)
	} else {
		p.name(s.Name)
	}
	p.as(s.Alias)
	if s.PartitionBy != nil {
		p.text(" PARTITION BY ")
		p.list(s.PartitionBy)
		if s.Into > 0 {
			p.text(" INTO " + strconv.Itoa(s.Into))
		}
	}
	if s.TimestampBy != nil {
		p.text(" TIMESTAMP BY ")
		p.expr(s.TimestampBy, precOr)
	}
	if s.Over != nil {
		p.text(" OVER ")
		p.list(s.Over)
	}
}
