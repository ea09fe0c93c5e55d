package saql

import "strconv"

// query reads SELECT … [UNION [ALL] SELECT …]. UNION keeps duplicates and is
// associative: parentheses around its parts mean nothing.
func (p *parser) query() *Query {
	if p.queries++; p.queries > maxQueries {
		p.fail(Errorf(p.peek().at, "queries are nested more than %d deep", maxQueries))
	}
	q := &Query{}
	for {
		if p.accept("(") {
			if inner := p.query(); inner != nil {
				q.Selects = append(q.Selects, inner.Selects...)
			}
			p.expect(")")
		} else {
			q.Selects = append(q.Selects, p.selectClause())
		}
		if !p.accept("UNION") {
			break
		}
		p.accept("ALL")
	}
	p.queries--
	return q
}

func (p *parser) selectClause() *Select {
	s := &Select{At: p.peek().at}
	p.expect("SELECT")
	p.refuseDistinct()
	s.Items = p.items()
	if p.accept("INTO") {
		n := p.name("the name of an output")
		s.Into = &n
	}
	p.expectFrom(s.Into != nil)
	s.From = p.from()
	if p.accept("WHERE") {
		s.Where = p.expression()
	}
	if p.accept("GROUP", "BY") {
		s.GroupBy = list(p, p.expression)
	}
	if p.accept("HAVING") {
		s.Having = p.expression()
	}
	return s
}

// refuseDistinct names what the language has in place of two things that users
// of SQL look for.
func (p *parser) refuseDistinct() {
	t := p.peek()
	switch {
	case p.is("DISTINCT"):
		p.fail(&Error{t.at, "SELECT DISTINCT is not supported", "GROUP BY the columns and a window, or use COUNT(DISTINCT …)"})
	case p.is("TOP") && p.peekAt(1).kind == tokenInteger:
		p.fail(&Error{t.at, "SELECT TOP is not supported", "use TopOne or CollectTop"})
	}
}

func (p *parser) expectFrom(into bool) {
	if p.accept("FROM") {
		return
	}
	if into {
		p.unexpected("FROM")
	} else {
		p.unexpected("FROM or INTO")
	}
}

// items reads the SELECT list. A comma may follow its last item: pages of the
// reference (TIMESTAMP BY, REGEXMATCH) have it so.
func (p *parser) items() []Item {
	items := []Item{p.item()}
	for p.accept(",") && !p.is("FROM") && !p.is("INTO") {
		items = append(items, p.item())
	}
	return items
}

// item reads *, path.*, alias = expression or expression [[AS] alias].
func (p *parser) item() Item {
	it := Item{At: p.peek().at}
	if n := p.starPath(); n >= 0 {
		it.Star = true
		for range n {
			it.Of = append(it.Of, nameOf(p.advance()))
			p.expect(".")
		}
		p.expect("*")
		return it
	}
	if t := p.peek(); isName(t) && p.peekAt(1).is("=") {
		n := nameOf(p.advance())
		p.advance()
		it.Alias, it.Expr = &n, p.expression()
		return it
	}
	it.Expr = p.expression()
	it.Alias = p.alias()
	return it
}

// starPath returns how many names precede the star of name.name.*, -1 if what
// comes next is none.
func (p *parser) starPath() int {
	for n := 0; ; n++ {
		t := p.peekAt(2 * n)
		switch {
		case t.is("*"):
			return n
		case t.kind != tokenQuoted && t.kind != tokenWord, n == 0 && !isName(t), !p.peekAt(2*n + 1).is("."):
			return -1
		}
	}
}

// from reads a source and what is joined or applied to it.
func (p *parser) from() From {
	f := From{Source: p.source()}
	for {
		at := p.peek().at
		switch {
		case p.accept("JOIN"), p.accept("INNER", "JOIN"):
			f.Tail = append(f.Tail, p.join(&Join{At: at}))
		case p.accept("LEFT", "JOIN"), p.accept("LEFT", "OUTER", "JOIN"):
			f.Tail = append(f.Tail, p.join(&Join{At: at, Left: true}))
		case p.accept("CROSS", "APPLY"):
			f.Tail = append(f.Tail, p.apply(&Apply{At: at}))
		case p.accept("OUTER", "APPLY"):
			f.Tail = append(f.Tail, p.apply(&Apply{At: at, Outer: true}))
		default:
			p.refuseFrom()
			return f
		}
	}
}

// refuseFrom names what the language has in place of other forms of FROM.
func (p *parser) refuseFrom() {
	t := p.peek()
	switch {
	case p.is("MATCH_RECOGNIZE"):
		p.fail(Errorf(t.at, "MATCH_RECOGNIZE is not supported"))
	case p.is("RIGHT"), p.is("FULL"), p.is("CROSS", "JOIN"):
		p.fail(&Error{t.at, t.text + " JOIN is not supported", "use JOIN or LEFT JOIN"})
	case p.is("INNER"), p.is("LEFT"):
		p.advance()
		p.unexpected("JOIN")
	case p.is("CROSS"), p.is("OUTER"):
		p.advance()
		p.unexpected("APPLY")
	case p.is(","):
		p.fail(&Error{t.at, `unexpected ",", expected JOIN`, "a second input is joined by JOIN … ON …"})
	}
}

func (p *parser) join(j *Join) *Join {
	j.Source = p.source()
	p.expect("ON")
	j.On = p.expression()
	return j
}

func (p *parser) apply(a *Apply) *Apply {
	at := p.peek().at
	p.operators = 0
	call, ok := p.primary().(*Call)
	if !ok {
		p.fail(Errorf(at, "expected GetArrayElements(…) or GetRecordProperties(…)"))
	}
	a.Call = call
	if alias := p.alias(); alias != nil {
		a.Alias = *alias
	} else {
		p.unexpected("AS and a name for the elements")
	}
	return a
}

// source reads an input, a step or a query in parentheses, with its clauses in
// any order.
func (p *parser) source() Source {
	s := Source{At: p.peek().at}
	if p.accept("(") {
		s.Query = p.query()
		p.expect(")")
	} else {
		s.Name = p.name("the name of an input or a step")
	}
	s.Alias = p.alias()
	for {
		switch {
		case s.PartitionBy == nil && p.accept("PARTITION", "BY"):
			s.PartitionBy = list(p, p.expression)
			if p.accept("INTO") {
				s.Into = p.shards()
			}
		case s.TimestampBy == nil && p.accept("TIMESTAMP", "BY"):
			p.timestamp = true
			s.TimestampBy = p.expression()
			p.timestamp = false
			if p.accept("OVER") {
				s.Over = list(p, p.expression)
			}
		default:
			return s
		}
	}
}

// maxShards is how many partitions a stream can be divided into.
const maxShards = 1024

func (p *parser) shards() int {
	t := p.peek()
	n, err := strconv.Atoi(t.text)
	if t.kind != tokenInteger || err != nil || n < 1 || n > maxShards {
		p.unexpected("a number of shards from 1 to " + strconv.Itoa(maxShards))
	}
	p.advance()
	return n
}
