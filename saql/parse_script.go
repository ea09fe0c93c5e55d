package saql

import "strings"

// script reads all statements. Several WITH clauses are as one.
func (p *parser) script() *Script {
	s := &Script{}
	for {
		for p.accept(";") {
		}
		switch {
		case p.peek().kind == tokenEnd && len(s.Queries) > 0:
			return s
		case p.accept("CREATE"):
			s.Tables = append(s.Tables, p.createTable())
		case p.accept("WITH"):
			s.Steps = append(s.Steps, list(p, p.step)...)
		case p.is("SELECT"), p.is("("):
			q := p.query()
			s.Queries = append(s.Queries, q)
			p.endOfQuery(q)
		case len(s.Steps)+len(s.Queries) > 0:
			p.unexpected("SELECT")
		default:
			p.unexpected("SELECT, WITH or CREATE TABLE")
		}
		if p.err != nil {
			return nil
		}
	}
}

// endOfQuery checks that another statement follows, or nothing.
func (p *parser) endOfQuery(q *Query) {
	if p.peek().kind == tokenEnd || p.is(";") || p.is("SELECT") || p.is("(") || p.is("WITH") || p.is("CREATE") || p.err != nil {
		return
	}
	if p.is("ORDER", "BY") {
		p.fail(&Error{p.peek().at, "ORDER BY is not supported outside of OVER", "use TopOne or CollectTop"})
	}
	expected := "UNION or the end of the query"
	last := q.Selects[len(q.Selects)-1]
	for _, clause := range []struct {
		name  string
		given bool
	}{
		{"HAVING", last.Having != nil},
		{"GROUP BY", last.GroupBy != nil},
		{"WHERE", last.Where != nil},
		{"JOIN", false},
	} {
		if clause.given {
			break
		}
		expected = clause.name + ", " + expected
	}
	p.unexpected(expected)
}

// createTable reads what follows CREATE.
func (p *parser) createTable() *CreateTable {
	t := &CreateTable{}
	p.expect("TABLE")
	t.Name = p.name("the name of an input")
	t.At = t.Name.At
	p.expect("(")
	t.Columns = list(p, func() TableColumn {
		return TableColumn{p.name("the name of a column"), p.dataType()}
	})
	p.expect(")")
	return t
}

// step reads name AS (query).
func (p *parser) step() *Step {
	s := &Step{Name: p.name("the name of a step")}
	p.expect("AS", "(")
	s.Query = p.query()
	p.expect(")")
	return s
}

// typeHints tells what to write for types of other dialects.
var typeHints = map[string]string{
	"int": "bigint", "integer": "bigint", "smallint": "bigint", "tinyint": "bigint", "long": "bigint",
	"double": "float", "real": "float", "decimal": "float", "numeric": "float",
	"string": "nvarchar(max)", "varchar": "nvarchar(max)", "nchar": "nvarchar(max)", "char": "nvarchar(max)", "text": "nvarchar(max)",
	"date": "datetime", "datetime2": "datetime", "time": "datetime", "timestamp": "datetime", "datetimeoffset": "datetime",
	"bool": "bit", "boolean": "bit", "object": "record", "json": "record",
}

// dataType reads the name of a type.
func (p *parser) dataType() Type {
	t := p.peek()
	switch strings.ToLower(t.text) {
	case "bigint":
		p.advance()
		return KindBigint
	case "float":
		p.advance()
		return KindFloat
	case "nvarchar":
		p.advance()
		p.expect("(", "max", ")")
		return KindString
	case "datetime":
		p.advance()
		return KindDatetime
	case "bit":
		p.advance()
		return KindBit
	case "record":
		p.advance()
		return KindRecord
	case "array":
		p.advance()
		return KindArray
	}
	err := Errorf(t.at, "unexpected %s, expected a type: bigint, float, nvarchar(max), datetime, bit, record or array", t)
	if hint := typeHints[strings.ToLower(t.text)]; hint != "" {
		err.Hint = "write " + hint
	}
	p.fail(err)
	return KindNull
}
