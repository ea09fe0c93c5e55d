package twinquery

import (
	"math"
	"slices"
	"strings"
)

// Precedence, loosest first; the printer uses the same numbers.
const (
	precOr = iota + 1
	precAnd
	precNot
	precCompare
	precAdd
	precMultiply
	precUnary
	precPrimary
)

func (p *parser) expr() (Expr, error) { return p.or() }

// nested guards the recursion: every way back to expr goes through it.
func (p *parser) nested(f func() (Expr, error)) (Expr, error) {
	if p.depth++; p.depth > MaxDepth {
		return nil, p.errorf("the expression nests deeper than %d", MaxDepth)
	}
	defer func() { p.depth-- }()
	return f()
}

func (p *parser) or() (Expr, error)  { return p.words("OR", p.and) }
func (p *parser) and() (Expr, error) { return p.words("AND", p.not) }

// words = operand {word operand}
func (p *parser) words(op string, operand func() (Expr, error)) (Expr, error) {
	x, err := operand()
	for err == nil && p.isWord(op) {
		if err = p.advance(); err != nil {
			break
		}
		var y Expr
		if y, err = operand(); err == nil {
			x = &Binary{op, x, y}
		}
	}
	return x, err
}

func (p *parser) not() (Expr, error) {
	if !p.isWord("NOT") {
		return p.compare()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	x, err := p.nested(p.not)
	if err != nil {
		return nil, err
	}
	return &Unary{"NOT", x}, nil
}

var comparisons = []string{"=", "!=", "<>", "<", ">", "<=", ">="}

// compare = add [op add | [NOT] IN list | NIN list]
func (p *parser) compare() (Expr, error) {
	x, err := p.add()
	if err != nil {
		return nil, err
	}
	switch {
	case p.tok.kind == tokSign && slices.Contains(comparisons, p.tok.text):
		op := p.tok.text
		if op == "<>" {
			op = "!="
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		y, err := p.add()
		if err != nil {
			return nil, err
		}
		if p.tok.kind == tokSign && slices.Contains(comparisons, p.tok.text) {
			return nil, p.errorf("comparisons do not chain: join two with AND")
		}
		return &Binary{op, x, y}, nil
	case p.isWord("IN"), p.isWord("NIN"), p.isWord("NOT"):
		return p.in(x)
	}
	return x, nil
}

func (p *parser) in(x Expr) (Expr, error) {
	not := !p.isWord("IN")
	if p.isWord("NOT") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if !p.isWord("IN") {
			return nil, p.expected("IN after NOT", "IN")
		}
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.isSign("(") {
		return nil, p.expected("a list in brackets, as in ['a', 'b']")
	}
	list, err := p.primary()
	if err != nil {
		return nil, err
	}
	switch list.(type) {
	case *Array, *Path:
		return &In{x, not, list}, nil
	}
	return nil, p.errorf("IN needs a list in brackets, as in ['a', 'b'], or a property that is an array")
}

func (p *parser) add() (Expr, error) { return p.signs(p.multiply, "+", "-") }
func (p *parser) multiply() (Expr, error) {
	return p.signs(p.unary, "*", "/", "%")
}

// signs = operand {op operand}
func (p *parser) signs(operand func() (Expr, error), ops ...string) (Expr, error) {
	x, err := operand()
	for err == nil && p.tok.kind == tokSign && slices.Contains(ops, p.tok.text) {
		op := p.tok.text
		if err = p.advance(); err != nil {
			break
		}
		var y Expr
		if y, err = operand(); err == nil {
			x = &Binary{op, x, y}
		}
	}
	return x, err
}

func (p *parser) unary() (Expr, error) {
	if !p.isSign("-") && !p.isSign("+") {
		return p.primary()
	}
	op := p.tok.text
	if err := p.advance(); err != nil {
		return nil, err
	}
	x, err := p.nested(p.unary)
	if err != nil {
		return nil, err
	}
	return &Unary{op, x}, nil
}

func (p *parser) primary() (Expr, error) {
	switch {
	case p.tok.kind == tokNumber, p.tok.kind == tokString:
		v := p.tok.value
		return &Literal{v}, p.advance()
	case p.isSign("("):
		return p.nested(p.parens)
	case p.isSign("["):
		return p.nested(p.array)
	case p.tok.kind == tokName && !isReserved(p.tok.text):
		return p.nameOrCall()
	}
	for word, v := range map[string]any{"TRUE": true, "FALSE": false, "NULL": nil, "UNDEFINED": Undefined} {
		if p.isWord(word) {
			return &Literal{v}, p.advance()
		}
	}
	return nil, p.expected("a property, a value or a function")
}

func (p *parser) parens() (Expr, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	x, err := p.expr()
	if err != nil {
		return nil, err
	}
	return x, p.wantSign(")")
}

func (p *parser) array() (Expr, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	items, err := p.exprs("]")
	return &Array{items}, err
}

// exprs = [expr {, expr}] closing
func (p *parser) exprs(closing string) ([]Expr, error) {
	if ok, err := p.sign(closing); ok || err != nil {
		return nil, err
	}
	var list []Expr
	for {
		x, err := p.expr()
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		if ok, err := p.sign(","); err != nil {
			return nil, err
		} else if ok {
			continue
		}
		if !p.isSign(closing) {
			return nil, p.expected("',' or '" + closing + "'")
		}
		return list, p.advance()
	}
}

func (p *parser) nameOrCall() (Expr, error) {
	start := p.tok
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if !p.isSign("(") || len(path.Steps) != 1 {
		return path, nil
	}
	return p.nested(func() (Expr, error) { return p.call(start) })
}

func (p *parser) call(name token) (Expr, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	key := canonical(name.text)
	f, isFunction := functions[key]
	if !isFunction && !isAggregate(key) {
		return nil, &syntaxError{name.pos, "there is no function " + quote(name.text) + suggest(name.text, functionNames())}
	}
	if key == "COUNT" && p.isSign("*") { // COUNT(*) is COUNT()
		if err := p.advance(); err != nil {
			return nil, err
		}
		return &Call{name.pos, key, nil}, p.wantSign(")")
	}
	args, err := p.exprs(")")
	if err != nil {
		return nil, err
	}
	if isFunction {
		c := &Call{name.pos, f.name, args}
		return c, f.checkArity(c)
	}
	c := &Call{name.pos, key, args}
	return c, checkAggregateArity(c)
}

// path = name {.name | .[[name]] | [[name]] | ['name'] | [index]}
func (p *parser) path() (*Path, error) {
	path := &Path{Pos: p.tok.pos, Steps: []Step{{Name: p.tok.text}}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for p.isSign(".") || p.isSign("[") {
		if len(path.Steps) > MaxDepth {
			return nil, p.errorf("the path has more than %d steps", MaxDepth)
		}
		s, err := p.step()
		if err != nil {
			return nil, err
		}
		path.Steps = append(path.Steps, s)
	}
	return path, nil
}

func (p *parser) step() (s Step, err error) {
	dot, err := p.sign(".")
	switch {
	case err != nil:
		return s, err
	case p.isDouble():
		s.Name, err = p.double()
		return s, err
	case dot && p.tok.kind == tokName:
		s.Name = p.tok.text
		return s, p.advance()
	case dot:
		return s, p.expected("a property name after '.'; write [[name]] for a name with other characters")
	}
	if err := p.advance(); err != nil { // over [
		return s, err
	}
	switch v := p.tok.value.(type) {
	case string:
		s.Name = v
	case float64:
		if v != math.Trunc(v) || v < 0 || v > math.MaxInt32 {
			return s, p.expected("an index of 0 or more")
		}
		s.Index, s.IsIndex = int(v), true
	default:
		return s, p.expected("an index or a quoted name in brackets")
	}
	if err := p.advance(); err != nil {
		return s, err
	}
	return s, p.wantSign("]")
}

// isDouble says that [[ is next, without a space between.
func (p *parser) isDouble() bool {
	return p.isSign("[") && strings.HasPrefix(p.src[p.tok.pos:], "[[")
}

// double reads [[name]]: everything up to ]] belongs to the name.
func (p *parser) double() (string, error) {
	start := int(p.tok.pos) + len("[[")
	n := strings.Index(p.src[start:], "]]")
	if n < 0 {
		return "", p.errorf("the name that begins here has no closing ]]")
	}
	if n == 0 {
		return "", p.errorf("the name between [[ and ]] is empty")
	}
	p.off = start + n + len("]]")
	return p.src[start : start+n], p.advance()
}
