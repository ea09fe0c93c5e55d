package saql

import (
	"math"
	"strconv"
	"strings"
)

// Precedences of operators, as in Transact-SQL; a higher one binds tighter.
const (
	precOr = iota + 1
	precAnd
	precNot
	precCompare // also BETWEEN, IN, LIKE and IS NULL
	precAdd     // also & | ^
	precMul
	precUnary
	precPrimary
)

// binaryOp returns the operator that a token is, and its precedence, 0 if it is none.
func binaryOp(t token) (Op, int) {
	if t.kind != tokenSymbol && t.kind != tokenWord {
		return "", 0
	}
	switch text := strings.ToUpper(t.text); text {
	case "OR":
		return OpOr, precOr
	case "AND":
		return OpAnd, precAnd
	case "=", "<>", "<", "<=", ">", ">=":
		return Op(text), precCompare
	case "!=":
		return OpNe, precCompare
	case "!<":
		return OpGe, precCompare
	case "!>":
		return OpLe, precCompare
	case "+", "-", "&", "|", "^":
		return Op(text), precAdd
	case "*", "/", "%":
		return Op(text), precMul
	default:
		return "", 0
	}
}

// expression reads a whole expression.
func (p *parser) expression() Expr {
	p.operators = 0
	return p.binary(precOr)
}

// binary reads an expression of operators that bind at least as tight as lowest.
func (p *parser) binary(lowest int) Expr {
	e := p.operand(lowest)
	for {
		t := p.peek()
		op, prec := binaryOp(t)
		switch {
		case prec >= lowest && prec > 0:
			p.advance()
			p.operator()
			e = &Binary{At: t.at, Op: op, L: e, R: p.binary(prec + 1)}
		case precCompare >= lowest && p.isPredicate():
			p.operator()
			e = p.predicate(e)
		default:
			return e
		}
	}
}

func (p *parser) isPredicate() bool {
	n := 0
	if p.is("NOT") {
		n = 1
	} else if p.is("IS") {
		return true
	}
	t := p.peekAt(n)
	return t.is("BETWEEN") || t.is("IN") || t.is("LIKE")
}

// predicate reads what follows x in x [NOT] BETWEEN, IN, LIKE and x IS [NOT] NULL.
func (p *parser) predicate(x Expr) Expr {
	at, not := p.peek().at, p.accept("NOT")
	switch {
	case p.accept("BETWEEN"):
		lo := p.binary(precAdd)
		p.expect("AND")
		return &Between{At: at, Not: not, X: x, Lo: lo, Hi: p.binary(precAdd)}
	case p.accept("IN"):
		p.expect("(")
		all := p.arguments()
		p.expect(")")
		return &In{At: at, Not: not, X: x, List: all}
	case p.accept("LIKE"):
		return &Like{At: at, Not: not, X: x, Pattern: p.binary(precAdd)}
	default:
		p.expect("IS")
		not := p.accept("NOT")
		p.expect("NULL")
		return &IsNull{At: at, Not: not, X: x}
	}
}

// arguments reads one expression or more.
func (p *parser) arguments() []Expr {
	return list(p, func() Expr { return p.binary(precOr) })
}

// operand reads NOT x, where an operator of that precedence may stand, or a
// signed primary.
func (p *parser) operand(lowest int) Expr {
	t := p.peek()
	if lowest > precNot || !p.accept("NOT") {
		return p.unary()
	}
	p.operator()
	return &Unary{At: t.at, Op: OpNot, X: p.binary(precNot)}
}

func (p *parser) unary() Expr {
	t := p.peek()
	if !t.is("-") && !t.is("+") && !t.is("~") {
		return p.primary()
	}
	p.advance()
	p.operator()
	if t.is("-") {
		return p.negative(t.at)
	}
	return &Unary{At: t.at, Op: Op(t.text), X: p.unary()}
}

// negative reads what follows a minus sign, which is part of a number.
func (p *parser) negative(at Pos) Expr {
	if t := p.peek(); t.kind == tokenInteger && strings.TrimLeft(t.text, "0") == "9223372036854775808" {
		p.advance()
		return &Literal{at, Bigint(math.MinInt64)}
	}
	x := p.unary()
	if l, ok := x.(*Literal); ok {
		switch v := l.Value; {
		case v.Kind() == KindBigint && v.Bigint() >= 0:
			return &Literal{at, Bigint(-v.Bigint())}
		case v.Kind() == KindFloat && !math.Signbit(v.Float()):
			return &Literal{at, Float(-v.Float())}
		}
	}
	return &Unary{At: at, Op: OpSub, X: x}
}

// primary reads a literal, a column, a call, CASE, CAST or an expression in
// parentheses, and the fields that are taken of it.
func (p *parser) primary() Expr {
	t := p.peek()
	switch {
	case t.kind == tokenInteger:
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			p.fail(&Error{t.at, "the integer " + t.text + " is beyond bigint", "write it as a float: " + t.text + ".0"})
		}
		p.advance()
		return &Literal{t.at, Bigint(n)}
	case t.kind == tokenFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.fail(Errorf(t.at, "the number %s is beyond float", t.text))
		}
		p.advance()
		return &Literal{t.at, Float(f)}
	case t.kind == tokenString:
		p.advance()
		return &Literal{t.at, String(t.text)}
	case p.accept("NULL"):
		return &Literal{t.at, Null}
	case p.accept("("):
		p.operator()
		e := p.binary(precOr)
		p.expect(")")
		return p.fields(e)
	case p.accept("CASE"):
		p.operator()
		return p.fields(p.caseExpr(t.at))
	case p.is("CAST", "("), p.is("TRY_CAST", "("):
		p.operator()
		return p.fields(p.cast())
	case isName(t):
		return p.path()
	}
	p.refuseOperand(t)
	return nil
}

// refuseOperand fails where an expression was expected.
func (p *parser) refuseOperand(t token) {
	p.unexpected("an expression")
	switch {
	case p.err.At != t.at:
	case t.is("SELECT"):
		p.err.Hint = "a query within an expression is not supported, JOIN it"
	case t.is("NOT"):
		p.err.Hint = "write (NOT …)"
	case t.kind == tokenWord && isReserved(t.text):
		p.err.Hint = "write " + quoteName(t.text) + " for a column of that name"
	}
}

// fields reads the names that follow an expression, each after a dot.
func (p *parser) fields(e Expr) Expr {
	for p.accept(".") {
		p.operator()
		n := p.field()
		if c, ok := e.(*Column); ok {
			e = &Column{At: c.At, Path: append(c.Path, n)}
		} else {
			e = &Member{X: e, Name: n}
		}
	}
	return e
}

// field reads a name after a dot, where no word is reserved.
func (p *parser) field() Name {
	t := p.peek()
	if t.kind != tokenWord && t.kind != tokenQuoted {
		p.unexpected("a name after the dot")
	}
	return nameOf(p.advance())
}

// path reads a column or a call: names, with dots between them.
func (p *parser) path() Expr {
	c := &Column{At: p.peek().at, Path: []Name{nameOf(p.advance())}}
	for p.accept(".") {
		c.Path = append(c.Path, p.field())
	}
	switch {
	case p.is("("):
		return p.fields(p.call(c))
	case isSystemTimestamp(c.Path):
		return &Call{At: c.At, Name: c.Path[0].Text + "." + c.Path[1].Text, Bare: true}
	default:
		return c
	}
}

// isSystemTimestamp reports a path that is the old form of System.Timestamp().
func isSystemTimestamp(path []Name) bool {
	return len(path) == 2 && !path[0].Quoted && !path[1].Quoted &&
		strings.EqualFold(path[0].Text, "System") && strings.EqualFold(path[1].Text, "Timestamp")
}

// caseExpr reads what follows CASE.
func (p *parser) caseExpr(at Pos) Expr {
	c := &Case{At: at}
	if !p.is("WHEN") {
		c.Operand = p.binary(precOr)
	}
	p.expect("WHEN")
	for {
		cond := p.binary(precOr)
		p.expect("THEN")
		c.Whens = append(c.Whens, When{cond, p.binary(precOr)})
		if !p.accept("WHEN") {
			break
		}
	}
	if p.accept("ELSE") {
		c.Else = p.binary(precOr)
	}
	if !p.accept("END") {
		if c.Else == nil {
			p.unexpected("WHEN, ELSE or END")
		}
		p.unexpected("END")
	}
	return c
}

// cast reads CAST(x AS type) or TRY_CAST(x AS type).
func (p *parser) cast() Expr {
	t := p.advance()
	c := &Cast{At: t.at, Try: t.is("TRY_CAST")}
	p.expect("(")
	c.X = p.binary(precOr)
	p.expect("AS")
	c.Type = p.dataType()
	p.expect(")")
	return c
}
